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

    /// As [`Context::user`]; a bot need not know the hash of somebody it has met
    /// (core.telegram.org/method/users.getUsers).
    pub(super) fn met_user(&self, me: i64, user: &enums::InputUser) -> Option<i64> {
        let met = match user {
            enums::InputUser::User(user) if user.access_hash == 0 && self.is_bot(me) => {
                let mailbox = self.state.world.mailbox(me);
                let wrote = mailbox.is_some_and(|mailbox| mailbox.conversations.contains_key(&user.user_id));
                let mut channels = self.state.world.channels.values();
                let both = [me, user.user_id];
                let shared = channels.any(|channel| both.iter().all(|id| channel.members.contains_key(id)));
                (wrote || shared).then_some(user.user_id)
            }
            _ => None,
        };
        met.or_else(|| self.user(me, user))
    }

    /// As [`Context::channel`]; a bot need not know the hash of a channel that it is a member of
    /// (core.telegram.org/method/channels.getChannels).
    pub(super) fn joined_channel(&self, me: i64, channel: &enums::InputChannel) -> Answer<&Channel> {
        if let enums::InputChannel::Channel(input) = channel
            && input.access_hash == 0
            && self.is_bot(me)
            && let Some(known) = self.state.world.channels.get(&input.channel_id)
            && known.members.contains_key(&me)
        {
            return Ok(known);
        }
        self.channel(me, channel)
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
