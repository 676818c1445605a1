//! Announcements (system) and promotions (marketing) through the bot: made, previewed, looked at, cancelled, resumed.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{AnnouncementId, IdSource};
use switchyard_actors::ports::Clock;

use super::caller::Caller;
use super::fault::Fault;
use super::moment;
use super::page::{Listed, Page};
use crate::store::{NewAnnouncement, Store, escape_html};

pub use crate::store::{Announcement, AnnouncementKind, AnnouncementState, Audience, Progress};

mod wording;

/// The longest text, in UTF-16 code units as Telegram counts: the line by which one opts out must fit below it.
const TEXT_MAX: usize = 3_500;

/// How far a beginning may lie behind: clocks differ, and orders take their way.
const LATE_MAX: TimeDelta = TimeDelta::minutes(1);

/// How far it may lie ahead.
const AHEAD_MAX: TimeDelta = TimeDelta::days(366);

/// An announcement to be made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "kind": "system",
    "text": "On Sunday from 6 to 7 UTC nothing is forwarded; nothing is lost.",
    "preview": true
}))]
pub struct AnnouncementOrder {
    /// What it is.
    pub kind: AnnouncementKind,
    /// Its text, plain. It names no price and holds no address but the account page's.
    pub text: String,
    /// Whom it is for. Without it: all users of the Free plan, in their linked chats and registered channels.
    #[serde(default)]
    pub audience: Audience,
    /// When it begins, within a year; without it at once.
    #[serde(default, deserialize_with = "moment::given")]
    pub send_at: Option<DateTime<Utc>>,
    /// Only show what it would look like and how many chats the audience has.
    #[serde(default)]
    pub preview: bool,
}

/// What an announcement looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// As the bot would write it, in Telegram's HTML.
    pub html: String,
    /// Chats that the audience has now. Consent, opt-outs and plans are looked at again when it is sent.
    pub recipients: u64,
}

/// What came of an order: the announcement, or only its preview.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Announced {
    /// What it looks like and how many chats the audience has.
    pub preview: Preview,
    /// The announcement; none where only a preview was asked for.
    pub announcement: Option<Announcement>,
}

/// Announcements, for the API.
#[async_trait]
pub trait Announcements: Send + Sync {
    /// Makes an announcement, or shows a preview.
    ///
    /// # Errors
    /// [`Fault`].
    async fn announce(&self, caller: Caller, order: AnnouncementOrder) -> Result<Announced, Fault>;

    /// Announcements, the newest first.
    ///
    /// # Errors
    /// [`Fault`].
    async fn list(&self, page: Page<AnnouncementId>) -> Result<Listed<Announcement, AnnouncementId>, Fault>;

    /// One, with its progress.
    ///
    /// # Errors
    /// [`Fault`].
    async fn get(&self, id: AnnouncementId) -> Result<Announcement, Fault>;

    /// Stops one.
    ///
    /// # Errors
    /// [`Fault`].
    async fn cancel(&self, id: AnnouncementId) -> Result<Announcement, Fault>;

    /// Lets a cancelled one go on.
    ///
    /// # Errors
    /// [`Fault`].
    async fn resume(&self, id: AnnouncementId) -> Result<Announcement, Fault>;
}

/// Announcements over the store.
pub struct AnnouncementService {
    /// Where they are kept.
    pub store: Store,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: IdSource,
    /// Whether there is a bot to send them.
    pub has_bot: bool,
    /// The only address that a text may hold.
    pub account_page: Option<String>,
    /// The last line of promotions, in HTML.
    pub opt_out_line: String,
    /// The plans that there are.
    pub plans: BTreeSet<String>,
}

impl AnnouncementService {
    fn check(&self, order: &AnnouncementOrder) -> Result<(), Fault> {
        if order.text.trim().is_empty() {
            return Err(Fault::invalid("/text", "it must not be empty"));
        }
        if order.text.encode_utf16().count() > TEXT_MAX {
            return Err(Fault::invalid("/text", format!("it must have at most {TEXT_MAX} characters")));
        }
        if let Some(fault) = wording::fault(&order.text, self.account_page.as_deref()) {
            return Err(Fault::invalid("/text", fault));
        }
        let audience = &order.audience;
        if audience.plans.is_empty() {
            return Err(Fault::invalid("/audience/plans", "name at least one plan, or \"*\" for all"));
        }
        if audience.plans.iter().any(|plan| plan != "*" && !self.plans.contains(plan)) {
            let known: Vec<&str> = self.plans.iter().map(String::as_str).collect();
            let detail = format!("there is no such plan: name {}, or \"*\" for all", known.join(", "));
            return Err(Fault::invalid("/audience/plans", detail));
        }
        if let Some(at) = order.send_at {
            let now = self.clock.now();
            if at < now - LATE_MAX || at > now + AHEAD_MAX {
                let detail = "it must be from now on and within a year; leave it out to begin at once";
                return Err(Fault::invalid("/send_at", detail));
            }
        }
        if !audience.linked_chats && !audience.channels {
            return Err(Fault::invalid(
                "/audience",
                "neither linked chats nor channels: nobody would get it",
            ));
        }
        Ok(())
    }

    fn html(&self, order: &AnnouncementOrder) -> String {
        let text = escape_html(&order.text);
        match order.kind {
            AnnouncementKind::System => text,
            AnnouncementKind::Promotion => format!("{text}\n\n{}", self.opt_out_line),
        }
    }
}

#[async_trait]
impl Announcements for AnnouncementService {
    async fn announce(&self, caller: Caller, order: AnnouncementOrder) -> Result<Announced, Fault> {
        self.check(&order)?;
        let recipients = self.store.audience_size(&order.audience).await?;
        let preview = Preview { html: self.html(&order), recipients };
        if order.preview {
            return Ok(Announced { preview, announcement: None });
        }
        if !self.has_bot {
            return Err(Fault::Conflict(
                "there is no bot to send it: see the section bot of config.toml".to_owned(),
            ));
        }
        let id = AnnouncementId::from_uuid(self.ids.uuid());
        let created_by = match caller {
            Caller::Admin(admin, _) => admin.to_string(),
            Caller::Operator | Caller::User(_) => "operator".to_owned(),
        };
        let new = NewAnnouncement {
            id,
            kind: order.kind,
            text: order.text,
            audience: order.audience,
            send_at: order.send_at.unwrap_or_else(|| self.clock.now()),
            created_by,
        };
        self.store.create_announcement(&new).await?;
        tracing::info!(%id, kind = new.kind.as_str(), recipients, "announcement made");
        Ok(Announced { preview, announcement: Some(self.store.announcement(id).await?) })
    }

    async fn list(&self, page: Page<AnnouncementId>) -> Result<Listed<Announcement, AnnouncementId>, Fault> {
        let limit = u64::try_from(page.limit).unwrap_or(u64::MAX);
        let mut items = self.store.announcements(page.cursor, limit.saturating_add(1)).await?;
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next_cursor = items.last().filter(|_| more).map(|item| item.id);
        Ok(Listed { items, next_cursor })
    }

    async fn get(&self, id: AnnouncementId) -> Result<Announcement, Fault> {
        Ok(self.store.announcement(id).await?)
    }

    async fn cancel(&self, id: AnnouncementId) -> Result<Announcement, Fault> {
        self.store.cancel_announcement(id).await?;
        tracing::info!(%id, "announcement cancelled");
        self.get(id).await
    }

    async fn resume(&self, id: AnnouncementId) -> Result<Announcement, Fault> {
        self.store.resume_announcement(id).await?;
        tracing::info!(%id, "announcement resumed");
        self.get(id).await
    }
}
