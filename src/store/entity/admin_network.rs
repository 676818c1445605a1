//! Table `admin_networks`: networks that admins may call from.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "admin_networks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub network: String,
    pub note: String,
    pub added_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
