//! The world as it begins: what the seed made.

use std::collections::BTreeMap;

use super::{Bot, Channel, Guild, Rights, User, Webhook, WebhookToken, World};
use crate::discord::gateway::MESSAGE_CONTENT;
use crate::seed::{DiscordGuild, DiscordSeed};

/// What a seeded bot is given: message content, and no permission that not every member has.
const SEEDED: Rights = Rights { intents: MESSAGE_CONTENT, permissions: 0 };

impl World {
    /// Puts people, bots, guilds and channels into an empty world.
    pub(super) fn plant(&mut self, seed: &DiscordSeed) {
        for person in &seed.persons {
            self.users.insert(person.id, User { id: person.id, name: person.name.clone(), bot: false });
        }
        for bot in &seed.bots {
            self.users.insert(bot.id, User { id: bot.id, name: bot.name.clone(), bot: true });
            let known = Bot { id: bot.id, account: bot.account, guild: bot.guild, rights: SEEDED };
            self.bots.insert(bot.token.reveal().to_owned(), known);
        }
        for guild in &seed.guilds {
            let bots = seed.bots.iter().filter(|bot| bot.guild == guild.id).map(|bot| bot.id);
            let members = self.persons.iter().copied().chain(bots).collect();
            self.plant_guild(guild, members);
        }
        for webhook in &seed.webhooks {
            let known = Webhook {
                id: webhook.id,
                channel: webhook.channel,
                name: webhook.name.clone(),
                token: WebhookToken(webhook.token.reveal().to_owned()),
                creator: None,
                account: Some(webhook.account),
            };
            self.webhooks.insert(webhook.id, known);
        }
    }

    fn plant_guild(&mut self, guild: &DiscordGuild, members: Vec<u64>) {
        let owner = self.persons.first().copied().unwrap_or_default();
        let channels = guild.channels.iter().map(|channel| channel.id).collect();
        let name = guild.name.clone();
        self.guilds.insert(guild.id, Guild { id: guild.id, name, owner, members, channels });
        for (channel, position) in guild.channels.iter().zip(0..) {
            let made = Channel {
                id: channel.id,
                guild: guild.id,
                name: channel.name.clone(),
                position,
                writable: channel.writable,
                thread: None,
                messages: BTreeMap::new(),
            };
            self.channels.insert(channel.id, made);
        }
    }
}
