//! The daemon's API of accounts and pairs.

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchyard_actors::model::{AccountId, PairId};

use super::client::{Client, ClientError};
use crate::http::{AccountOrder, LoginAnswerOrder, LoginOrder, RemovedPair};
use crate::services::accounts::{AccountView, ConnectedAccount, RemovedAccount};
use crate::services::membership::PlanList;
use crate::services::page::Listed;
use crate::services::pairs::{PairOrder, PairPatch, PairView};
use crate::services::sign_ins::{SignInId, SignInView};

const ACCOUNTS: &str = "/api/v1/accounts";
const LOGINS: &str = "/api/v1/accounts/telegram/logins";
const PAIRS: &str = "/api/v1/pairs";

impl Client {
    /// Every account.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn accounts(&self) -> Result<Vec<AccountView>, ClientError> {
        self.every(ACCOUNTS).await
    }

    /// One account.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn account(&self, id: AccountId) -> Result<AccountView, ClientError> {
        self.call(Method::GET, &format!("{ACCOUNTS}/{id}"), &[], None::<&()>).await
    }

    /// Connects an account.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn connect_account(&self, order: &AccountOrder) -> Result<ConnectedAccount, ClientError> {
        self.call(Method::POST, ACCOUNTS, &[], Some(order)).await
    }

    /// Removes an account.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn remove_account(&self, id: AccountId, force: bool) -> Result<RemovedAccount, ClientError> {
        let query: &[(&str, &str)] = if force { &[("force", "true")] } else { &[] };
        self.call(Method::DELETE, &format!("{ACCOUNTS}/{id}"), query, None::<&()>).await
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn begin_login(&self, order: &LoginOrder) -> Result<SignInView, ClientError> {
        self.call(Method::POST, LOGINS, &[], Some(order)).await
    }

    /// How a sign-in stands.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn login(&self, id: SignInId) -> Result<SignInView, ClientError> {
        self.call(Method::GET, &format!("{LOGINS}/{id}"), &[], None::<&()>).await
    }

    /// Hands in what a sign-in waits for.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn answer_login(
        &self,
        id: SignInId,
        answer: &LoginAnswerOrder,
    ) -> Result<SignInView, ClientError> {
        self.call(Method::POST, &format!("{LOGINS}/{id}"), &[], Some(answer)).await
    }

    /// Every pair.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn pairs(&self) -> Result<Vec<PairView>, ClientError> {
        self.every(PAIRS).await
    }

    /// Adds a pair.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn add_pair(&self, order: &PairOrder) -> Result<PairView, ClientError> {
        self.call(Method::POST, PAIRS, &[], Some(order)).await
    }

    /// Changes a pair.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn change_pair(&self, id: PairId, patch: &PairPatch) -> Result<PairView, ClientError> {
        self.call(Method::PATCH, &format!("{PAIRS}/{id}"), &[], Some(patch)).await
    }

    /// The plans that are offered.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn plans(&self) -> Result<PlanList, ClientError> {
        self.call(Method::GET, "/api/v1/plans", &[], None::<&()>).await
    }

    /// Pauses a pair.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn pause_pair(&self, id: PairId) -> Result<PairView, ClientError> {
        self.call(Method::POST, &format!("{PAIRS}/{id}/pause"), &[], None::<&()>).await
    }

    /// Resumes a pair.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn resume_pair(&self, id: PairId) -> Result<PairView, ClientError> {
        self.call(Method::POST, &format!("{PAIRS}/{id}/resume"), &[], None::<&()>).await
    }

    /// Removes a pair.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn remove_pair(&self, id: PairId) -> Result<RemovedPair, ClientError> {
        self.call(Method::DELETE, &format!("{PAIRS}/{id}"), &[], None::<&()>).await
    }

    /// Every item of a list, page by page.
    pub(super) async fn every<T: DeserializeOwned + Serialize>(
        &self,
        path: &str,
    ) -> Result<Vec<T>, ClientError> {
        self.every_of(path, &[]).await
    }

    /// Every item of a list that a query finds, page by page.
    pub(super) async fn every_of<T: DeserializeOwned + Serialize>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.extend(cursor.iter().map(|cursor| ("cursor", cursor.as_str())));
            let page: Listed<T, String> = self.call(Method::GET, path, &query, None::<&()>).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }
}
