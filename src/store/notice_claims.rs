//! Claims of the bot's messages: whatever decides whether one may be sent is looked at in the claim's own transaction.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter,
};
use switchyard_actors::ports::{ClaimedNotice, NoticeId, Promise, StoreError};
use uuid::Uuid;

use super::announcements::{AnnouncementKind, AnnouncementState, escape_html};
use super::audience::{self, OfferedPlans};
use super::bot_chats::{NotificationSettings, SYSTEM};
use super::entity::{announcement, bot_chat, bot_state, notice, notification_setting, user};
use super::error::run_time;
use super::identity::UserState;
use super::notice_box::notice_state::{CANCELLED, SENDING, SENT, SKIPPED, UNCERTAIN, WAITING};
use super::notice_box::{BOT, chat_of};
use super::rows;

/// What announcements keep to.
#[derive(Clone, Debug)]
pub struct AnnouncingRules {
    /// Least time between two promotions to one chat.
    pub promotion_interval: Duration,
    /// The last line of a promotion, in HTML: how to hear no more of them.
    pub opt_out_line: String,
    /// The plans by which audiences are told.
    pub plans: OfferedPlans,
}

impl Default for AnnouncingRules {
    fn default() -> Self {
        Self {
            promotion_interval: Duration::from_secs(7 * 86_400),
            opt_out_line: "You get this because you agreed to offers. To stop them: /offers_off".to_owned(),
            plans: OfferedPlans::default(),
        }
    }
}

/// Whether a message may go, and what it says.
enum Leave {
    Go(String),
    Skip(&'static str),
    Cancelled,
}

pub(super) async fn claim(
    transaction: &DatabaseTransaction,
    id: NoticeId,
    node: Uuid,
    now: i64,
    rules: &AnnouncingRules,
) -> Result<Option<ClaimedNotice>, StoreError> {
    let failed = |failure| run_time(&failure);
    let ours = bot_state::Entity::find_by_id(BOT).one(transaction).await.map_err(failed)?;
    if ours.is_none_or(|state| state.node_id != Some(node) || state.lease_until <= now) {
        return Ok(None);
    }
    let row = notice::Entity::find_by_id(id.get()).one(transaction).await.map_err(failed)?;
    let Some(row) = row.filter(|row| row.state == WAITING) else { return Ok(None) };
    let leave = match row.announcement_id {
        None => Leave::Go(row.text.clone()),
        Some(announcement) => look(transaction, announcement, &row, now, rules).await?,
    };
    let (chat, tries, once) = (chat_of(row.chat_id)?, rows::count(row.tries)?, row.once);
    let mut row = row.into_active_model();
    let html = match leave {
        Leave::Go(html) => {
            (row.state, row.claimed_at) = (Set(SENDING.to_owned()), Set(Some(now)));
            Some(html)
        }
        Leave::Skip(reason) => {
            (row.state, row.outcome) = (Set(SKIPPED.to_owned()), Set(Some(reason.to_owned())));
            row.finished_at = Set(Some(now));
            None
        }
        Leave::Cancelled => {
            row.state = Set(CANCELLED.to_owned());
            None
        }
    };
    row.update(transaction).await.map_err(failed)?;
    let promise = if once { Promise::AtMostOnce } else { Promise::AtLeastOnce };
    Ok(html.map(|html| ClaimedNotice { chat, html, promise, tries }))
}

/// Looks whether an announcement still is for this chat: it runs, the chat is linked and reachable, the user is not
/// suspended, their plan is in the audience, and they want it.
async fn look(
    transaction: &DatabaseTransaction,
    announcement: Uuid,
    row: &notice::Model,
    now: i64,
    rules: &AnnouncingRules,
) -> Result<Leave, StoreError> {
    let failed = |failure| run_time(&failure);
    let found = announcement::Entity::find_by_id(announcement).one(transaction).await.map_err(failed)?;
    let Some(found) = found else { return Ok(Leave::Cancelled) };
    if rows::word::<AnnouncementState>(&found.state)? != AnnouncementState::Running {
        return Ok(Leave::Cancelled);
    }
    let chat = bot_chat::Entity::find_by_id(row.chat_id).one(transaction).await.map_err(failed)?;
    let Some(chat) = chat.filter(|chat| Some(chat.user_id) == row.user_id) else {
        return Ok(Leave::Skip("unlinked"));
    };
    if chat.unreachable.is_some() {
        return Ok(Leave::Skip("unreachable"));
    }
    // What a suspended user hears of is their suspension, which is no announcement.
    let owner = user::Entity::find_by_id(chat.user_id).one(transaction).await.map_err(failed)?;
    let state = owner.map(|owner| rows::word::<UserState>(&owner.state)).transpose()?;
    if state != Some(UserState::Active) {
        return Ok(Leave::Skip("suspended"));
    }
    if !found.plans.split(',').any(|plan| plan == "*") {
        let plan = audience::plan_of(transaction, chat.user_id, &rules.plans, now).await?;
        if !found.plans.split(',').any(|wanted| wanted == plan) {
            return Ok(Leave::Skip("plan"));
        }
    }
    let settings =
        notification_setting::Entity::find_by_id(chat.user_id).one(transaction).await.map_err(failed)?;
    let settings = NotificationSettings::from_row(settings);
    let text = escape_html(&found.text);
    match rows::word::<AnnouncementKind>(&found.kind)? {
        AnnouncementKind::System if settings.opted_out.contains(SYSTEM) => Ok(Leave::Skip("opted_out")),
        AnnouncementKind::System => Ok(Leave::Go(text)),
        AnnouncementKind::Promotion if !settings.promotions => Ok(Leave::Skip("no_consent")),
        AnnouncementKind::Promotion => {
            let interval = i64::try_from(rules.promotion_interval.as_millis()).unwrap_or(i64::MAX);
            let heard = notice::Entity::find()
                .filter(notice::Column::ChatId.eq(row.chat_id))
                .filter(notice::Column::State.is_in([SENDING, SENT, UNCERTAIN]))
                .filter(notice::Column::Kind.eq(AnnouncementKind::Promotion.as_str()))
                .filter(notice::Column::ClaimedAt.gt(now.saturating_sub(interval)))
                .count(transaction)
                .await
                .map_err(failed)?;
            Ok(if heard > 0 {
                Leave::Skip("frequency_cap")
            } else {
                Leave::Go(format!("{text}\n\n{}", rules.opt_out_line))
            })
        }
    }
}
