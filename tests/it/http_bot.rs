//! A bot that is not there, for the tests of the HTTP surface.

use async_trait::async_trait;
use switchyard::services::announcements::{Announced, Announcement, AnnouncementOrder, Announcements};
use switchyard::services::caller::Caller;
use switchyard::services::fault::Fault;
use switchyard::services::linking::{Linking, Notifications, NotificationsOrder, TelegramLink};
use switchyard::services::page::{Listed, Page};
use switchyard_actors::model::{AnnouncementId, UserId};

/// Refuses everything.
pub(crate) struct NoBot;

fn absent<T>() -> Result<T, Fault> {
    Err(Fault::Unavailable("there is no bot here".to_owned()))
}

#[async_trait]
impl Linking for NoBot {
    async fn link(&self, _: UserId) -> Result<TelegramLink, Fault> {
        absent()
    }

    async fn notifications(&self, _: UserId) -> Result<Notifications, Fault> {
        absent()
    }

    async fn want(&self, _: UserId, _: NotificationsOrder) -> Result<Notifications, Fault> {
        absent()
    }
}

#[async_trait]
impl Announcements for NoBot {
    async fn announce(&self, _: Caller, _: AnnouncementOrder) -> Result<Announced, Fault> {
        absent()
    }

    async fn list(&self, _: Page<AnnouncementId>) -> Result<Listed<Announcement, AnnouncementId>, Fault> {
        absent()
    }

    async fn get(&self, _: AnnouncementId) -> Result<Announcement, Fault> {
        absent()
    }

    async fn cancel(&self, _: AnnouncementId) -> Result<Announcement, Fault> {
        absent()
    }

    async fn resume(&self, _: AnnouncementId) -> Result<Announcement, Fault> {
        absent()
    }
}
