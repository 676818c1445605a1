//! A call without the wrappers around it, and what can be said of it before it is read in full.

use grammers_tl_types::{Cursor, Deserializable, Identifiable, deserialize, functions, types};

use super::super::wire::{self, Malformed};

/// Wrappers around one call; no client needs more than a few.
const MAX_WRAPPERS: usize = 8;
/// Objects that can hold objects of their own kind, in one call. Reading them is recursive, so they are counted first.
const MAX_NESTED: usize = 64;

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Constructor id of the method.
    pub(crate) method: u32,
    /// The method with its parameters, constructor id included.
    pub(crate) body: Vec<u8>,
    /// The layer that the client said it speaks, if it did with this call.
    pub(crate) layer: Option<i32>,
    /// Whether the call came inside `initConnection`.
    pub(crate) inits: bool,
    /// Whether the connection is to get updates from now on.
    pub(crate) subscribes: bool,
}

/// Whatever follows in a wrapper.
struct Rest(Vec<u8>);

impl Deserializable for Rest {
    fn deserialize(buf: &mut Cursor<'_>) -> deserialize::Result<Self> {
        let mut rest = Vec::new();
        buf.read_to_end(&mut rest)?;
        Ok(Self(rest))
    }
}

impl Request {
    /// Takes the wrappers off a call.
    pub(crate) fn unwrap(body: &[u8]) -> Result<Self, Malformed> {
        if nested(body) > MAX_NESTED {
            return Err(Malformed::Schema);
        }
        let mut request =
            Self { method: 0, body: body.to_vec(), layer: None, inits: false, subscribes: true };
        for _ in 0..MAX_WRAPPERS {
            request.body = wire::unpack(request.body)?;
            let mut cursor = Cursor::from_slice(&request.body);
            let rest = match u32::deserialize(&mut cursor)? {
                functions::InvokeWithLayer::<Rest>::CONSTRUCTOR_ID => {
                    let wrapper = functions::InvokeWithLayer::<Rest>::deserialize(&mut cursor)?;
                    request.layer = Some(wrapper.layer);
                    wrapper.query
                }
                functions::InitConnection::<Rest>::CONSTRUCTOR_ID => {
                    request.inits = true;
                    functions::InitConnection::<Rest>::deserialize(&mut cursor)?.query
                }
                functions::InvokeWithoutUpdates::<Rest>::CONSTRUCTOR_ID => {
                    request.subscribes = false;
                    functions::InvokeWithoutUpdates::<Rest>::deserialize(&mut cursor)?.query
                }
                // Calls of a connection are handled in order, so what is to come after another call does.
                functions::InvokeAfterMsg::<Rest>::CONSTRUCTOR_ID => {
                    functions::InvokeAfterMsg::<Rest>::deserialize(&mut cursor)?.query
                }
                functions::InvokeAfterMsgs::<Rest>::CONSTRUCTOR_ID => {
                    functions::InvokeAfterMsgs::<Rest>::deserialize(&mut cursor)?.query
                }
                method => {
                    if nested(&request.body) > MAX_NESTED {
                        return Err(Malformed::Schema);
                    }
                    return Ok(Self { method, ..request });
                }
            };
            request.body = rest.0;
        }
        Err(Malformed::Schema)
    }

    /// Whether faults leave the call alone: with it every client begins a connection.
    pub(crate) const fn is_spared(&self) -> bool {
        self.method == functions::help::GetConfig::CONSTRUCTOR_ID
    }

    /// Whether the method is closed to bots: its page at core.telegram.org/methods says that only users can use it.
    pub(crate) const fn is_for_users(&self) -> bool {
        use functions::{account, auth, channels, contacts, messages};
        matches!(
            self.method,
            account::GetAuthorizations::CONSTRUCTOR_ID
                | account::GetPassword::CONSTRUCTOR_ID
                | account::UpdateStatus::CONSTRUCTOR_ID
                | auth::AcceptLoginToken::CONSTRUCTOR_ID
                | auth::ResetAuthorizations::CONSTRUCTOR_ID
                | channels::JoinChannel::CONSTRUCTOR_ID
                | channels::ReadHistory::CONSTRUCTOR_ID
                | contacts::GetContacts::CONSTRUCTOR_ID
                | contacts::Search::CONSTRUCTOR_ID
                | messages::GetDialogFilters::CONSTRUCTOR_ID
                | messages::GetDialogs::CONSTRUCTOR_ID
                | messages::GetHistory::CONSTRUCTOR_ID
                | messages::GetMessagesViews::CONSTRUCTOR_ID
                | messages::GetPeerDialogs::CONSTRUCTOR_ID
                | messages::GetPinnedDialogs::CONSTRUCTOR_ID
                | messages::GetReplies::CONSTRUCTOR_ID
                | messages::GetSearchCounters::CONSTRUCTOR_ID
                | messages::GetUnreadMentions::CONSTRUCTOR_ID
                | messages::ImportChatInvite::CONSTRUCTOR_ID
                | messages::ReadHistory::CONSTRUCTOR_ID
                | messages::Search::CONSTRUCTOR_ID
                | messages::SearchGlobal::CONSTRUCTOR_ID
        )
    }

    /// Whether the call is for those who are signed in. The others are the way to sign in.
    pub(crate) const fn needs_sign_in(&self) -> bool {
        !matches!(
            self.method,
            functions::help::GetConfig::CONSTRUCTOR_ID
                | functions::help::GetAppConfig::CONSTRUCTOR_ID
                | functions::help::GetNearestDc::CONSTRUCTOR_ID
                | functions::auth::SendCode::CONSTRUCTOR_ID
                | functions::auth::CancelCode::CONSTRUCTOR_ID
                | functions::auth::SignIn::CONSTRUCTOR_ID
                | functions::auth::SignUp::CONSTRUCTOR_ID
                | functions::auth::ImportBotAuthorization::CONSTRUCTOR_ID
                | functions::auth::ExportLoginToken::CONSTRUCTOR_ID
                | functions::auth::ImportLoginToken::CONSTRUCTOR_ID
                | functions::auth::CheckPassword::CONSTRUCTOR_ID
                | functions::account::GetPassword::CONSTRUCTOR_ID
        )
    }

    /// Whether the call writes something that others see: only there does an answer that is lost make a difference.
    pub(crate) const fn has_effect(&self) -> bool {
        matches!(
            self.method,
            functions::messages::SendMessage::CONSTRUCTOR_ID
                | functions::messages::EditMessage::CONSTRUCTOR_ID
                | functions::messages::DeleteMessages::CONSTRUCTOR_ID
                | functions::channels::DeleteMessages::CONSTRUCTOR_ID
        )
    }
}

/// How many objects in these bytes may hold others of their own kind. Everything in the schema is aligned to four
/// bytes, so a constructor id can only stand at a multiple of four; a text that looks like one is counted too.
fn nested(bytes: &[u8]) -> usize {
    let words = bytes.chunks_exact(4).filter_map(|word| word.first_chunk::<4>());
    words.filter(|word| NESTING.contains(&u32::from_le_bytes(**word))).count()
}

/// Constructors that hold objects of their own kind, directly or not, as far as the served methods can be sent them.
const NESTING: [u32; 38] = [
    types::InputPeerUserFromMessage::CONSTRUCTOR_ID,
    types::InputPeerChannelFromMessage::CONSTRUCTOR_ID,
    types::InputMediaInvoice::CONSTRUCTOR_ID,
    types::InputMediaPoll::CONSTRUCTOR_ID,
    types::InputMediaPaidMedia::CONSTRUCTOR_ID,
    types::JsonArray::CONSTRUCTOR_ID,
    types::JsonObject::CONSTRUCTOR_ID,
    types::PageBlockList::CONSTRUCTOR_ID,
    types::PageBlockCover::CONSTRUCTOR_ID,
    types::PageBlockEmbedPost::CONSTRUCTOR_ID,
    types::PageBlockCollage::CONSTRUCTOR_ID,
    types::PageBlockSlideshow::CONSTRUCTOR_ID,
    types::PageBlockOrderedList::CONSTRUCTOR_ID,
    types::PageBlockDetails::CONSTRUCTOR_ID,
    types::PageBlockBlockquoteBlocks::CONSTRUCTOR_ID,
    types::PageListItemBlocks::CONSTRUCTOR_ID,
    types::PageListOrderedItemBlocks::CONSTRUCTOR_ID,
    types::MessageMediaWebPage::CONSTRUCTOR_ID,
    types::WebPage::CONSTRUCTOR_ID,
    types::TextBold::CONSTRUCTOR_ID,
    types::TextItalic::CONSTRUCTOR_ID,
    types::TextUnderline::CONSTRUCTOR_ID,
    types::TextStrike::CONSTRUCTOR_ID,
    types::TextFixed::CONSTRUCTOR_ID,
    types::TextUrl::CONSTRUCTOR_ID,
    types::TextEmail::CONSTRUCTOR_ID,
    types::TextConcat::CONSTRUCTOR_ID,
    types::TextSubscript::CONSTRUCTOR_ID,
    types::TextSuperscript::CONSTRUCTOR_ID,
    types::TextMarked::CONSTRUCTOR_ID,
    types::TextPhone::CONSTRUCTOR_ID,
    types::TextAnchor::CONSTRUCTOR_ID,
    types::TextSpoiler::CONSTRUCTOR_ID,
    types::TextMention::CONSTRUCTOR_ID,
    types::TextHashtag::CONSTRUCTOR_ID,
    types::TextBotCommand::CONSTRUCTOR_ID,
    types::TextCashtag::CONSTRUCTOR_ID,
    types::TextButton::CONSTRUCTOR_ID,
];

#[cfg(test)]
mod tests {
    use grammers_tl_types::{Serializable, enums};

    use super::*;

    #[test]
    fn wrappers_come_off_in_any_order() {
        let body = functions::InvokeWithLayer {
            layer: 230,
            query: functions::InvokeWithoutUpdates {
                query: functions::InitConnection {
                    api_id: 1,
                    device_model: "d".to_owned(),
                    system_version: "s".to_owned(),
                    app_version: "a".to_owned(),
                    system_lang_code: "en".to_owned(),
                    lang_pack: String::new(),
                    lang_code: "en".to_owned(),
                    proxy: None,
                    params: None,
                    query: functions::help::GetConfig {},
                },
            },
        };
        let request = Request::unwrap(&body.to_bytes()).unwrap();
        assert_eq!(request.method, functions::help::GetConfig::CONSTRUCTOR_ID);
        assert_eq!((request.layer, request.inits, request.subscribes), (Some(230), true, false));
        assert!(request.is_spared());
        let plain = functions::InvokeAfterMsg { msg_id: 5, query: functions::updates::GetState {} };
        let request = Request::unwrap(&plain.to_bytes()).unwrap();
        assert_eq!(request.method, functions::updates::GetState::CONSTRUCTOR_ID);
        assert_eq!((request.layer, request.inits, request.subscribes), (None, false, true));
    }

    #[test]
    fn endless_nesting_is_refused_before_it_is_read() {
        let mut body = functions::messages::GetHistory::CONSTRUCTOR_ID.to_bytes();
        for _ in 0..200_000 {
            types::InputPeerUserFromMessage::CONSTRUCTOR_ID.serialize(&mut body);
        }
        assert_eq!(Request::unwrap(&body), Err(Malformed::Schema));
        let mut wrapped = Vec::new();
        for _ in 0..100 {
            functions::InvokeWithoutUpdates::<Rest>::CONSTRUCTOR_ID.serialize(&mut wrapped);
        }
        assert_eq!(Request::unwrap(&wrapped), Err(Malformed::Schema));
    }

    #[test]
    fn a_few_nested_objects_are_fine() {
        let body = functions::messages::GetHistory {
            peer: enums::InputPeer::UserFromMessage(Box::new(types::InputPeerUserFromMessage {
                peer: enums::InputPeer::PeerSelf,
                msg_id: 1,
                user_id: 2,
            })),
            offset_id: 0,
            offset_date: 0,
            add_offset: 0,
            limit: 1,
            max_id: 0,
            min_id: 0,
            hash: 0,
        };
        assert!(Request::unwrap(&body.to_bytes()).is_ok());
    }
}
