//! The bot put together: its platform, its outbox, its conversation, announcements.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::model::IdSource;
use switchyard_actors::ports::{BotChannel, Clock, Rng};
use switchyard_actors::tree::{PaceLimits, Post, PostConfig, Window};
use tokio::runtime::Handle;

use super::{StartError, io};
use crate::adapters::OnThreads;
use crate::adapters::bot::BotApi;
use crate::config::{BotConfig, Config, Secret};
use crate::services::announcements::{AnnouncementService, Announcements};
use crate::services::linking::{Linking, LinkingService};
use crate::services::sandbox::{PROFILE_NONE, SandboxSeed, profile};
use crate::store::{AnnouncingRules, OfferedPlans, Store, escape_html};

/// What the rest of the daemon has of the bot.
#[derive(Clone)]
pub(super) struct BotServices {
    /// For the notifier; none without a bot.
    pub(super) post: Option<Post>,
    pub(super) linking: Arc<dyn Linking>,
    pub(super) announcements: Arc<dyn Announcements>,
}

impl BotServices {
    pub(super) fn new(
        config: &Config,
        seed: Option<&SandboxSeed>,
        (store, token): (&Store, Option<&SecretString>),
        (clock, rng, ids): (&Arc<dyn Clock>, &Arc<dyn Rng>, &IdSource),
    ) -> Result<Self, StartError> {
        let mut section = config.bot.clone();
        // What is configured comes before what was set by `secrets set`.
        let set = || token.and_then(|token| Secret::new(token.expose_secret()));
        section.token = section.token.take().or_else(set);
        if let Some(bot) = seed.and_then(|seed| seed.bot.as_ref()) {
            section.use_sandbox(&bot.api_base, &bot.token);
        }
        let api = BotApi::new(&section).map_err(|error| io("no HTTP client for the bot", error))?;
        let threads = Handle::current();
        let channel = api.map(|api| -> Arc<dyn BotChannel> { Arc::new(OnThreads::new(api, threads)) });
        let opt_out_line = opt_out_line(&section);
        let rules = AnnouncingRules {
            promotion_interval: section.promotion_interval,
            opt_out_line: opt_out_line.clone(),
            plans: OfferedPlans::new(&config.plans.default, &config.plans.list),
        };
        let store = store.clone().announcing(rules);
        let linking = Arc::new(LinkingService {
            store: store.clone(),
            channel: channel.clone(),
            clock: Arc::clone(clock),
            rng: Arc::clone(rng),
            code_life: section.link_code_life,
            account_page: section.account_page.clone(),
        });
        // Where a sandbox announces no limits, there are none to keep to.
        let unlimited = seed.is_some_and(|seed| profile(seed) == PROFILE_NONE);
        let announcements = AnnouncementService {
            store: store.clone(),
            clock: Arc::clone(clock),
            ids: ids.clone(),
            has_bot: channel.is_some(),
            account_page: section.account_page.clone(),
            opt_out_line,
            plans: config.plans.list.iter().map(|plan| plan.name.to_string()).collect(),
        };
        let post = channel.map(|channel| Post {
            channel,
            notices: Arc::new(store),
            inbox: linking.clone(),
            config: post_config(&section, unlimited),
        });
        Ok(Self { post, linking, announcements: Arc::new(announcements) })
    }
}

fn opt_out_line(config: &BotConfig) -> String {
    let page = config.account_page.as_deref();
    let page = page.map(|page| format!(", or see {}", escape_html(page))).unwrap_or_default();
    format!("You get this because you agreed to offers. To stop them, send /offers_off to this bot{page}.")
}

fn post_config(config: &BotConfig, unlimited: bool) -> PostConfig {
    let window = |count, span| Some(Window { count, span });
    let limits = PaceLimits {
        overall: window(config.messages_per_second.get(), Duration::from_secs(1)),
        chat: window(1, config.chat_interval),
        group: window(config.group_messages_per_minute.get(), Duration::from_secs(60)),
    };
    PostConfig {
        limits: if unlimited { PaceLimits::default() } else { limits },
        sends_max: config.sends_max.get(),
        lookahead: config.lookahead.get(),
        recipients_chunk: config.recipients_chunk.get(),
        lease_ttl: config.lease_ttl,
        poll_wait: config.poll_wait,
        tries_max: config.tries_max.get(),
    }
}
