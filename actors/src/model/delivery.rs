//! A message on its way to its target, in one or more parts.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountId, ChatId, DeliveryId, EventKind, MessageId, PairId, Place, Platform, RichText};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its turn in its lane, or for a retry.
    Pending,
    /// Every part is at the target.
    Delivered,
    /// Given up, with a reason; a person may replay it.
    Dead,
}

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// Never handed to the platform.
    Queued,
    /// Handed to the platform, answer unknown: the idempotency key decides.
    Sending,
    /// At the target.
    Sent,
}

macro_rules! state_text {
    ($name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        impl $name {
            /// The name in API and store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!(concat!("unknown ", stringify!($name), " {:?}"), text)),
                }
            }
        }
    };
}

state_text!(DeliveryState { Pending = "pending", Delivered = "delivered", Dead = "dead" });
state_text!(PartState { Queued = "queued", Sending = "sending", Sent = "sent" });

/// Whose words a copy repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The name that the source shows, as it came; `None` where it names nobody.
    pub name: Option<String>,
    /// Where they were written.
    pub via: Platform,
}

/// What a part says, in the form that its platform takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "snake_case")]
pub enum PartBody {
    /// Discord markdown, at most 2,000 code points.
    Markdown {
        /// The message content.
        content: String,
        /// Whose words it repeats: the name under which a webhook writes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        author: Option<Author>,
    },
    /// Telegram text with entities, at most 4,096 UTF-16 code units.
    Rich {
        /// The message.
        text: RichText,
    },
    /// Nothing: the copy goes.
    Deletion,
}

/// One message at the target: a chunk of a long text, later an album item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Position in the delivery, from 0.
    pub index: u16,
    /// What it says.
    pub body: PartBody,
    /// Where it stands.
    pub state: PartState,
    /// When it was last handed to the platform, Unix milliseconds; `None` if never.
    pub sending_since: Option<i64>,
    /// Its id at the target, once known.
    pub remote_id: Option<MessageId>,
}

/// A delivery as the pair writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// What happens at the target.
    pub action: EventKind,
    /// What is sent, in order; never empty. Part by part it replaces the copies of an earlier delivery where the
    /// action is an edit or a deletion.
    pub parts: Vec<PartBody>,
    /// The message in the source chat that the new one answers.
    pub reply_to: Option<MessageId>,
}

/// A copy of a source message at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCopy {
    /// Which part of the delivery it is.
    pub part: u16,
    /// The chat it stands in.
    pub chat: ChatId,
    /// Its id there.
    pub message: MessageId,
}

/// A delivery as its queue sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The pair it belongs to; with the target chat it names the delivery lane.
    pub pair: PairId,
    /// The account that sends it.
    pub account: AccountId,
    /// Where it goes.
    pub target: Place,
    /// Position in its lane: the order of acceptance at intake.
    pub seq: i64,
    /// What happens at the target.
    pub action: EventKind,
    /// The chat of the source message.
    pub source_chat: ChatId,
    /// The source message.
    pub source_message: MessageId,
    /// The message in the source chat that it answers.
    pub reply_to: Option<MessageId>,
    /// Tries that counted against the retry bound.
    pub tries: u32,
    /// Not before this time, Unix milliseconds.
    pub not_before: Option<i64>,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// The key under which a platform accepts a part once: 64 bits derived from (delivery id, part).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(u64);

impl IdempotencyKey {
    /// Mixes delivery id and part index (the finalizer of `MurmurHash3` over both halves of the id); never zero.
    #[must_use]
    pub fn derive(delivery: DeliveryId, part: u16) -> Self {
        let (high, low) = delivery.as_uuid().as_u64_pair();
        let mixed = mix(mix(high) ^ low.rotate_left(17) ^ mix(u64::from(part) + 1));
        Self(if mixed == 0 { 1 } else { mixed })
    }

    /// As Telegram's `random_id`.
    #[must_use]
    pub const fn telegram_random_id(self) -> i64 {
        i64::from_ne_bytes(self.0.to_ne_bytes())
    }

    /// As Discord's `nonce` (at most 25 characters).
    #[must_use]
    pub fn discord_nonce(self) -> String {
        format!("sy{:016x}", self.0)
    }
}

const fn mix(mut value: u64) -> u64 {
    value ^= value >> 33;
    value = value.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use uuid::Uuid;

    #[test]
    fn keys_differ_by_delivery_and_part_and_stay_the_same() {
        let mut seen = HashSet::new();
        for id in 0..1_000_u128 {
            for part in 0..5 {
                let delivery = DeliveryId::from_uuid(Uuid::from_u128(id));
                let key = IdempotencyKey::derive(delivery, part);
                assert_eq!(key, IdempotencyKey::derive(delivery, part));
                assert!(seen.insert(key), "delivery {id} part {part} repeats a key");
                assert!(key.discord_nonce().len() <= 25);
            }
        }
    }
}
