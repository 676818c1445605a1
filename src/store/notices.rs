//! The alert stream.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;
use sea_orm::sea_query::OnConflict;
use serde_json::json;
use switchyard_actors::model::{Alert, Audience, NewDomainEvent, Topic};
use switchyard_actors::ports::{Notice, StoreError};

use super::Store;
use super::domain_events::publish_one;
use super::entity::alert;
use super::error::run_time;

#[async_trait]
impl Notice for Store {
    async fn raise(&self, raised: &Alert) -> Result<(), StoreError> {
        let row = alert::ActiveModel {
            id: Set(raised.id.as_uuid()),
            at: Set(raised.at.timestamp_millis()),
            severity: Set(raised.severity.as_str().to_owned()),
            kind: Set(raised.kind.clone()),
            subject: Set(raised.subject.clone()),
            user_id: Set(raised.user.map(|user| user.as_uuid())),
            text: Set(raised.text.clone()),
        };
        let event = NewDomainEvent {
            topic: Topic::AlertRaised,
            user: raised.user,
            audience: if raised.user.is_some() { Audience::User } else { Audience::Staff },
            subject: raised.subject.clone(),
            body: json!({
                "alert": raised.id, "severity": raised.severity, "kind": raised.kind, "text": raised.text,
            }),
        };
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                // Raising the same alert again, after an answer that was lost, changes nothing.
                let raised = alert::Entity::insert(row)
                    .on_conflict(OnConflict::column(alert::Column::Id).do_nothing().to_owned())
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                if raised == 0 { Ok(()) } else { publish_one(transaction, event, now).await }
            })
        });
        write.await
    }
}
