//! What the doctor asks of Telegram: does a data centre answer, who is signed in, which chats does the account see.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use grammers_session::SessionData;
use grammers_tl_types as tl;
use switchyard_actors::model::{Account, ChatId};
use switchyard_actors::ports::{ConnectionError, Credentials};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::config::TelegramConfig;

use super::book::channel_of;
use super::link::Link;
use super::session::StoredSession;
use super::sources;

/// `req_pq_multi`, the first question of a key exchange, and its answer (core.telegram.org/mtproto/auth_key).
const REQ_PQ_MULTI: u32 = 0xbe7e_8ef1;
const RES_PQ: u32 = 0x0516_2463;
/// The abridged transport (core.telegram.org/mtproto/mtproto-transports#abridged): its tag, and the length of our question
/// in words.
const ABRIDGED: u8 = 0xef;
const QUESTION_WORDS: u8 = 10;

/// How a data centre met a question without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// It answered; its own clock, Unix seconds.
    Answered(i64),
    /// It took the connection and closed it: what a sandbox does, which exchanges no keys.
    HungUp,
}

/// Who an account is and what it sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No key is stored: it signs in at its first connection.
    NeverSignedIn,
    /// It is signed in.
    SignedIn {
        /// Whether the chats that were asked for are seen, and what is wrong with those that are not; chats of which no
        /// access hash is known yet are left out.
        chats: BTreeMap<ChatId, Result<(), String>>,
    },
}

/// Where Telegram is without an address of our own: the data centre at which a new client begins.
#[must_use]
pub fn first_address() -> Option<SocketAddr> {
    let defaults = SessionData::default();
    defaults.dc_options.get(&defaults.home_dc).map(|option| option.ipv4.into())
}

/// Connects, and asks what every data centre answers without a key. Nothing of an account is used.
///
/// # Errors
/// What went wrong, in words.
pub async fn greet(
    address: SocketAddr,
    now_seconds: i64,
    nonce: [u8; 16],
    limit: Duration,
) -> Result<Greeting, String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        // It may hang up before it has read the question.
        if stream.write_all(&question(now_seconds, nonce)).await.is_err() {
            return Ok(Greeting::HungUp);
        }
        let mut answer = [0_u8; 25];
        match stream.read_exact(&mut answer).await {
            Ok(_) => read_answer(&answer).map(Greeting::Answered),
            Err(_) => Ok(Greeting::HungUp),
        }
    };
    tokio::time::timeout(limit, ask)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs_f32())))
}

/// A message without a key: key id zero, message id, length, body (core.telegram.org/mtproto/description).
fn question(now_seconds: i64, nonce: [u8; 16]) -> Vec<u8> {
    let mut bytes = vec![ABRIDGED, QUESTION_WORDS];
    bytes.extend_from_slice(&0_u64.to_le_bytes());
    bytes.extend_from_slice(&(now_seconds << 32).to_le_bytes());
    bytes.extend_from_slice(&20_u32.to_le_bytes());
    bytes.extend_from_slice(&REQ_PQ_MULTI.to_le_bytes());
    bytes.extend_from_slice(&nonce);
    bytes
}

/// The server's clock: the upper half of its message's id.
fn read_answer(answer: &[u8; 25]) -> Result<i64, String> {
    let (_, message) = answer.split_at(9);
    let id = message.first_chunk::<8>().map(|id| i64::from_le_bytes(*id));
    let constructor =
        message.get(12..16).and_then(|bytes| bytes.first_chunk::<4>()).map(|c| u32::from_le_bytes(*c));
    match (id, constructor) {
        (Some(id), Some(RES_PQ)) => Ok(id >> 32),
        _ => Err("what answers there does not speak MTProto".to_owned()),
    }
}

/// Signs an account in by a connection of its own, and looks at chats. Never while a daemon uses the account: one
/// authorisation key must not be used twice.
///
/// # Errors
/// [`ConnectionError`] as for a session.
pub async fn look(
    config: &TelegramConfig,
    credentials: Arc<dyn Credentials>,
    account: &Account,
    chats: &[ChatId],
    runtime: &Handle,
) -> Result<Standing, ConnectionError> {
    let session = StoredSession::load(credentials, account.id, config.address).await?;
    if session.home_key().is_none() {
        return Ok(Standing::NeverSignedIn);
    }
    let (link, _inbox) = Link::open(&Arc::new(session), config, runtime).await?;
    let asked = tokio::time::timeout(config.connect_timeout, ask(&link, account, chats)).await;
    match asked {
        Ok(Err(ConnectionError::Unreachable(_))) | Err(_) if link.key_is_unknown().await => {
            Err(ConnectionError::NeedsLogin(
                "the server does not know the account's authorisation key".to_owned(),
            ))
        }
        Ok(answer) => answer,
        Err(_) => Err(ConnectionError::Unreachable("no answer in time".to_owned())),
    }
}

async fn ask(link: &Link, account: &Account, chats: &[ChatId]) -> Result<Standing, ConnectionError> {
    link.ping().await?;
    link.session().seal();
    let request = tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] };
    let Some(tl::enums::User::User(user)) = link.call(&request).await?.into_iter().next() else {
        return Err(ConnectionError::NeedsLogin("the server names no user for the session".to_owned()));
    };
    if user.id != account.platform_id {
        return Err(ConnectionError::Refused(format!("the session belongs to user {}", user.id)));
    }
    let mut seen = BTreeMap::new();
    for chat in chats {
        let Some(input) = channel_of(*chat).and_then(|id| sources::input_channel(link.session(), id)) else {
            continue;
        };
        let found = link.call(&tl::functions::channels::GetChannels { id: vec![input] }).await;
        seen.insert(*chat, found.map_err(|error| ConnectionError::from(error).to_string()).and_then(member));
    }
    Ok(Standing::SignedIn { chats: seen })
}

/// Whether the account is in the channel.
fn member(chats: tl::enums::messages::Chats) -> Result<(), String> {
    let chats = match chats {
        tl::enums::messages::Chats::Chats(found) => found.chats,
        tl::enums::messages::Chats::Slice(found) => found.chats,
    };
    match chats.into_iter().next() {
        Some(tl::enums::Chat::Channel(channel)) if channel.left => Err("the account is no member".to_owned()),
        Some(tl::enums::Chat::Channel(_) | tl::enums::Chat::Chat(_)) => Ok(()),
        _ => Err("the account has no access".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_that_of_a_key_exchange() {
        let bytes = question(0x6920_0000, [7; 16]);
        assert_eq!(bytes.len(), 2 + usize::from(QUESTION_WORDS) * 4);
        assert_eq!(bytes[..2], [0xef, 10]);
        assert_eq!(bytes[10..18], [0, 0, 0, 0, 0, 0, 0x20, 0x69]);
        assert_eq!(bytes[22..26], [0xf1, 0x8e, 0x7e, 0xbe]);
    }

    #[test]
    fn the_server_tells_its_clock_and_strangers_are_known() {
        let mut answer = [0_u8; 25];
        answer[9..17].copy_from_slice(&((1_795_000_000_i64 << 32) | 1).to_le_bytes());
        answer[21..25].copy_from_slice(&RES_PQ.to_le_bytes());
        assert_eq!(read_answer(&answer), Ok(1_795_000_000));
        assert!(read_answer(b"HTTP/1.1 400 Bad Request\r").is_err());
    }

    #[test]
    fn telegram_is_somewhere_without_an_address_of_ours() {
        assert!(first_address().is_some_and(|address| address.port() == 443));
    }

    #[tokio::test]
    async fn a_silent_server_is_waited_for_no_longer_than_allowed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let said = greet(address, 0, [0; 16], Duration::from_millis(50)).await;
        assert!(said.is_err_and(|text| text.contains("no answer within")));
        // The first connection still waits to be accepted; the second one is closed at once.
        let closing = tokio::spawn(async move {
            for _ in 0..2 {
                drop(listener.accept().await);
            }
        });
        assert_eq!(greet(address, 0, [0; 16], Duration::from_secs(30)).await, Ok(Greeting::HungUp));
        closing.await.unwrap();
    }
}
