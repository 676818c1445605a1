//! Requests that were damaged on the way: each is refused or answered, none harms the data centre.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use grammers_tl_types::{Serializable, enums, functions as f, types};

use super::config::TelegramConfig;
use super::dc::{Call, Cut, Dc};
use super::hub::Seat;
use super::view::Blanks;
use super::world::Chat;
use crate::config::{Limits, SeedShape};
use crate::journal::Journal;
use crate::seed::Seed;
use crate::shared::Shared;

/// Damaged requests in all.
const ROUNDS: usize = 20_000;
const ME: i64 = 1001;

/// A small generator with a fixed start: a failure is the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

fn data_centre() -> (Arc<Dc>, Seat, i64) {
    let seed = Seed::new(1, SeedShape::default()).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let config = TelegramConfig { max_outgoing: ROUNDS * 4, ..TelegramConfig::default() };
    let shared = Shared::new(Limits::None);
    let dc = Dc::new(shared, &seed, config, Journal::memory(), address, Blanks::new().unwrap()).unwrap();
    dc.register_auth_key(&[5; 256], Some(ME)).unwrap();
    let key = super::crypto::AuthKey::new([5; 256]).id();
    let seat = dc.join(key);
    (Arc::new(dc), seat, key)
}

/// A message with everything that a forwarder sets.
fn send(peer: enums::InputPeer) -> f::messages::SendMessage {
    let bold = enums::MessageEntity::Bold(types::MessageEntityBold { offset: 0, length: 2 });
    let text = "some text of a message".to_owned();
    f::messages::SendMessage {
        no_webpage: false,
        silent: true,
        background: false,
        clear_draft: false,
        noforwards: true,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer,
        reply_to: None,
        message: text,
        random_id: 77,
        reply_markup: None,
        entities: Some(vec![bold; 5]),
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

/// A request of every family, as a right client would make it.
fn requests(dc: &Dc) -> Vec<Vec<u8>> {
    let channel_id = 1_000_000_001;
    let access_hash = dc.hashes.hash(ME, Chat::Channel(channel_id));
    let channel = enums::InputChannel::Channel(types::InputChannel { channel_id, access_hash });
    let peer = enums::InputPeer::Channel(types::InputPeerChannel { channel_id, access_hash });
    let history = f::messages::GetHistory {
        peer: peer.clone(),
        offset_id: 5,
        offset_date: 0,
        add_offset: -3,
        limit: 10,
        max_id: 0,
        min_id: 0,
        hash: 0,
    };
    let difference = f::updates::GetChannelDifference {
        force: true,
        channel: channel.clone(),
        filter: enums::ChannelMessagesFilter::Empty,
        pts: 1,
        limit: 10,
    };
    let common = f::updates::GetDifference {
        pts: 1,
        pts_limit: Some(5),
        pts_total_limit: None,
        date: 1,
        qts: 0,
        qts_limit: None,
    };
    let dialogs = f::messages::GetDialogs {
        exclude_pinned: false,
        folder_id: None,
        offset_date: 1,
        offset_id: 2,
        offset_peer: peer.clone(),
        limit: 10,
        hash: 0,
    };
    vec![
        send(peer.clone()).to_bytes(),
        history.to_bytes(),
        difference.to_bytes(),
        common.to_bytes(),
        dialogs.to_bytes(),
        f::channels::DeleteMessages { channel: channel.clone(), id: vec![1, 2, 3] }.to_bytes(),
        f::channels::GetFullChannel { channel }.to_bytes(),
        f::messages::ReadHistory { peer, max_id: 3 }.to_bytes(),
        f::users::GetUsers { id: vec![enums::InputUser::UserSelf; 3] }.to_bytes(),
        f::contacts::ResolveUsername { username: "sandbox_ada".to_owned(), referer: None }.to_bytes(),
        f::auth::ExportAuthorization { dc_id: 4 }.to_bytes(),
        f::account::GetPassword {}.to_bytes(),
        f::auth::CheckPassword {
            password: types::InputCheckPasswordSrp { srp_id: 5, a: vec![7; 256], m1: vec![7; 32] }.into(),
        }
        .to_bytes(),
        f::auth::ImportBotAuthorization {
            flags: 0,
            api_id: 1,
            api_hash: "0123".to_owned(),
            bot_auth_token: "3000001:AA".to_owned(),
        }
        .to_bytes(),
        f::auth::ImportLoginToken { token: vec![7; 32] }.to_bytes(),
        f::auth::AcceptLoginToken { token: vec![7; 32] }.to_bytes(),
    ]
}

#[test]
fn damaged_requests_are_refused_and_harm_nothing() {
    let (dc, mut seat, key) = data_centre();
    let call = Call { connection: seat.id, key, msg_id: 4 };
    let inited = f::InvokeWithLayer {
        layer: 230,
        query: f::InitConnection {
            api_id: 1,
            device_model: String::new(),
            system_version: String::new(),
            app_version: String::new(),
            system_lang_code: String::new(),
            lang_pack: String::new(),
            lang_code: String::new(),
            proxy: None,
            params: None,
            query: f::updates::GetState {},
        },
    };
    dc.call(call, &inited.to_bytes()).unwrap();
    let requests = requests(&dc);
    for request in &requests {
        dc.call(call, request).unwrap();
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut answered, mut malformed) = (0, 0);
    for _ in 0..ROUNDS {
        let mut bytes = requests[random.below(requests.len())].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                1 => bytes[at] = 0xff,
                2 => bytes.truncate(at.max(4)),
                _ => bytes.extend_from_slice(&requests[random.below(requests.len())]),
            }
        }
        match dc.call(call, &bytes) {
            Ok(()) => answered += 1,
            Err(Cut::Malformed(_)) => malformed += 1,
            Err(Cut::Fault | Cut::UnknownKey) => panic!("no fault was asked for"),
        }
    }
    assert!(answered > ROUNDS / 20 && malformed > ROUNDS / 20, "{answered} answered, {malformed} malformed");
    // The data centre still does what it is there for, and every call that was not malformed has its answer.
    dc.call(call, &requests[1]).unwrap();
    let mut answers = 0;
    while let Ok(message) = seat.queue.try_recv() {
        answers += usize::from(message.answers);
    }
    assert_eq!(answers, answered + requests.len() + 2);
}
