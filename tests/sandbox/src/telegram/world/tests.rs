//! The fold over operations: ids, pts, both sides of private conversations.

use super::*;
use crate::messages::TextEntity;

const MEMORY: Memory = Memory { log: 100, history: 50, random_ids: 10 };
const CHANNEL: i64 = 7;

fn user(id: i64) -> Op {
    Op::User(User {
        id,
        first_name: format!("User {id}"),
        last_name: None,
        username: None,
        phone: None,
        bot: false,
    })
}

fn world() -> World {
    let mut world = World::new(MEMORY);
    for id in 1..=3 {
        world.apply(user(id));
    }
    world.apply(Op::Channel(NewChannel {
        id: CHANNEL,
        title: "Group".to_owned(),
        username: Some("The_Group".to_owned()),
        kind: Kind::Megagroup,
        noforwards: false,
        creator: 1,
        at: 0,
    }));
    world.apply(Op::Member { channel: CHANNEL, user: 2, role: Some(Role::Member), at: 0 });
    world
}

fn post(chat: Chat, by: i64, text: &str) -> Post {
    Post {
        chat,
        by,
        at: 100,
        text: text.to_owned(),
        entities: Vec::<TextEntity>::new(),
        reply_to: None,
        random_id: None,
        silent: false,
        noforwards: false,
    }
}

fn entry(change: &Change) -> (i32, i32, Happening) {
    let (Change::Channel(_, entry) | Change::Mailbox(_, entry)) = change;
    (entry.pts, entry.count, entry.what.clone())
}

#[test]
fn a_channel_counts_ids_and_pts_of_its_own() {
    let mut world = world();
    let one = world.apply(Op::Post(post(Chat::Channel(CHANNEL), 1, "one")));
    let two = world.apply(Op::Post(post(Chat::Channel(CHANNEL), 2, "two")));
    assert_eq!(
        entry(&one[0]),
        (2, 1, Happening::New(2)),
        "id 1 is the service message that opens the channel"
    );
    assert_eq!(entry(&two[0]), (3, 1, Happening::New(3)));
    let edit = Edit {
        chat: Chat::Channel(CHANNEL),
        by: 1,
        id: 2,
        at: 200,
        text: "changed".to_owned(),
        entities: Vec::new(),
    };
    assert_eq!(entry(&world.apply(Op::Edit(edit))[0]), (4, 1, Happening::Edit(2)));
    let delete = Delete { channel: Some(CHANNEL), by: 1, ids: vec![2, 3, 99], revoke: true };
    let gone = world.apply(Op::Delete(delete.clone()));
    assert_eq!(entry(&gone[0]), (6, 2, Happening::Delete(vec![2, 3])), "what was not there is not counted");
    assert_eq!(world.apply(Op::Delete(delete)), []);
    assert_eq!(world.resolve("the_group"), Some(Chat::Channel(CHANNEL)));
}

#[test]
fn both_sides_of_a_private_message_follow_it() {
    let mut world = world();
    world.apply(Op::Post(post(Chat::User(1), 3, "so that the ids of both sides differ")));
    let sent = world.apply(Op::Post(post(Chat::User(2), 1, "hello")));
    assert!(matches!(sent[0], Change::Mailbox(1, _)) && matches!(sent[1], Change::Mailbox(2, _)));
    assert_eq!(entry(&sent[0]), (3, 1, Happening::New(2)));
    assert_eq!(entry(&sent[1]), (2, 1, Happening::New(1)));
    let answer = Post { reply_to: Some(1), ..post(Chat::User(1), 2, "answer") };
    world.apply(Op::Post(answer));
    let received = &world.mailbox(1).unwrap().letters[&3];
    assert_eq!(received.message.reply_to, Some(2), "the answer names the first side's own id");
    assert!(!received.out);
    let edit =
        Edit { chat: Chat::User(2), by: 1, id: 2, at: 9, text: "changed".to_owned(), entities: Vec::new() };
    assert_eq!(world.apply(Op::Edit(edit)).len(), 2);
    assert_eq!(world.mailbox(2).unwrap().letters[&1].message.text, "changed");
    let delete = Delete { channel: None, by: 2, ids: vec![1], revoke: true };
    let gone = world.apply(Op::Delete(delete));
    assert_eq!(gone.len(), 2);
    assert!(!world.mailbox(1).unwrap().letters.contains_key(&2));
    assert_eq!(world.mailbox(1).unwrap().conversations[&2].ids.len(), 1);
}

#[test]
fn a_note_to_oneself_has_one_copy() {
    let mut world = world();
    assert_eq!(world.apply(Op::Post(post(Chat::User(1), 1, "note"))).len(), 1);
    assert_eq!(world.mailbox(1).unwrap().letters.len(), 1);
}

#[test]
fn reading_tells_the_other_side() {
    let mut world = world();
    world.apply(Op::Post(post(Chat::User(2), 1, "one")));
    world.apply(Op::Post(post(Chat::User(2), 1, "two")));
    world.apply(Op::Read { user: 2, chat: Chat::User(1), max_id: 1 });
    assert_eq!(world.mailbox(2).unwrap().conversations[&1].read, 1);
    assert_eq!(world.mailbox(1).unwrap().conversations[&2].read_by_peer, 1);
}

#[test]
fn memory_is_bounded() {
    let mut world = world();
    for n in 0..200 {
        world.apply(Op::Post(Post { random_id: Some(n), ..post(Chat::Channel(CHANNEL), 1, "x") }));
        world.apply(Op::Post(post(Chat::User(2), 1, "x")));
    }
    assert_eq!(world.channels[&CHANNEL].messages.len(), MEMORY.history);
    let mailbox = world.mailbox(1).unwrap();
    assert_eq!(mailbox.letters.len(), MEMORY.history);
    assert_eq!(mailbox.conversations[&2].ids.len(), MEMORY.history);
    assert!(mailbox.sent.contains(199) && mailbox.sent.contains(190) && !mailbox.sent.contains(189));
    assert!(world.channels[&CHANNEL].log.since(1).is_none());
}

#[test]
fn a_journal_makes_the_same_world_again() {
    let ops = [
        Op::Post(post(Chat::Channel(CHANNEL), 1, "one")),
        Op::Key { key: hex::encode([5_u8; 256]) },
        Op::Post(Post { random_id: Some(9), reply_to: Some(2), ..post(Chat::Channel(CHANNEL), 2, "two") }),
    ];
    let (mut first, mut second) = (world(), world());
    for op in ops {
        let line = serde_json::to_string(&op).unwrap();
        assert!(!format!("{op:?}").contains("one"), "texts are not in debug output");
        second.apply(serde_json::from_str(&line).unwrap());
        first.apply(op);
    }
    assert_eq!(first.channels[&CHANNEL].messages, second.channels[&CHANNEL].messages);
    assert_eq!(first.channels[&CHANNEL].log.pts(), second.channels[&CHANNEL].log.pts());
    assert_eq!(second.keys.len(), 1);
}

#[test]
fn a_key_signs_in_out_and_is_revoked() {
    let mut world = world();
    world.apply(Op::Key { key: hex::encode([5_u8; 256]) });
    let key = super::super::crypto::AuthKey::new([5; 256]).id();
    assert_eq!(world.keys.standing(key), Some(Standing::Unregistered));
    world.apply(Op::SignIn { key, user: 1 });
    assert_eq!(world.keys.of_user(1).collect::<Vec<_>>(), [key]);
    world.apply(Op::Revoke { key });
    assert_eq!(world.keys.standing(key), Some(Standing::Revoked));
    assert_eq!(world.keys.of_user(1).count(), 0);
    world.apply(Op::SignIn { key, user: 2 });
    world.apply(Op::SignOut { key });
    assert_eq!(world.keys.standing(key), Some(Standing::Unregistered));
    assert_eq!(world.keys.standing(1), None);
}
