//! API keys: made, listed, revoked.

use secrecy::ExposeSecret;
use switchyard_actors::model::{ApiKeyId, UserId};

use super::{ApiKeyMade, ApiKeyOrder, ApiKeyView, IdentityService, time};
use crate::crypto::{Token, TokenKind};
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;
use crate::store::identity::{ApiKeyDetails, ApiKeyRow, NewApiKey};

/// Longest name of a key, in characters.
const NAME_MAX: usize = 100;

/// Letters of a key that its owner is shown again.
const BEGINS: usize = 8;

impl IdentityService {
    pub(super) async fn do_api_keys(&self, user: UserId) -> Result<Vec<ApiKeyView>, Fault> {
        Ok(self.parts.store.api_keys_of(user).await?.into_iter().map(view).collect())
    }

    pub(super) async fn do_make_api_key(
        &self,
        user: UserId,
        order: ApiKeyOrder,
    ) -> Result<ApiKeyMade, Fault> {
        let parts = &self.parts;
        let name = order.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
            return Err(Fault::invalid("/name", "it must have 1 to 100 characters"));
        }
        if order.scopes.is_empty() {
            return Err(Fault::invalid("/scopes", "name at least one scope"));
        }
        let now = self.now();
        if order.expires_at.is_some_and(|at| at <= now) {
            return Err(Fault::invalid("/expires_at", "it must lie in the future"));
        }
        let token = Token::generate(TokenKind::ApiKey, parts.rng.as_ref());
        let begins: String = token.secret().expose_secret().chars().take(BEGINS).collect();
        let scopes = order.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        let id = ApiKeyId::from_uuid(parts.ids.uuid());
        let details = ApiKeyDetails { name, begins, scopes };
        let expires_at = order.expires_at.map(|at| at.timestamp_millis());
        let keep = parts.config.api_keys_max.get();
        let row = ApiKeyRow {
            id,
            details: details.clone(),
            created_at: now.timestamp_millis(),
            expires_at,
            last_used_at: None,
        };
        let tag = token.tag(&parts.lookup);
        if !parts.store.add_api_key(NewApiKey { id, user, tag, details, expires_at, keep }).await? {
            return Err(Fault::Conflict(format!("you have {keep} API keys already: revoke one first")));
        }
        tracing::info!(%user, key = %id, "API key was made");
        Ok(ApiKeyMade { secret: Sensitive::from(token.secret().clone()), key: view(row) })
    }

    pub(super) async fn do_remove_api_key(&self, user: UserId, key: ApiKeyId) -> Result<(), Fault> {
        if self.parts.store.remove_api_key(user, key).await? {
            tracing::info!(%user, %key, "API key was revoked");
            return Ok(());
        }
        Err(Fault::NotFound(format!("API key {key}")))
    }
}

fn view(row: ApiKeyRow) -> ApiKeyView {
    ApiKeyView {
        id: row.id,
        name: row.details.name,
        begins: row.details.begins,
        scopes: row.details.scopes.iter().filter_map(|scope| scope.parse().ok()).collect(),
        created_at: time(row.created_at),
        expires_at: row.expires_at.map(time),
        last_used_at: row.last_used_at.map(time),
    }
}
