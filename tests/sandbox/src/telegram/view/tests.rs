//! Entities in both forms, and what different accounts see of the same thing.

use grammers_tl_types::{enums, types};

use super::super::world::{Memory, NewChannel, Op, User};
use super::*;
use crate::messages::{EntityKind, MentionedUser};

fn entity(kind: EntityKind, offset: u32, length: u32) -> TextEntity {
    TextEntity { kind, offset, length, url: None, language: None, user: None, custom_emoji_id: None }
}

#[test]
fn every_kind_of_entity_survives_the_way_through_the_schema() {
    use EntityKind::*;
    let plain = [
        Mention,
        Hashtag,
        Cashtag,
        BotCommand,
        Url,
        Email,
        PhoneNumber,
        Bold,
        Italic,
        Underline,
        Strikethrough,
        Spoiler,
        Blockquote,
        ExpandableBlockquote,
        Code,
        Pre,
    ];
    let mut all: Vec<TextEntity> = plain.into_iter().map(|kind| entity(kind, 1, 2)).collect();
    all.push(TextEntity { language: Some("rust".to_owned()), ..entity(Pre, 1, 2) });
    all.push(TextEntity { url: Some("https://example.com/".to_owned()), ..entity(TextLink, 1, 2) });
    all.push(TextEntity {
        custom_emoji_id: Some("5368324170671202286".to_owned()),
        ..entity(CustomEmoji, 1, 2)
    });
    for entity in all {
        let schema = entities::to_schema(&entity).unwrap();
        assert_eq!(entities::from_schema(&schema, |_| None), Ok(Some(entity)));
    }
    let mention = TextEntity { user: Some(MentionedUser { id: 5 }), ..entity(TextMention, 0, 1) };
    let schema = entities::to_schema(&mention).unwrap();
    assert!(matches!(&schema, enums::MessageEntity::MentionName(e) if e.user_id == 5));
    let input = enums::MessageEntity::InputMessageEntityMentionName(types::InputMessageEntityMentionName {
        offset: 0,
        length: 1,
        user_id: enums::InputUser::UserSelf,
    });
    assert_eq!(entities::from_schema(&input, |_| Some(5)), Ok(Some(mention)));
    assert_eq!(entities::from_schema(&input, |_| None), Ok(None));
}

#[test]
fn texts_are_held_to_telegrams_rules() {
    use entities::{TextError, check};
    let bold = |offset, length| vec![entity(EntityKind::Bold, offset, length)];
    assert_eq!(check(" \n", Vec::new()), Err(TextError::Empty));
    assert_eq!(check(&"a".repeat(4096), Vec::new()), Ok(Vec::new()));
    assert_eq!(check(&"a".repeat(4097), Vec::new()), Err(TextError::TooLong));
    assert_eq!(check(&"😀".repeat(2049), Vec::new()), Err(TextError::TooLong));
    assert!(check("a😀b", bold(1, 2)).is_ok());
    assert_eq!(check("a😀b", bold(2, 1)), Err(TextError::Bounds), "half a character");
    assert_eq!(check("ab", bold(1, 2)), Err(TextError::Bounds));
    assert_eq!(check("ab", bold(0, 0)), Err(TextError::Bounds));
    assert_eq!(check("ab", bold(u32::MAX, 1)), Err(TextError::Bounds));
    assert_eq!(check("ab", vec![entity(EntityKind::TextLink, 0, 1)]), Err(TextError::Value));
    let many = vec![entity(EntityKind::Bold, 0, 1); 150];
    assert_eq!(check("ab", many).unwrap().len(), 100);
}

#[test]
fn who_is_not_a_member_sees_only_that_a_private_channel_exists() {
    let mut world = World::new(Memory { log: 10, history: 10, random_ids: 10 });
    for id in [1, 2] {
        let phone = Some(format!("99{id}"));
        world.apply(Op::User(User {
            id,
            first_name: "A".to_owned(),
            last_name: None,
            username: None,
            phone,
            bot: false,
        }));
    }
    world.apply(Op::Channel(NewChannel {
        id: 7,
        title: "Private".to_owned(),
        username: None,
        kind: Kind::Broadcast,
        noforwards: true,
        creator: 1,
        at: 0,
    }));
    let (blanks, hashes) = (Blanks::new().unwrap(), AccessHashes::new(b"seed"));
    let view = |me| View { world: &world, blanks: &blanks, hashes: &hashes, me };
    let enums::Chat::Channel(seen) = view(1).channel(7).unwrap() else { panic!("the creator sees it") };
    assert!(seen.creator && seen.broadcast && seen.noforwards && seen.admin_rights.is_some());
    assert!(matches!(view(2).channel(7), Some(enums::Chat::ChannelForbidden(_))));
    let enums::User::User(own) = view(1).user(1).unwrap() else { panic!("a user") };
    let enums::User::User(other) = view(2).user(1).unwrap() else { panic!("a user") };
    assert!(own.is_self && own.phone.is_some());
    assert!(!other.is_self && other.phone.is_none());
    assert_ne!(own.access_hash, other.access_hash);
}
