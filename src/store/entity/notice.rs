//! Table `notices`: the bot's outbox.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notices")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub seq: i64,
    pub chat_id: i64,
    pub user_id: Option<Uuid>,
    pub announcement_id: Option<Uuid>,
    pub kind: String,
    pub text: String,
    pub priority: i32,
    pub once: bool,
    pub state: String,
    pub tries: i32,
    pub created_at: i64,
    pub next_at: i64,
    pub claimed_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub message_id: Option<i64>,
    pub outcome: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
