//! Objects of the schema with every optional field absent, to be filled in with `..blank`.
//!
//! They are read from their shortest serialisation, so that the many fields which this server never sets are named
//! nowhere, and an upgrade of the schema that adds optional fields changes nothing here.

use grammers_tl_types::deserialize::Error;
use grammers_tl_types::{Cursor, Deserializable, Serializable, enums, types};

/// One of each.
#[derive(Debug, Clone)]
pub(crate) struct Blanks {
    pub(super) user: types::User,
    pub(super) user_full: types::UserFull,
    pub(super) channel: types::Channel,
    pub(super) channel_full: types::ChannelFull,
    pub(super) message: types::Message,
    pub(super) service: types::MessageService,
    pub(super) reply: types::MessageReplyHeader,
    pub(super) dialog: types::Dialog,
    pub(super) admin: types::ChatAdminRights,
    pub(super) banned: types::ChatBannedRights,
}

impl Blanks {
    /// Reads them all.
    ///
    /// # Errors
    /// If the schema has gained fields that are not optional.
    pub(crate) fn new() -> Result<Self, Error> {
        let notify = enums::PeerNotifySettings::Settings(read(|out| 0_u32.serialize(out))?);
        let nobody = enums::Peer::User(types::PeerUser { user_id: 0 });
        let settings = enums::PeerSettings::Settings(read(|out| 0_u32.serialize(out))?);
        let opening = types::MessageActionChannelCreate { title: String::new() };
        let action = enums::MessageAction::ChannelCreate(opening);
        let no_photo = enums::Photo::Empty(types::PhotoEmpty { id: 0 });
        Ok(Self {
            user: read(|out| write(out, &[&0_u32, &0_u32, &0_i64]))?,
            user_full: read(|out| write(out, &[&0_u32, &0_u32, &0_i64, &settings, &notify, &0_i32]))?,
            channel: read(|out| {
                let title = String::new();
                write(out, &[&0_u32, &0_u32, &0_i64, &title, &enums::ChatPhoto::Empty, &0_i32]);
            })?,
            channel_full: read(|out| {
                write(out, &[&0_u32, &0_u32, &0_i64, &String::new(), &0_i32, &0_i32, &0_i32]);
                write(out, &[&no_photo, &notify, &Vec::<enums::BotInfo>::new(), &0_i32]);
            })?,
            message: read(|out| write(out, &[&0_u32, &0_u32, &0_i32, &nobody, &0_i32, &String::new()]))?,
            service: read(|out| write(out, &[&0_u32, &0_i32, &nobody, &0_i32, &action]))?,
            reply: read(|out| 0_u32.serialize(out))?,
            dialog: read(|out| {
                write(out, &[&0_u32, &nobody]);
                write(out, &[&0_i32; 7].map(|zero| -> &dyn Field { zero }));
                write(out, &[&notify]);
            })?,
            admin: read(|out| 0_u32.serialize(out))?,
            banned: read(|out| write(out, &[&0_u32, &0_i32]))?,
        })
    }
}

/// Anything that can stand in an object, for lists of unlike fields.
trait Field {
    fn append(&self, out: &mut Vec<u8>);
}

impl<T: Serializable> Field for T {
    fn append(&self, out: &mut Vec<u8>) {
        self.serialize(out);
    }
}

fn write(out: &mut Vec<u8>, fields: &[&dyn Field]) {
    for field in fields {
        field.append(out);
    }
}

fn read<T: Deserializable>(fields: impl FnOnce(&mut Vec<u8>)) -> Result<T, Error> {
    let mut bytes = Vec::new();
    fields(&mut bytes);
    let mut cursor = Cursor::from_slice(&bytes);
    let object = T::deserialize(&mut cursor)?;
    // Bytes left over mean that a field changed its kind.
    if cursor.pos() == bytes.len() { Ok(object) } else { Err(Error::UnexpectedEof) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_blank_can_be_read_from_the_schema_in_use() {
        let blanks = Blanks::new().unwrap();
        assert_eq!(blanks.message.message, "");
        assert!(blanks.user.access_hash.is_none());
    }
}
