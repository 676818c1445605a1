//! Newtypes and values of the domain: what a message, a pair, a delivery is, independent of any platform or store.

mod account;
mod alert;
mod cursor;
mod delivery;
mod domain_event;
mod event;
mod id;
mod message;
mod money;
mod outcome;
mod pair;
mod place;
mod plan;
mod rich_text;
mod route;

pub use account::{Account, AccountKind, AccountState};
pub use alert::{Alert, AlertSeverity};
pub use cursor::{Cursor, CursorKey, CursorValue};
pub use delivery::{
    Author, Delivery, DeliveryState, IdempotencyKey, MessageCopy, NewDelivery, Part, PartBody, PartState,
};
pub use domain_event::{Audience, DomainEvent, NewDomainEvent, Topic};
pub use event::{EventKind, SourceEvent};
pub use id::{
    AccountId, AdminId, AlertId, AnnouncementId, ApiKeyId, DeliveryId, Epoch, EventId, Fence, IdSource,
    JobId, LoginSessionId, NodeId, PairId, RouteId, UserId,
};
pub use message::{Attachment, AttachmentKind, Message, Restriction, Sender, SenderKind};
pub use money::{Amount, Currency, Money};
pub use outcome::{DeadReason, HoldScope, SendOutcome, SkipReason};
pub use pair::{Pair, PauseCause};
pub use place::{ChatId, MessageId, ParsePlaceError, Place, Platform, ThreadId};
pub use plan::{Day, Plan, PlanName, Plans, Quotas, Standing, Usage};
pub use rich_text::{Entity, EntityKind, RichText, RichTextError};
pub use route::{OpenRoute, Origin, RouteVerdict};
