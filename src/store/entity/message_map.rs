//! Table `message_map`: which source message became which target message.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_map")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub pair_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source_chat: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source_message: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part: i32,
    pub target_chat: i64,
    pub target_message: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
