//! How a connection gets its session: IDENTIFY, RESUME, and what a session may then ask.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::connection::{Attached, Connection, End};
use super::hub::{ResumeError, Shard};
use super::intents::{Intents, IntentsError};
use super::protocol::{self, Close, Identify, RequestMembers, Resume};
use crate::discord::core::fault_site;
use crate::discord::events::text;
use crate::discord::world::Bot;
use crate::discord::{json, snowflake};
use crate::faults::FaultKind;
use crate::violations::Rule;

impl Connection {
    /// The bot of a token, which the gateway takes with or without `Bot ` in front of it.
    fn authenticate(&self, token: &str) -> Result<Bot, End> {
        let bot = self.core.bot(token.strip_prefix("Bot ").unwrap_or(token));
        let bot = bot.ok_or(Close::AuthenticationFailed)?;
        let kinds = [FaultKind::DropConnection, FaultKind::Unauthorized];
        match self.core.shared.faults.take(fault_site(Some(&bot)), &kinds).map(|fault| fault.kind) {
            Some(FaultKind::DropConnection) => Err(End::Lost),
            Some(_) => Err(Close::AuthenticationFailed.into()),
            None => Ok(bot),
        }
    }

    pub(super) async fn identify(&mut self, identify: Identify) -> Result<(), End> {
        let bot = self.authenticate(&identify.token)?;
        let intents = Intents::parse(identify.intents, bot.rights.intents).map_err(|error| match error {
            IntentsError::Unknown => Close::InvalidIntents,
            IntentsError::Disallowed => Close::DisallowedIntents,
        })?;
        let shard = match identify.shard {
            None => Shard::ONLY,
            Some((id, count)) if id < count => Shard { id, count },
            Some(_) => return Err(Close::InvalidShard.into()),
        };
        let now = self.core.shared.clock.now();
        let taken = self.core.lock().identifies.take(bot.id, now);
        if let Err(rule) = taken {
            self.core.shared.violations.count(rule);
            if rule == Rule::DiscordIdentifyBudget {
                // Discord ends every session and resets the token; here it is good again when the day is over.
                self.core.lock().hub.end_all(bot.id);
                return Err(Close::AuthenticationFailed.into());
            }
            return self.send(protocol::invalid_session(false)).await;
        }
        if let Some(resumable) = self.invalidates(&bot) {
            return self.send(protocol::invalid_session(resumable)).await;
        }
        let id = format!("{:016x}{:016x}", self.core.shared.clock.now_ms(), self.number);
        let session = self.open(&id, &bot, intents, shard);
        self.attached = Some(Attached { id, bot, wake: session, sent: 0 });
        self.flush().await
    }

    /// Opens a session whose first events are READY and the bot's guild, before anything that happens later.
    fn open(&self, id: &str, bot: &Bot, intents: Intents, shard: Shard) -> Arc<Notify> {
        let mut state = self.core.lock();
        let state = &mut *state;
        let now = self.core.shared.clock.now();
        let wake = state.hub.open(id, bot.clone(), intents, shard, self.number, now);
        let guild = state.world.guilds.get(&bot.guild).filter(|guild| shard.has(guild.id));
        let unavailable: Vec<Value> =
            guild.iter().map(|guild| json!({"id": guild.id.to_string(), "unavailable": true})).collect();
        let ready = json!({
            "v": 10,
            "user_settings": {},
            "user": state.world.users.get(&bot.id).map(json::current_user),
            "session_type": "normal",
            "session_id": id,
            "resume_gateway_url": self.url,
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guilds": unavailable,
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": [],
            "shard": [shard.id, shard.count],
            "application": {"id": bot.id.to_string(), "flags": json::application_flags(bot)},
            "_trace": [],
        });
        state.hub.push(id, "READY", text(&ready));
        if let Some(guild) = guild.filter(|_| intents.guilds()) {
            let guild = text(&json::gateway_guild(&state.world, guild));
            state.hub.push(id, "GUILD_CREATE", guild);
        }
        wake
    }

    pub(super) async fn resume(&mut self, resume: Resume) -> Result<(), End> {
        let bot = self.authenticate(&resume.token)?;
        if let Some(resumable) = self.invalidates(&bot) {
            if !resumable {
                self.core.lock().hub.forget(&resume.session_id, bot.id);
            }
            return self.send(protocol::invalid_session(resumable)).await;
        }
        let now = self.core.shared.clock.now();
        let resumed = {
            let mut state = self.core.lock();
            let resumed = state.hub.resume(&resume.session_id, bot.id, resume.seq, self.number, now);
            if resumed.is_ok() {
                state.hub.push_resumed(&resume.session_id, text(&json!({"_trace": []})));
            }
            resumed
        };
        match resumed {
            Ok(wake) => {
                self.attached = Some(Attached { id: resume.session_id, bot, wake, sent: resume.seq });
                self.flush().await
            }
            Err(ResumeError::Invalid) => self.send(protocol::invalid_session(false)).await,
            Err(ResumeError::FutureSeq) => Err(Close::InvalidSeq.into()),
        }
    }

    /// Members by name or all, as one chunk: seeded guilds are small.
    pub(super) async fn members(&mut self, request: &RequestMembers) -> Result<(), End> {
        let Some(session) = &self.attached else { return Ok(()) };
        {
            let mut state = self.core.lock();
            let state = &mut *state;
            let guild = snowflake::parse(&request.guild_id).filter(|id| *id == session.bot.guild);
            let Some(guild) = guild.and_then(|id| state.world.guilds.get(&id)) else { return Ok(()) };
            let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
            let prefix = request.query.as_deref().unwrap_or_default();
            let members: Vec<Value> = guild
                .members
                .iter()
                .filter_map(|id| state.world.users.get(id))
                .filter(|user| user.name.starts_with(prefix))
                .take(limit)
                .map(|user| json::member(&state.world, user))
                .collect();
            let chunk = text(&json!({
                "guild_id": request.guild_id,
                "members": members,
                "chunk_index": 0,
                "chunk_count": 1,
                "nonce": request.nonce,
            }));
            state.hub.push(&session.id, "GUILD_MEMBERS_CHUNK", chunk);
        }
        self.flush().await
    }
}
