//! What a pair does with an event, and where long texts break.

use chrono::DateTime;
use uuid::Uuid;

use super::{Facts, PipelineLimits, plan};
use crate::model::{
    AccountId, Author, ChatId, Entity, EntityKind, EventKind, Message, MessageId, NewDelivery, Pair, PairId,
    PartBody, Place, Platform, Restriction, RichText, RouteVerdict, Sender, SenderKind, SkipReason,
    SourceEvent, UserId,
};

fn place(platform: Platform) -> Place {
    Place { platform, chat: ChatId::new(10).unwrap(), thread: None }
}

fn pair(target: Platform) -> Pair {
    let id = Uuid::from_u128(1);
    Pair {
        id: PairId::from_uuid(id),
        user: UserId::from_uuid(id),
        source_account: AccountId::from_uuid(id),
        source: place(Platform::Telegram),
        target_account: AccountId::from_uuid(id),
        target: place(target),
        paused: std::collections::BTreeSet::new(),
    }
}

fn message(text: RichText) -> Message {
    Message {
        place: place(Platform::Telegram),
        id: MessageId::new(1).unwrap(),
        sender: None,
        sent_at: DateTime::UNIX_EPOCH,
        edited_at: None,
        text,
        reply_to: None,
        album: None,
        attachments: Vec::new(),
        restrictions: Vec::new(),
        own: false,
    }
}

fn entity(offset: usize, length: usize, kind: EntityKind) -> Entity {
    Entity { offset, length, kind }
}

fn discord(text: RichText, limit: usize) -> Vec<String> {
    let limits = PipelineLimits { discord_code_points: limit, ..PipelineLimits::default() };
    let parts = super::parts(&text, Platform::Discord, &limits);
    parts
        .into_iter()
        .map(|part| match part {
            PartBody::Markdown { content, author: None } => content,
            other => panic!("Discord takes markdown, not {other:?}"),
        })
        .collect()
}

#[test]
fn the_target_decides_the_form() {
    let text = RichText::new("hi there", vec![entity(3, 5, EntityKind::Bold)]).unwrap();
    let event = SourceEvent::New(message(text.clone()));
    let deliver = |part| {
        RouteVerdict::Deliver(NewDelivery { action: EventKind::New, parts: vec![part], reply_to: None })
    };
    let facts = Facts::default();
    let limits = PipelineLimits::default();
    let nobody = Author { name: None, via: Platform::Telegram };
    let markdown = PartBody::Markdown { content: "hi **there**".to_owned(), author: Some(nobody) };
    assert_eq!(plan(&event, &pair(Platform::Discord), facts, &limits), deliver(markdown));
    assert_eq!(plan(&event, &pair(Platform::Telegram), facts, &limits), deliver(PartBody::Rich { text }));
}

#[test]
fn a_copy_on_discord_comes_with_its_authors_name() {
    let sender = Sender { id: 5, name: "Ada".to_owned(), kind: SenderKind::Person };
    let event = SourceEvent::New(Message { sender: Some(sender), ..message(RichText::plain("hi")) });
    let planned = plan(&event, &pair(Platform::Discord), Facts::default(), &PipelineLimits::default());
    let author = Author { name: Some("Ada".to_owned()), via: Platform::Telegram };
    let parts = vec![PartBody::Markdown { content: "hi".to_owned(), author: Some(author) }];
    let new = NewDelivery { action: EventKind::New, parts, reply_to: None };
    assert_eq!(planned, RouteVerdict::Deliver(new));
}

#[test]
fn what_may_not_go_is_skipped_for_its_reason() {
    let limits = PipelineLimits::default();
    let plain = message(RichText::plain("x"));
    let skip = |event: SourceEvent| match plan(&event, &pair(Platform::Discord), Facts::default(), &limits) {
        RouteVerdict::Skip(reason) => reason,
        RouteVerdict::Deliver(delivery) => panic!("delivered {delivery:?}"),
    };
    let protected = Message { restrictions: vec![Restriction::Protected], ..plain.clone() };
    assert_eq!(skip(SourceEvent::New(protected.clone())), SkipReason::Restricted(Restriction::Protected));
    assert_eq!(skip(SourceEvent::Edited(protected)), SkipReason::Restricted(Restriction::Protected));
    assert_eq!(skip(SourceEvent::Edited(plain.clone())), SkipReason::NotForwarded);
    let deleted = SourceEvent::Deleted { place: plain.place, id: plain.id };
    assert_eq!(skip(deleted), SkipReason::NotForwarded);
    for text in ["word ".repeat(200_000), "*".repeat(60_000)] {
        let endless = SourceEvent::New(message(RichText::plain(text)));
        assert_eq!(skip(endless), SkipReason::Unsupported, "more parts than allowed");
    }
}

fn follow(event: SourceEvent, copies: u16) -> RouteVerdict {
    let facts = Facts { is_copy: false, parts: Some(copies) };
    plan(&event, &pair(Platform::Telegram), facts, &PipelineLimits::default())
}

fn rich(text: &str) -> PartBody {
    PartBody::Rich { text: RichText::plain(text) }
}

#[test]
fn an_edit_goes_to_the_copies_and_takes_what_is_left_over() {
    let deliver =
        |parts| RouteVerdict::Deliver(NewDelivery { action: EventKind::Edited, parts, reply_to: None });
    let answer = Message { reply_to: MessageId::new(3).ok(), ..message(RichText::plain("new words")) };
    let edited = SourceEvent::Edited(answer);
    assert_eq!(follow(edited.clone(), 1), deliver(vec![rich("new words")]));
    assert_eq!(follow(edited, 2), deliver(vec![rich("new words"), PartBody::Deletion]));
    let longer = SourceEvent::Edited(message(RichText::plain("word ".repeat(1_000))));
    assert_eq!(follow(longer.clone(), 1), RouteVerdict::Skip(SkipReason::EditTooLong));
    assert!(matches!(follow(longer, 2), RouteVerdict::Deliver(edit) if edit.parts.len() == 2));
}

#[test]
fn a_deletion_takes_every_copy() {
    let plain = message(RichText::plain("x"));
    let deleted = SourceEvent::Deleted { place: plain.place, id: plain.id };
    let parts = vec![PartBody::Deletion; 3];
    let all = NewDelivery { action: EventKind::Deleted, parts, reply_to: None };
    assert_eq!(follow(deleted.clone(), 3), RouteVerdict::Deliver(all));
    assert_eq!(follow(deleted, 0), RouteVerdict::Skip(SkipReason::NotForwarded));
}

#[test]
fn a_copy_never_goes_on_and_an_answer_names_what_it_answers() {
    let limits = PipelineLimits::default();
    let target = pair(Platform::Discord);
    let copy = Facts { is_copy: true, parts: Some(1) };
    let answer = Message { reply_to: MessageId::new(3).ok(), ..message(RichText::plain("x")) };
    for event in [SourceEvent::New(answer.clone()), SourceEvent::Edited(answer.clone())] {
        assert_eq!(plan(&event, &target, copy, &limits), RouteVerdict::Skip(SkipReason::Loop));
    }
    match plan(&SourceEvent::New(answer), &target, Facts::default(), &limits) {
        RouteVerdict::Deliver(delivery) => assert_eq!(delivery.reply_to, MessageId::new(3).ok()),
        RouteVerdict::Skip(reason) => panic!("skipped: {reason:?}"),
    }
}

#[test]
fn a_text_of_4096_special_characters_needs_five_parts() {
    let parts = discord(RichText::plain("*".repeat(4_096)), 2_000);
    assert_eq!(parts.len(), 5);
    assert!(parts.iter().all(|part| part.chars().count() <= 2_000));
    assert_eq!(parts.concat(), r"\*".repeat(4_096), "no escape is torn");
}

#[test]
fn breaks_are_chosen_paragraph_line_sentence_space() {
    let (a, b) = ("a".repeat(40), "b".repeat(40));
    let first = |text: String| discord(RichText::plain(text), 64).swap_remove(0);
    assert_eq!(first(format!("{a}\n\nx y\nz. q {b}")), a);
    assert_eq!(first(format!("{a}\nx y. q {b}")), a);
    assert_eq!(first(format!("{a} x. y q {b}")), format!("{a} x."));
    assert_eq!(first(format!("{a} x y {b}")), format!("{a} x y"));
    assert_eq!(first(format!("{a}{b}")), format!("{a}{}", "b".repeat(24)));
    assert_eq!(first(format!("x\n\n{a}{b}")), format!("x\n\n{a}{}", "b".repeat(21)), "too early to break");
}

#[test]
fn a_break_never_cuts_what_belongs_together() {
    let link = EntityKind::TextLink { url: "https://a.org".to_owned() };
    let cases = [
        ("@some_name", Some(EntityKind::Mention), r"@some\_name"),
        ("https://example.org/page", None, "https://example.org/page"),
        ("two words", Some(link), "[two words](<https://a.org>)"),
        ("👨‍👩‍👧", None, "👨‍👩‍👧"),
        ("e\u{301}\u{302}\u{303}\u{304}", None, "e\u{301}\u{302}\u{303}\u{304}"),
    ];
    for (whole, kind, want) in cases {
        let entities = kind.map(|kind| entity(61, whole.encode_utf16().count(), kind));
        let text = format!("{}-{whole}", "x".repeat(60));
        let parts = discord(RichText::new(text, entities.into_iter().collect()).unwrap(), 64);
        assert_eq!(parts, [format!("{}-", "x".repeat(60)), want.to_owned()]);
    }
}

#[test]
fn marks_and_fences_close_and_open_again_at_a_break() {
    let words = "word ".repeat(30);
    let bold = RichText::new(words.clone(), vec![entity(0, 149, EntityKind::Bold)]).unwrap();
    for part in discord(bold, 64) {
        assert!(part.starts_with("**word") && part.ends_with("word**"), "{part}");
    }
    let code = "    let x = 1;\n".repeat(20);
    let kind = EntityKind::Pre { language: Some("rust".to_owned()) };
    let pre = RichText::new(code, vec![entity(0, 300, kind)]).unwrap();
    let parts = discord(pre, 64);
    assert!(parts.len() > 1);
    for part in &parts[1..] {
        assert!(part.starts_with("```rust\n    let x = 1;\n") && part.ends_with("let x = 1;\n```"), "{part}");
    }
    let quote = RichText::new(words, vec![entity(0, 149, EntityKind::Blockquote)]).unwrap();
    assert!(discord(quote, 64).iter().all(|part| part.starts_with("> word")));
}

#[test]
fn telegram_parts_count_utf16_units() {
    let text = RichText::plain("😀".repeat(3_000));
    let parts = super::parts(&text, Platform::Telegram, &PipelineLimits::default());
    let lengths: Vec<usize> = parts
        .iter()
        .map(|part| match part {
            PartBody::Rich { text } => text.len_utf16(),
            other => panic!("Telegram takes entities, not {other:?}"),
        })
        .collect();
    assert_eq!(lengths, [4_096, 1_904]);
}

#[test]
fn telegram_parts_hold_at_most_as_many_entities_as_are_kept() {
    let entities = (0..250).map(|n| entity(n * 2, 1, EntityKind::Bold)).collect();
    let text = RichText::new("a ".repeat(250), entities).unwrap();
    let parts = super::parts(&text, Platform::Telegram, &PipelineLimits::default());
    let counts: Vec<usize> = parts
        .iter()
        .map(|part| match part {
            PartBody::Rich { text } => text.entities().len(),
            other => panic!("Telegram takes entities, not {other:?}"),
        })
        .collect();
    assert_eq!(counts, [100, 100, 50]);
}
