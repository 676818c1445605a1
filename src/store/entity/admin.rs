//! Table `admins`: admins.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "admins")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub email: String,
    pub password: String,
    pub role: String,
    pub state: String,
    pub totp: Option<Vec<u8>>,
    pub totp_since: Option<i64>,
    pub totp_step: i64,
    pub created_at: i64,
    pub signed_in_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
