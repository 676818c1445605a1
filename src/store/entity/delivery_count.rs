//! Table `delivery_counts`: confirmed messages and parts per pair and hour.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_counts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub pair_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub hour: i64,
    pub user_id: Uuid,
    pub source_account: Uuid,
    pub target_account: Uuid,
    pub source_platform: String,
    pub target_platform: String,
    pub messages: i64,
    pub parts: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
