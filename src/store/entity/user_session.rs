//! Table `user_sessions`: sign-ins of users, each a chain of refresh tokens.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub created_at: i64,
    pub last_used_at: i64,
    pub rotated_at: i64,
    pub expires_at: i64,
    pub generation: i64,
    pub token_tag: Vec<u8>,
    pub device: Vec<u8>,
    pub ended_at: Option<i64>,
    pub end_cause: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
