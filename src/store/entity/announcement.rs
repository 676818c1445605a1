//! Table `announcements`: texts to many recipients.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "announcements")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    pub text: String,
    pub plans: String,
    pub linked_chats: bool,
    pub channels: bool,
    pub state: String,
    pub created_by: String,
    pub created_at: i64,
    pub send_at: i64,
    pub finished_at: Option<i64>,
    pub expanded_to: Option<i64>,
    pub expanded: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
