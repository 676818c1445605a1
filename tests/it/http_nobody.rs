//! Identity where nobody is known, for the tests of the HTTP surface alone.

use async_trait::async_trait;
use switchyard::services::fault::Fault;
use switchyard::services::identity::{
    ApiKeyMade, ApiKeyOrder, ApiKeyView, Export, Identity, LoginOrder, Origin, ProfileChange, ProfileView,
    RecoveryCodes, RegisterOrder, SessionView, SignedIn, TokenPair, TotpEnrolment,
};
use switchyard::services::page::{Listed, Page};
use switchyard::services::sensitive::Sensitive;
use switchyard::services::users::{
    ActivityView, UserChange, UserDetails, UserFilter, UserSession, UserView, Users,
};
use switchyard_actors::model::{ApiKeyId, LoginSessionId, UserId};

/// Knows nobody.
pub(crate) struct Nobody;

fn nobody<T>() -> Result<T, Fault> {
    Err(Fault::NotFound("user".to_owned()))
}

#[async_trait]
impl Identity for Nobody {
    async fn register(&self, _: RegisterOrder) -> Result<(), Fault> {
        Ok(())
    }

    async fn login(&self, _: LoginOrder, _: Origin) -> Result<TokenPair, Fault> {
        Err(Fault::SignInRefused)
    }

    async fn refresh(&self, _: Sensitive) -> Result<TokenPair, Fault> {
        Err(Fault::SessionOver)
    }

    async fn logout(&self, _: Sensitive) -> Result<(), Fault> {
        Ok(())
    }

    async fn forgot(&self, _: String) -> Result<(), Fault> {
        Ok(())
    }

    async fn reset(&self, _: Sensitive, _: Sensitive) -> Result<(), Fault> {
        Err(Fault::SessionOver)
    }

    async fn profile(&self, _: UserId) -> Result<ProfileView, Fault> {
        nobody()
    }

    async fn change_profile(
        &self,
        _: UserId,
        _: ProfileChange,
        _: Option<i64>,
    ) -> Result<ProfileView, Fault> {
        nobody()
    }

    async fn change_password(&self, _: SignedIn, _: Origin, _: Sensitive, _: Sensitive) -> Result<(), Fault> {
        nobody()
    }

    async fn sessions(&self, _: UserId, _: Option<LoginSessionId>) -> Result<Vec<SessionView>, Fault> {
        nobody()
    }

    async fn end_session(&self, _: UserId, _: LoginSessionId) -> Result<(), Fault> {
        nobody()
    }

    async fn begin_totp(&self, _: UserId) -> Result<TotpEnrolment, Fault> {
        nobody()
    }

    async fn confirm_totp(&self, _: SignedIn, _: Origin, _: Sensitive) -> Result<RecoveryCodes, Fault> {
        nobody()
    }

    async fn end_totp(&self, _: SignedIn, _: Origin, _: Sensitive, _: Sensitive) -> Result<(), Fault> {
        nobody()
    }

    async fn api_keys(&self, _: UserId) -> Result<Vec<ApiKeyView>, Fault> {
        nobody()
    }

    async fn make_api_key(&self, _: UserId, _: ApiKeyOrder) -> Result<ApiKeyMade, Fault> {
        nobody()
    }

    async fn remove_api_key(&self, _: UserId, _: ApiKeyId) -> Result<(), Fault> {
        nobody()
    }

    async fn export(&self, _: UserId) -> Result<Export, Fault> {
        nobody()
    }

    async fn delete(&self, _: UserId, _: Option<LoginSessionId>) -> Result<(), Fault> {
        nobody()
    }
}

#[async_trait]
impl Users for Nobody {
    async fn list(&self, _: UserFilter, _: Page<UserId>) -> Result<Listed<UserView, UserId>, Fault> {
        Ok(Listed { items: Vec::new(), next_cursor: None })
    }

    async fn get(&self, _: UserId) -> Result<UserDetails, Fault> {
        Err(Fault::Unavailable("there is nobody to look after".to_owned()))
    }

    async fn known(&self, _: UserId) -> Result<(), Fault> {
        Err(Fault::Unavailable("there is nobody to look after".to_owned()))
    }

    async fn change(&self, _: UserId, _: Option<i64>, _: UserChange) -> Result<UserDetails, Fault> {
        Err(Fault::Unavailable("there is nobody to look after".to_owned()))
    }

    async fn delete(&self, _: UserId) -> Result<(), Fault> {
        Err(Fault::Unavailable("there is nobody to look after".to_owned()))
    }

    async fn sessions(&self, _: UserId, _: Page<String>) -> Result<Listed<UserSession, String>, Fault> {
        Err(Fault::Unavailable("there is nobody to look after".to_owned()))
    }

    async fn activity(&self, _: UserId, _: Page<String>) -> Result<Listed<ActivityView, String>, Fault> {
        Err(Fault::Unavailable("there is nobody to look after".to_owned()))
    }
}
