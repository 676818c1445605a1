//! Table `deliveries`: messages on their way, and what became of them.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub pair_id: Uuid,
    pub account_id: Uuid,
    pub platform: String,
    pub chat: i64,
    pub thread: Option<i64>,
    pub source_chat: i64,
    pub source_message: i64,
    pub seq: i64,
    pub reply_to: Option<i64>,
    pub action: String,
    pub state: String,
    pub tries: i32,
    pub not_before: Option<i64>,
    pub last_error: Option<String>,
    pub dead: Option<String>,
    pub created_at: i64,
    pub finished_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
