//! Whose a credential of Discord is: bots and webhooks. Tokens of people are refused.

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Deserialize;
use serenity::http::{LightMethod, Request, Route};
use switchyard_actors::model::AccountKind;
use switchyard_actors::ports::{ConnectionError, Identified, LoginError, Proxy};

use crate::config::DiscordConfig;

use super::connector::{DiscordError, NO_PROXY, TOKEN};
use super::hook_address::HookAddress;
use super::rest::{self, Rest};
use super::webhook::Hook;
use super::{bot_token, errors};

/// Asks Discord whose credentials are. Every call goes to the configured base, or fails.
pub struct DiscordLogin {
    config: DiscordConfig,
    client: reqwest12::Client,
}

/// `GET /users/@me`.
#[derive(Deserialize)]
struct Me {
    id: String,
    username: String,
    #[serde(default)]
    bot: bool,
}

impl DiscordLogin {
    /// With a client of its own.
    ///
    /// # Errors
    /// [`DiscordError::Client`].
    pub fn new(config: DiscordConfig) -> Result<Self, DiscordError> {
        let client = rest::client(&config)?;
        Ok(Self { config, client })
    }

    /// Whose bot's token this is, with or without `Bot ` before it.
    ///
    /// # Errors
    /// [`LoginError`]; a person's token is [`LoginError::Refused`].
    pub async fn identify_bot(
        &self,
        token: &SecretString,
        proxy: Option<&Proxy>,
    ) -> Result<Identified, LoginError> {
        if proxy.is_some() {
            return Err(LoginError::Refused(NO_PROXY.to_owned()));
        }
        let token = bot_token::parse(token.expose_secret());
        let token = token.map_err(|error| LoginError::Refused(error.to_string()))?;
        let rest = Rest::new(self.client.clone(), &self.config, token.expose_secret());
        let request = Request::new(Route::UserMe, LightMethod::Get);
        let me: Me = rest.get(request, &self.config).await.map_err(errors::login_error)?;
        if !me.bot {
            return Err(LoginError::Refused("user tokens are refused: the account is no bot".to_owned()));
        }
        let platform_id =
            me.id.parse().map_err(|_| LoginError::Unreachable("the bot's id is none".to_owned()))?;
        Ok(Identified {
            kind: AccountKind::DiscordBot,
            platform_id,
            name: me.username,
            chat: None,
            fresh: false,
            secrets: vec![secret(&token)],
        })
    }

    /// Whose webhook's address this is. Only its id and token are used.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn identify_webhook(
        &self,
        url: &SecretString,
        proxy: Option<&Proxy>,
    ) -> Result<Identified, LoginError> {
        let address = HookAddress::parse(url, &self.config.api_base);
        let address = address.map_err(|error| LoginError::Refused(error.to_string()))?;
        let client = match proxy {
            None => self.client.clone(),
            Some(proxy) => rest::client_through(&self.config, proxy).await.map_err(errors::login_error)?,
        };
        let hook = Hook::new(client, &self.config, &address);
        let described = hook.describe(&self.config).await.map_err(|error| match error {
            ConnectionError::NeedsLogin(text) => {
                LoginError::Refused(format!("Discord knows no such webhook, or it has another token: {text}"))
            }
            other => errors::login_error(other),
        })?;
        Ok(Identified {
            kind: AccountKind::DiscordWebhook,
            platform_id: address.id,
            name: described.name.unwrap_or_else(|| "webhook".to_owned()),
            chat: Some(described.channel_id),
            fresh: false,
            secrets: std::iter::once(secret(&address.token))
                .chain(proxy.map(|proxy| (Proxy::SECRET.to_owned(), proxy.encode())))
                .collect(),
        })
    }
}

fn secret(token: &SecretString) -> (String, SecretSlice<u8>) {
    (TOKEN.to_owned(), SecretSlice::from(token.expose_secret().as_bytes().to_vec()))
}
