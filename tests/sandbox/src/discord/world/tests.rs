//! What is remembered, for how long, and what is forgotten.

use super::*;
use crate::config::SeedShape;

fn message(world: &World, id: u64, nonce: Option<Nonce>, at: DateTime<Utc>) -> Message {
    Message {
        id,
        channel: *world.channels.keys().next().unwrap(),
        author: world.persons[0],
        content: "text".to_owned(),
        at,
        edited_at: None,
        nonce,
        reply_to: None,
        mentions: Vec::new(),
        mention_everyone: false,
        flags: 0,
        persona: None,
    }
}

fn world() -> World {
    World::new(&Seed::new(1, SeedShape::default()).unwrap(), Duration::from_secs(180), 2_000)
}

#[test]
fn a_nonce_finds_its_message_for_a_few_minutes() {
    let mut world = world();
    let at = DateTime::from_timestamp(1_000_000, 0).unwrap();
    let nonce = Nonce::Text("7".to_owned());
    let first = message(&world, 5, Some(nonce.clone()), at);
    world.apply(Op::Created(first.clone()));
    let find = |author, channel, nonce, seconds| {
        world.by_nonce(author, channel, nonce, at + TimeDelta::seconds(seconds)).map(|found| found.id)
    };
    assert_eq!(find(first.author, first.channel, &nonce, 179), Some(5));
    assert_eq!(find(first.author, first.channel, &nonce, 180), None);
    assert_eq!(find(first.author, first.channel, &Nonce::Number(7), 0), None);
    assert_eq!(find(world.persons[1], first.channel, &nonce, 0), None);
    assert_eq!(find(first.author, first.channel + 1, &nonce, 0), None);
}

#[test]
fn forgotten_nonces_and_old_messages_take_no_room() {
    let mut world = world();
    let at = DateTime::from_timestamp(1_000_000, 0).unwrap();
    for number in 0..5000_i64 {
        let later = at + TimeDelta::seconds(number);
        let id = u64::try_from(number).unwrap() + 1;
        let next = message(&world, id, Some(Nonce::Number(number)), later);
        world.apply(Op::Created(next));
    }
    assert!(world.nonces.len() < 2048, "{}", world.nonces.len());
    let kept: Vec<_> = world.channels.values().next().unwrap().messages.keys().copied().collect();
    assert_eq!(kept, (3001..=5000).collect::<Vec<_>>(), "nor do the oldest messages");
}
