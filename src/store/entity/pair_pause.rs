//! Table `pair_pauses`: causes for which a pair is paused.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pair_pauses")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub pair_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub cause: String,
    pub since: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
