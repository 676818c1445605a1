//! Announcements: made, looked at, stopped; their recipients are written down in chunks before anything is sent.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Condition, Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use switchyard_actors::model::AnnouncementId;
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::entity::{announcement, bot_chat, notice};
use super::error::run_time;
use super::notice_box::notice_state::{CANCELLED, SENDING, WAITING};
use super::{Store, audience, rows, time_of};

/// Announcements wait behind answers.
const PRIORITY: i32 = 1;
/// The kinds of chats.
pub(super) const PRIVATE: &str = "private";
pub(super) const CHANNEL: &str = "channel";

/// What an announcement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnnouncementKind {
    /// About the service itself: outages, changes of terms.
    System,
    /// Marketing: only to those who agreed, and not too often.
    Promotion,
}

impl AnnouncementKind {
    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Promotion => "promotion",
        }
    }
}

impl std::str::FromStr for AnnouncementKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::System, Self::Promotion]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("unknown kind of announcement {text:?}"))
    }
}

/// Where an announcement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnnouncementState {
    /// Its time has not come.
    Scheduled,
    /// It goes out.
    Running,
    /// Every recipient has an outcome.
    Completed,
    /// It was stopped; it may go on.
    Cancelled,
}

impl AnnouncementState {
    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for AnnouncementState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Scheduled, Self::Running, Self::Completed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown state of an announcement {text:?}"))
    }
}

/// Whom an announcement is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Audience {
    /// Users with one of these plans, checked when it is sent; `*` means every plan.
    pub plans: BTreeSet<String>,
    /// To private chats that are linked with the bot.
    pub linked_chats: bool,
    /// To channels that were registered with the bot.
    pub channels: bool,
}

impl Default for Audience {
    fn default() -> Self {
        Self { plans: BTreeSet::from([audience::FREE.to_owned()]), linked_chats: true, channels: true }
    }
}

impl Audience {
    fn covers_kind(&self, kind: &str) -> bool {
        (kind == PRIVATE && self.linked_chats) || (kind == CHANNEL && self.channels)
    }
}

/// An announcement that is to be made.
#[derive(Clone, Debug)]
pub struct NewAnnouncement {
    /// Its id.
    pub id: AnnouncementId,
    /// What it is.
    pub kind: AnnouncementKind,
    /// Its text, plain.
    pub text: String,
    /// Whom it is for.
    pub audience: Audience,
    /// When it begins.
    pub send_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
}

/// An announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Announcement {
    /// Its id.
    pub id: AnnouncementId,
    /// What it is.
    pub kind: AnnouncementKind,
    /// Its text, plain.
    pub text: String,
    /// Whom it is for.
    pub audience: Audience,
    /// Where it stands.
    pub state: AnnouncementState,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it begins.
    pub send_at: DateTime<Utc>,
    /// When every recipient had an outcome, or when it was cancelled.
    pub finished_at: Option<DateTime<Utc>>,
    /// How far it is.
    pub progress: Progress,
}

/// How far an announcement is: recipients by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Whether all recipients are written down.
    pub recipients_known: bool,
    /// Recipients written down so far.
    pub recipients: u64,
    /// By outcome: `waiting`, `sending`, `sent`, `skipped` (opted out, no consent, another plan, capped, unlinked, suspended),
    /// `failed`, `unreachable`, `uncertain` (perhaps sent, and never repeated), `cancelled`.
    pub outcomes: BTreeMap<String, u64>,
}

/// Text as HTML that shows it.
#[must_use]
pub fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Store {
    /// Keeps a new announcement.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_announcement(&self, new: &NewAnnouncement) -> Result<(), StoreError> {
        let plans: Vec<&str> = new.audience.plans.iter().map(String::as_str).collect();
        let row = announcement::ActiveModel {
            id: Set(new.id.as_uuid()),
            kind: Set(new.kind.as_str().to_owned()),
            text: Set(new.text.clone()),
            plans: Set(plans.join(",")),
            linked_chats: Set(new.audience.linked_chats),
            channels: Set(new.audience.channels),
            state: Set(AnnouncementState::Scheduled.as_str().to_owned()),
            created_by: Set(new.created_by.clone()),
            created_at: Set(self.now()),
            send_at: Set(new.send_at.timestamp_millis()),
            finished_at: Set(None),
            expanded_to: Set(None),
            expanded: Set(false),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                announcement::Entity::insert(row)
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_written| ())
    }

    /// An announcement with its progress.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn announcement(&self, id: AnnouncementId) -> Result<Announcement, StoreError> {
        let row = self.read(announcement::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?;
        let row = row.ok_or_else(|| StoreError::NotFound(format!("announcement {id}")))?;
        self.with_progress(row).await
    }

    /// Announcements, the newest first, before one of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn announcements(
        &self,
        before: Option<AnnouncementId>,
        limit: u64,
    ) -> Result<Vec<Announcement>, StoreError> {
        let mut found = announcement::Entity::find().order_by_desc(announcement::Column::Id).limit(limit);
        if let Some(before) = before {
            found = found.filter(announcement::Column::Id.lt(before.as_uuid()));
        }
        let mut all = Vec::new();
        for row in self.read(found.all(&self.readers)).await? {
            all.push(self.with_progress(row).await?);
        }
        Ok(all)
    }

    async fn with_progress(&self, row: announcement::Model) -> Result<Announcement, StoreError> {
        let counts = notice::Entity::find()
            .filter(notice::Column::AnnouncementId.eq(row.id))
            .select_only()
            .column(notice::Column::State)
            .column_as(notice::Column::Seq.count(), "count")
            .group_by(notice::Column::State)
            .into_tuple::<(String, i64)>();
        let outcomes: BTreeMap<String, u64> = self
            .read(counts.all(&self.readers))
            .await?
            .into_iter()
            .map(|(state, count)| (state, u64::try_from(count).unwrap_or(0)))
            .collect();
        let recipients = outcomes.values().sum();
        let progress = Progress { recipients_known: row.expanded, recipients, outcomes };
        Ok(Announcement {
            id: AnnouncementId::from_uuid(row.id),
            kind: rows::word(&row.kind)?,
            audience: audience_of(&row),
            state: rows::word(&row.state)?,
            text: row.text,
            created_by: row.created_by,
            created_at: time_of(row.created_at),
            send_at: time_of(row.send_at),
            finished_at: row.finished_at.map(time_of),
            progress,
        })
    }

    /// Stops an announcement: nobody gets it who is not being written to at this moment.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is through, [`StoreError`].
    pub async fn cancel_announcement(&self, id: AnnouncementId) -> Result<(), StoreError> {
        let (from, to) =
            ([AnnouncementState::Scheduled, AnnouncementState::Running], AnnouncementState::Cancelled);
        self.turn(id, &from, to, (WAITING, CANCELLED)).await
    }

    /// Lets a cancelled announcement go on with those who had no outcome.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it was not cancelled, [`StoreError`].
    pub async fn resume_announcement(&self, id: AnnouncementId) -> Result<(), StoreError> {
        let (from, to) = ([AnnouncementState::Cancelled], AnnouncementState::Scheduled);
        self.turn(id, &from, to, (CANCELLED, WAITING)).await
    }

    async fn turn(
        &self,
        id: AnnouncementId,
        from: &[AnnouncementState],
        to: AnnouncementState,
        (old, new): (&'static str, &'static str),
    ) -> Result<(), StoreError> {
        let (now, from) = (self.now(), from.to_vec());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let row =
                    announcement::Entity::find_by_id(id.as_uuid()).one(transaction).await.map_err(failed)?;
                let row = row.ok_or_else(|| StoreError::NotFound(format!("announcement {id}")))?;
                let state = rows::word::<AnnouncementState>(&row.state)?;
                if !from.contains(&state) {
                    let text = format!("announcement {id} is {}", state.as_str());
                    return Err(StoreError::Conflict(text));
                }
                let mut row = row.into_active_model();
                row.state = Set(to.as_str().to_owned());
                row.finished_at = Set((to == AnnouncementState::Cancelled).then_some(now));
                row.update(transaction).await.map_err(failed)?;
                notice::Entity::update_many()
                    .col_expr(notice::Column::State, Expr::value(new))
                    .filter(notice::Column::AnnouncementId.eq(id.as_uuid()))
                    .filter(notice::Column::State.eq(old))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                Ok(())
            })
        });
        write.await
    }

    /// How many chats an audience has now, before anybody's wishes are looked at. Who is suspended is in none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audience_size(&self, audience: &Audience) -> Result<u64, StoreError> {
        let mut kinds = Vec::new();
        kinds.extend(audience.linked_chats.then_some(PRIVATE));
        kinds.extend(audience.channels.then_some(CHANNEL));
        let mut chats = bot_chat::Entity::find()
            .filter(bot_chat::Column::Kind.is_in(kinds))
            .filter(bot_chat::Column::Unreachable.is_null())
            .filter(audience::is_active(bot_chat::Column::UserId));
        if !audience.plans.contains("*") {
            chats = chats.filter(audience::has_one_of(
                bot_chat::Column::UserId,
                &audience.plans,
                &self.announcing.plans,
                self.now(),
            ));
        }
        self.read(chats.count(&self.readers)).await
    }
}

fn audience_of(row: &announcement::Model) -> Audience {
    Audience {
        plans: row.plans.split(',').map(str::to_owned).collect(),
        linked_chats: row.linked_chats,
        channels: row.channels,
    }
}

/// Whether [`advance`] would find something.
pub(super) async fn is_anything_to_do(store: &Store, now: i64) -> Result<bool, StoreError> {
    let due = Condition::all()
        .add(announcement::Column::State.eq(AnnouncementState::Scheduled.as_str()))
        .add(announcement::Column::SendAt.lte(now));
    let wanted =
        Condition::any().add(announcement::Column::State.eq(AnnouncementState::Running.as_str())).add(due);
    let found = announcement::Entity::find().filter(wanted).count(&store.readers);
    Ok(store.read(found).await? > 0)
}

/// Begins what is due, writes down at most `limit` more recipients of each that runs, ends what is through.
pub(super) async fn advance(
    transaction: &DatabaseTransaction,
    now: i64,
    limit: u32,
) -> Result<bool, StoreError> {
    let failed = |failure| run_time(&failure);
    announcement::Entity::update_many()
        .col_expr(announcement::Column::State, Expr::value(AnnouncementState::Running.as_str()))
        .filter(announcement::Column::State.eq(AnnouncementState::Scheduled.as_str()))
        .filter(announcement::Column::SendAt.lte(now))
        .exec(transaction)
        .await
        .map_err(failed)?;
    let running = announcement::Entity::find()
        .filter(announcement::Column::State.eq(AnnouncementState::Running.as_str()))
        .order_by_asc(announcement::Column::Id)
        .all(transaction)
        .await
        .map_err(failed)?;
    let mut more = false;
    for row in running {
        if row.expanded {
            finish(transaction, row, now).await?;
        } else {
            more = true;
            expand(transaction, row, now, limit).await?;
        }
    }
    Ok(more)
}

/// Writes down the next recipients, in the order of their chats, and how far it came, together.
async fn expand(
    transaction: &DatabaseTransaction,
    row: announcement::Model,
    now: i64,
    limit: u32,
) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let mut chats = bot_chat::Entity::find().order_by_asc(bot_chat::Column::ChatId).limit(u64::from(limit));
    if let Some(last) = row.expanded_to {
        chats = chats.filter(bot_chat::Column::ChatId.gt(last));
    }
    let chats = chats.all(transaction).await.map_err(failed)?;
    let (last, wanted) = (chats.last().map(|chat| chat.chat_id), audience_of(&row));
    let recipients: Vec<_> = chats
        .into_iter()
        .filter(|chat| wanted.covers_kind(&chat.kind))
        .map(|chat| recipient(&row, chat.chat_id, chat.user_id, now))
        .collect();
    if !recipients.is_empty() {
        notice::Entity::insert_many(recipients)
            .on_conflict(
                OnConflict::columns([notice::Column::AnnouncementId, notice::Column::ChatId])
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(transaction)
            .await
            .map_err(failed)?;
    }
    let mut row = row.into_active_model();
    match last {
        Some(last) => row.expanded_to = Set(Some(last)),
        None => row.expanded = Set(true),
    }
    row.update(transaction).await.map_err(failed)?;
    Ok(())
}

fn recipient(row: &announcement::Model, chat: i64, user: Uuid, now: i64) -> notice::ActiveModel {
    notice::ActiveModel {
        chat_id: Set(chat),
        user_id: Set(Some(user)),
        announcement_id: Set(Some(row.id)),
        kind: Set(row.kind.clone()),
        text: Set(String::new()),
        priority: Set(PRIORITY),
        once: Set(true),
        state: Set(WAITING.to_owned()),
        tries: Set(0),
        created_at: Set(now),
        next_at: Set(now),
        claimed_at: Set(None),
        finished_at: Set(None),
        message_id: Set(None),
        outcome: Set(None),
        ..Default::default()
    }
}

async fn finish(
    transaction: &DatabaseTransaction,
    row: announcement::Model,
    now: i64,
) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let open = notice::Entity::find()
        .filter(notice::Column::AnnouncementId.eq(row.id))
        .filter(notice::Column::State.is_in([WAITING, SENDING]))
        .limit(1)
        .one(transaction)
        .await
        .map_err(failed)?;
    if open.is_none() {
        let mut row = row.into_active_model();
        row.state = Set(AnnouncementState::Completed.as_str().to_owned());
        row.finished_at = Set(Some(now));
        row.update(transaction).await.map_err(failed)?;
    }
    Ok(())
}
