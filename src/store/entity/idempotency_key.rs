//! Table `idempotency_keys`: orders that came with an idempotency key, and what was answered to them.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub owner: String,
    pub user_id: Option<Uuid>,
    pub fingerprint: Vec<u8>,
    pub attempt: Uuid,
    pub lease_until: i64,
    pub user_answer: Option<Vec<u8>>,
    pub system_answer: Option<Vec<u8>>,
    pub expires_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
