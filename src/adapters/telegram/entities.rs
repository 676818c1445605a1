//! Telegram's message entities as entities of the model.

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

#[cfg(test)]
mod tests {
    use super::*;

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
