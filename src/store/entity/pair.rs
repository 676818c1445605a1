//! Table `pairs`: forwarding pairs.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pairs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub source_account: Uuid,
    pub source_platform: String,
    pub source_chat: i64,
    pub source_thread: Option<i64>,
    pub target_account: Uuid,
    pub target_platform: String,
    pub target_chat: i64,
    pub target_thread: Option<i64>,
    pub created_at: i64,
    pub name: Option<String>,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
