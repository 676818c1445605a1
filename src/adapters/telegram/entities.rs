//! Telegram's message entities as entities of the model, and back.

use grammers_tl_types as tl;
use switchyard_actors::model::{Entity, EntityKind, RichText, RichTextError};

/// Joins text and entities. An entity that does not lie on character bounds inside the text is left out: the text
/// matters more than its look.
pub(crate) fn rich_text(text: &str, entities: &[tl::enums::MessageEntity]) -> RichText {
    let mut entities: Vec<Entity> = entities.iter().filter_map(entity).collect();
    loop {
        match RichText::new(text, entities.clone()) {
            Ok(rich) => return rich,
            Err(RichTextError::Bounds { index, .. }) if index < entities.len() => {
                entities.remove(index);
            }
            Err(RichTextError::Bounds { .. }) => return RichText::plain(text),
        }
    }
}

fn entity(raw: &tl::enums::MessageEntity) -> Option<Entity> {
    let kind = kind(raw)?;
    let offset = usize::try_from(raw.offset()).ok()?;
    let length = usize::try_from(raw.length()).ok()?;
    Some(Entity { offset, length, kind })
}

/// `None` for what has no counterpart: the text stays, without a mark.
fn kind(raw: &tl::enums::MessageEntity) -> Option<EntityKind> {
    use tl::enums::MessageEntity as Raw;
    Some(match raw {
        Raw::Bold(_) => EntityKind::Bold,
        Raw::Italic(_) => EntityKind::Italic,
        Raw::Underline(_) => EntityKind::Underline,
        Raw::Strike(_) => EntityKind::Strikethrough,
        Raw::Spoiler(_) => EntityKind::Spoiler,
        Raw::Blockquote(quote) if quote.collapsed => EntityKind::ExpandableBlockquote,
        Raw::Blockquote(_) => EntityKind::Blockquote,
        Raw::Code(_) => EntityKind::Code,
        Raw::Pre(pre) => {
            let language = Some(pre.language.clone()).filter(|language| !language.is_empty());
            EntityKind::Pre { language }
        }
        Raw::TextUrl(link) => EntityKind::TextLink { url: link.url.clone() },
        Raw::Url(_) => EntityKind::Url,
        Raw::Email(_) => EntityKind::Email,
        Raw::Phone(_) => EntityKind::PhoneNumber,
        Raw::Mention(_) => EntityKind::Mention,
        Raw::MentionName(mention) => EntityKind::TextMention { user: mention.user_id },
        Raw::Hashtag(_) => EntityKind::Hashtag,
        Raw::Cashtag(_) => EntityKind::Cashtag,
        Raw::BotCommand(_) => EntityKind::BotCommand,
        Raw::BankCard(_) => EntityKind::BankCard,
        Raw::CustomEmoji(emoji) => EntityKind::CustomEmoji { document: emoji.document_id },
        Raw::Unknown(_)
        | Raw::InputMessageEntityMentionName(_)
        | Raw::FormattedDate(_)
        | Raw::DiffInsert(_)
        | Raw::DiffReplace(_)
        | Raw::DiffDelete(_)
        | Raw::TonAddress(_) => return None,
    })
}

/// Entities as they are sent. What the server finds by itself (addresses, mentions, hashtags, numbers) is left to it,
/// as Telegram's own clients do; a person without a username can be mentioned only where `user` knows how to name them.
pub(crate) fn to_telegram(
    rich: &RichText,
    user: impl Fn(i64) -> Option<tl::enums::InputUser>,
) -> Vec<tl::enums::MessageEntity> {
    let entities = rich.entities().iter().filter_map(|entity| {
        let offset = i32::try_from(entity.offset).ok()?;
        let length = i32::try_from(entity.length).ok()?;
        raw(&entity.kind, offset, length, &user)
    });
    entities.collect()
}

fn raw(
    kind: &EntityKind,
    offset: i32,
    length: i32,
    user: impl Fn(i64) -> Option<tl::enums::InputUser>,
) -> Option<tl::enums::MessageEntity> {
    use tl::types as t;
    let quote = |collapsed| t::MessageEntityBlockquote { collapsed, offset, length };
    Some(match kind {
        EntityKind::Bold => t::MessageEntityBold { offset, length }.into(),
        EntityKind::Italic => t::MessageEntityItalic { offset, length }.into(),
        EntityKind::Underline => t::MessageEntityUnderline { offset, length }.into(),
        EntityKind::Strikethrough => t::MessageEntityStrike { offset, length }.into(),
        EntityKind::Spoiler => t::MessageEntitySpoiler { offset, length }.into(),
        EntityKind::Blockquote => quote(false).into(),
        EntityKind::ExpandableBlockquote => quote(true).into(),
        EntityKind::Code => t::MessageEntityCode { offset, length }.into(),
        EntityKind::Pre { language } => {
            let language = language.clone().unwrap_or_default();
            t::MessageEntityPre { offset, length, language }.into()
        }
        EntityKind::TextLink { url } => t::MessageEntityTextUrl { offset, length, url: url.clone() }.into(),
        EntityKind::TextMention { user: id } => {
            t::InputMessageEntityMentionName { offset, length, user_id: user(*id)? }.into()
        }
        EntityKind::CustomEmoji { document } => {
            t::MessageEntityCustomEmoji { offset, length, document_id: *document }.into()
        }
        EntityKind::Url
        | EntityKind::Email
        | EntityKind::PhoneNumber
        | EntityKind::Mention
        | EntityKind::Hashtag
        | EntityKind::Cashtag
        | EntityKind::BotCommand
        | EntityKind::BankCard => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_reads_as_what_was_meant() {
        let entity = |kind| Entity { offset: 2, length: 2, kind };
        let kinds = [
            EntityKind::Bold,
            EntityKind::Italic,
            EntityKind::Underline,
            EntityKind::Strikethrough,
            EntityKind::Spoiler,
            EntityKind::Blockquote,
            EntityKind::ExpandableBlockquote,
            EntityKind::Code,
            EntityKind::Pre { language: None },
            EntityKind::Pre { language: Some("rust".to_owned()) },
            EntityKind::TextLink { url: "https://example.org/".to_owned() },
            EntityKind::CustomEmoji { document: 9 },
        ];
        for kind in kinds {
            let rich = RichText::new("a 😀", vec![entity(kind)]).unwrap();
            let sent = to_telegram(&rich, |_| None);
            assert_eq!(rich_text(rich.text(), &sent), rich);
        }
        let found = RichText::new("a #b", vec![entity(EntityKind::Hashtag)]).unwrap();
        assert!(to_telegram(&found, |_| None).is_empty(), "the server finds it");
        let mention = RichText::new("a b.", vec![entity(EntityKind::TextMention { user: 5 })]).unwrap();
        assert!(to_telegram(&mention, |_| None).is_empty(), "nobody we may name");
        let sent = to_telegram(&mention, |_| Some(tl::enums::InputUser::UserSelf));
        assert!(matches!(sent.as_slice(), [tl::enums::MessageEntity::InputMessageEntityMentionName(_)]));
    }

    fn bold(offset: i32, length: i32) -> tl::enums::MessageEntity {
        tl::types::MessageEntityBold { offset, length }.into()
    }

    #[test]
    fn an_entity_outside_the_text_is_left_out_and_the_others_stay() {
        let rich = rich_text("a😀b", &[bold(0, 1), bold(2, 1), bold(-1, 2), bold(1, 2), bold(3, 9)]);
        assert_eq!(rich.text(), "a😀b");
        let kept: Vec<_> = rich.entities().iter().map(|entity| (entity.offset, entity.length)).collect();
        assert_eq!(kept, [(0, 1), (1, 2)]);
    }

    #[test]
    fn entities_keep_their_data() {
        let pre = tl::types::MessageEntityPre { offset: 0, length: 2, language: "rust".to_owned() };
        let link = tl::types::MessageEntityTextUrl { offset: 0, length: 2, url: "https://e.org".to_owned() };
        let quote = tl::types::MessageEntityBlockquote { collapsed: true, offset: 0, length: 2 };
        let rich = rich_text("ab", &[pre.into(), link.into(), quote.into()]);
        let kinds: Vec<_> = rich.entities().iter().map(|entity| entity.kind.clone()).collect();
        assert!(kinds.contains(&EntityKind::Pre { language: Some("rust".to_owned()) }));
        assert!(kinds.contains(&EntityKind::TextLink { url: "https://e.org".to_owned() }));
        assert!(kinds.contains(&EntityKind::ExpandableBlockquote));
    }
}
