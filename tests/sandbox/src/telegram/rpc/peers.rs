//! Which peer a request means, and whether the caller may name it.

use grammers_tl_types::enums;

use super::super::world::{Channel, Chat};
use super::{Answer, Context, RpcError};

impl Context<'_> {
    /// The conversation that an input peer names.
    pub(super) fn peer(&self, me: i64, peer: &enums::InputPeer) -> Answer<Chat> {
        match peer {
            enums::InputPeer::PeerSelf => Ok(Chat::User(me)),
            enums::InputPeer::User(user) => self
                .known_user(me, user.user_id, user.access_hash)
                .map(Chat::User)
                .ok_or(RpcError::bad("PEER_ID_INVALID")),
            enums::InputPeer::Channel(channel) => {
                self.known_channel(me, channel.channel_id, channel.access_hash).map(|c| Chat::Channel(c.id))
            }
            // Basic groups do not exist here, and nobody is described by "min" constructors, so nobody needs to be
            // named by a message they were in.
            enums::InputPeer::Empty
            | enums::InputPeer::Chat(_)
            | enums::InputPeer::UserFromMessage(_)
            | enums::InputPeer::ChannelFromMessage(_) => Err(RpcError::bad("PEER_ID_INVALID")),
        }
    }

    /// The user that an input user names.
    pub(super) fn user(&self, me: i64, user: &enums::InputUser) -> Option<i64> {
        match user {
            enums::InputUser::UserSelf => Some(me),
            enums::InputUser::User(user) => self.known_user(me, user.user_id, user.access_hash),
            enums::InputUser::Empty | enums::InputUser::FromMessage(_) => None,
        }
    }

    /// The channel that an input channel names, if the caller may read it.
    pub(super) fn channel(&self, me: i64, channel: &enums::InputChannel) -> Answer<&Channel> {
        match channel {
            enums::InputChannel::Channel(channel) => {
                self.known_channel(me, channel.channel_id, channel.access_hash)
            }
            enums::InputChannel::Empty | enums::InputChannel::FromMessage(_) => {
                Err(RpcError::bad("CHANNEL_INVALID"))
            }
        }
    }

    fn known_user(&self, me: i64, id: i64, access_hash: i64) -> Option<i64> {
        let known = self.state.world.users.contains_key(&id);
        // Oneself can be named without a hash.
        let right = id == me || self.dc.hashes.hash(me, Chat::User(id)) == access_hash;
        (known && right).then_some(id)
    }

    fn known_channel(&self, me: i64, id: i64, access_hash: i64) -> Answer<&Channel> {
        let right = self.dc.hashes.hash(me, Chat::Channel(id)) == access_hash;
        let channel = self.state.world.channels.get(&id).filter(|_| right);
        let channel = channel.ok_or(RpcError::bad("CHANNEL_INVALID"))?;
        if channel.is_readable_by(me) { Ok(channel) } else { Err(RpcError::bad("CHANNEL_PRIVATE")) }
    }
}
