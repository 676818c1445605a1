//! Signing in and out on the threads of platforms' clients.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{SecretSlice, SecretString};
use switchyard_actors::model::{Account, AccountKind};
use switchyard_actors::ports::{Identified, Login, LoginError, LoginStep, NewCredential, Proxy, SignIn};
use tokio::sync::Mutex;

use super::{OnThreads, there};

/// A sign-in that goes on there: whoever waits for a step may stop waiting, and ask for the next one.
struct SignInThere {
    inner: Arc<Mutex<Box<dyn SignIn>>>,
    runtime: tokio::runtime::Handle,
}

fn shutting_down<T>() -> Result<T, LoginError> {
    Err(LoginError::Unreachable("the process is shutting down".to_owned()))
}

impl<L: Login + 'static> OnThreads<L> {
    fn signs_in(&self, begun: (Box<dyn SignIn>, LoginStep)) -> (Box<dyn SignIn>, LoginStep) {
        let (inner, step) = begun;
        (Box::new(SignInThere { inner: Arc::new(Mutex::new(inner)), runtime: self.runtime.clone() }), step)
    }
}

#[async_trait]
impl<L: Login + 'static> Login for OnThreads<L> {
    async fn identify(
        &self,
        credential: NewCredential,
        proxy: Option<&Proxy>,
    ) -> Result<Identified, LoginError> {
        let (inner, proxy) = (Arc::clone(&self.inner), proxy.cloned());
        let work = async move { inner.identify(credential, proxy.as_ref()).await };
        there(&self.runtime, work).await.unwrap_or_else(shutting_down)
    }

    async fn sign_in_by_phone(
        &self,
        phone: &str,
        proxy: Option<&Proxy>,
    ) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        let (inner, phone, proxy) = (Arc::clone(&self.inner), phone.to_owned(), proxy.cloned());
        let work = async move { inner.sign_in_by_phone(&phone, proxy.as_ref()).await };
        let begun = there(&self.runtime, work).await.unwrap_or_else(shutting_down);
        begun.map(|begun| self.signs_in(begun))
    }

    async fn sign_in_by_qr(&self, proxy: Option<&Proxy>) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        let (inner, proxy) = (Arc::clone(&self.inner), proxy.cloned());
        let work = async move { inner.sign_in_by_qr(proxy.as_ref()).await };
        let begun = there(&self.runtime, work).await.unwrap_or_else(shutting_down);
        begun.map(|begun| self.signs_in(begun))
    }

    async fn log_out(&self, account: &Account) -> Result<(), LoginError> {
        let (inner, account) = (Arc::clone(&self.inner), account.clone());
        let work = async move { inner.log_out(&account).await };
        there(&self.runtime, work).await.unwrap_or_else(shutting_down)
    }

    async fn revoke(
        &self,
        kind: AccountKind,
        secrets: Vec<(String, SecretSlice<u8>)>,
    ) -> Result<(), LoginError> {
        let inner = Arc::clone(&self.inner);
        let work = async move { inner.revoke(kind, secrets).await };
        there(&self.runtime, work).await.unwrap_or_else(shutting_down)
    }
}

#[async_trait]
impl SignIn for SignInThere {
    async fn code(&mut self, code: SecretString) -> Result<LoginStep, LoginError> {
        let inner = Arc::clone(&self.inner);
        let work = async move { inner.lock().await.code(code).await };
        there(&self.runtime, work).await.unwrap_or_else(shutting_down)
    }

    async fn password(&mut self, password: SecretString) -> Result<LoginStep, LoginError> {
        let inner = Arc::clone(&self.inner);
        let work = async move { inner.lock().await.password(password).await };
        there(&self.runtime, work).await.unwrap_or_else(shutting_down)
    }

    async fn wait(&mut self) -> Result<LoginStep, LoginError> {
        let inner = Arc::clone(&self.inner);
        let work = async move { inner.lock().await.wait().await };
        there(&self.runtime, work).await.unwrap_or_else(shutting_down)
    }
}
