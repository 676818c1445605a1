//! Table `routes`: what each pair does with each event; closed ones are the ledger of skips.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "routes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub pair_id: Uuid,
    pub event_seq: i64,
    pub state: String,
    pub attempts: i32,
    pub delivery_id: Option<Uuid>,
    pub skip: Option<String>,
    pub closed_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
