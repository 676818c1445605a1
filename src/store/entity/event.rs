//! Table `events`: accepted events in order; the payload is encrypted.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub seq: i64,
    pub id: Uuid,
    pub account_id: Uuid,
    pub platform: String,
    pub chat: i64,
    pub thread: Option<i64>,
    pub message: i64,
    pub kind: String,
    pub revision: i64,
    pub payload: Option<Vec<u8>>,
    pub accepted_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
