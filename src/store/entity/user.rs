//! Table `users`: users.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub created_at: i64,
    pub email_tag: Option<Vec<u8>>,
    pub profile: Option<Vec<u8>>,
    pub password: Option<Vec<u8>>,
    pub password_at: Option<i64>,
    pub email_confirmed_at: Option<i64>,
    pub state: String,
    pub state_reason: Option<String>,
    pub state_at: i64,
    pub version: i64,
    pub last_seen: Option<i64>,
    pub erasure_tries: i32,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
