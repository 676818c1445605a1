//! What throttles remember across restarts. Times and counts only: nothing that needs sealing.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;
use sea_orm::sea_query::OnConflict;
use switchyard_actors::model::Fence;
use switchyard_actors::ports::{StoreError, ThrottleMemory};

use super::Store;
use super::entity::throttle_state;
use super::error::run_time;
use super::fence::{self, Hold};

#[async_trait]
impl ThrottleMemory for Store {
    async fn throttle_state(&self, identity: &str) -> Result<Option<String>, StoreError> {
        let row = throttle_state::Entity::find_by_id(identity).one(&self.readers);
        Ok(self.read(row).await?.map(|row| row.state))
    }

    async fn set_throttle_state(
        &self,
        identity: &str,
        fence: Option<Fence>,
        state: &str,
    ) -> Result<(), StoreError> {
        let row =
            throttle_state::ActiveModel { identity: Set(identity.to_owned()), state: Set(state.to_owned()) };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                if let Some(fence) = fence {
                    fence::check(transaction, fence, Hold::Shared).await?;
                }
                throttle_state::Entity::insert(row)
                    .on_conflict(
                        OnConflict::column(throttle_state::Column::Identity)
                            .update_column(throttle_state::Column::State)
                            .to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_written| ())
    }
}
