//! Passwords: Argon2id (RFC 9106) in PHC strings, computed off the threads that serve, few at a time.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::ports::Rng;
use thiserror::Error;
use tokio::sync::Semaphore;

/// Bytes of a salt (RFC 9106, section 4).
const SALT: usize = 16;

/// How dear a hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Hashes that are computed at the same time; each takes its memory.
    pub at_once: usize,
    /// Hashes that wait for their turn; one more is refused.
    pub waiting_max: usize,
}

/// Why a password could not be hashed or compared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Too many wait already.
    #[error("too many sign-ins at once: try again in a moment")]
    Busy,
    /// The parameters, or what is stored, cannot be used.
    #[error("passwords cannot be computed: {0}")]
    Failed(String),
}

/// Whether a password was the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordVerdict {
    /// It was; with a new hash to be stored where the old one was cheaper than hashes are now.
    Right {
        /// The new PHC string.
        rehashed: Option<String>,
    },
    /// It was not.
    Wrong,
}

/// Hashes and compares passwords.
pub struct Passwords {
    params: Params,
    rng: Arc<dyn Rng>,
    /// What passwords of people who are not there are compared with, so that the answer takes as long.
    nobody: String,
    computing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Passwords {
    /// With these parameters.
    ///
    /// # Errors
    /// [`PasswordError::Failed`] for parameters that Argon2 refuses.
    pub fn new(given: PasswordParams, rng: Arc<dyn Rng>) -> Result<Self, PasswordError> {
        let params = Params::new(given.memory_kib, given.passes, given.lanes, None);
        let params = params.map_err(|error| PasswordError::Failed(error.to_string()))?;
        // Any hash will do: nothing is ever equal to random bytes.
        let (mut salt, mut hash) = ([0_u8; SALT], [0_u8; 32]);
        rng.fill(&mut salt);
        rng.fill(&mut hash);
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD;
        let text = |bytes: &[u8]| base64::Engine::encode(&base64, bytes);
        let nobody = format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            text(&salt),
            text(&hash)
        );
        let at_once = given.at_once.max(1);
        let computing = Arc::new(Semaphore::new(at_once));
        let waiting = Arc::new(Semaphore::new(at_once.saturating_add(given.waiting_max)));
        Ok(Self { params, rng, nobody, computing, waiting })
    }

    /// The PHC string to be stored for a password.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: &SecretString) -> Result<String, PasswordError> {
        let argon2 = self.argon2();
        let salt = self.salt();
        let password = password.clone();
        self.apart(move || hash(&argon2, &password, &salt)).await
    }

    /// Compares a password with what is stored; `None` for somebody who is not there, which takes as long.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(
        &self,
        password: &SecretString,
        stored: Option<&str>,
    ) -> Result<PasswordVerdict, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.nobody).to_owned();
        let (argon2, salt, password) = (self.argon2(), self.salt(), password.clone());
        let wanted = self.params.clone();
        self.apart(move || {
            let parsed = PasswordHash::new(&stored).map_err(|error| failed(&error))?;
            let same = argon2.verify_password(password.expose_secret().as_bytes(), &parsed).is_ok();
            if !(same && known) {
                return Ok(PasswordVerdict::Wrong);
            }
            let rehashed =
                if is_cheaper(&parsed, &wanted) { Some(hash(&argon2, &password, &salt)?) } else { None };
            Ok(PasswordVerdict::Right { rehashed })
        })
        .await
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    fn salt(&self) -> [u8; SALT] {
        let mut salt = [0_u8; SALT];
        self.rng.fill(&mut salt);
        salt
    }

    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let turn = Arc::clone(&self.computing).acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        // Both go with the work: a caller who left does not make room for another while it is still computed.
        let work = move || {
            let _held = (place, turn);
            work()
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(PasswordError::Failed(error.to_string())))
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("params", &self.params).finish_non_exhaustive()
    }
}

fn failed(error: &impl ToString) -> PasswordError {
    PasswordError::Failed(error.to_string())
}

fn hash(argon2: &Argon2<'_>, password: &SecretString, salt: &[u8]) -> Result<String, PasswordError> {
    let hash: PasswordHash = argon2
        .hash_password_with_salt(password.expose_secret().as_bytes(), salt)
        .map_err(|error| failed(&error))?;
    Ok(hash.to_string())
}

/// Whether a stored hash was cheaper in any respect than hashes are now.
fn is_cheaper(stored: &PasswordHash, wanted: &Params) -> bool {
    let Ok(had) = Params::try_from(stored) else { return true };
    stored.algorithm.as_str() != Algorithm::Argon2id.as_str()
        || had.m_cost() < wanted.m_cost()
        || had.t_cost() < wanted.t_cost()
        || had.p_cost() < wanted.p_cost()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRng;

    const SMALL: PasswordParams =
        PasswordParams { memory_kib: 64, passes: 1, lanes: 1, at_once: 1, waiting_max: 1 };

    fn passwords(params: PasswordParams) -> Passwords {
        Passwords::new(params, Arc::new(SystemRng)).unwrap()
    }

    fn text(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_never_stored() {
        let passwords = passwords(SMALL);
        let stored = passwords.hash(&text("correct horse")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$") && !stored.contains("horse"));
        assert_ne!(stored, passwords.hash(&text("correct horse")).await.unwrap(), "each has its salt");
        let right = passwords.verify(&text("correct horse"), Some(&stored)).await.unwrap();
        assert_eq!(right, PasswordVerdict::Right { rehashed: None });
        let wrong = passwords.verify(&text("correct horsf"), Some(&stored)).await.unwrap();
        assert_eq!(wrong, PasswordVerdict::Wrong);
        assert_eq!(passwords.verify(&text("x"), None).await.unwrap(), PasswordVerdict::Wrong);
        assert!(passwords.verify(&text("x"), Some("plain")).await.is_err());
    }

    #[tokio::test]
    async fn a_cheaper_hash_is_made_anew() {
        let stored = passwords(SMALL).hash(&text("correct horse")).await.unwrap();
        let dearer = passwords(PasswordParams { passes: 2, ..SMALL });
        let verdict = dearer.verify(&text("correct horse"), Some(&stored)).await.unwrap();
        let PasswordVerdict::Right { rehashed: Some(rehashed) } = verdict else { panic!("{verdict:?}") };
        assert!(rehashed.contains("t=2"));
        let verdict = passwords(SMALL).verify(&text("correct horse"), Some(&rehashed)).await.unwrap();
        assert_eq!(verdict, PasswordVerdict::Right { rehashed: None }, "a dearer one stays");
    }

    #[tokio::test]
    async fn nobody_waits_beyond_the_bound() {
        let passwords = Arc::new(passwords(SMALL));
        let busy = Arc::clone(&passwords.waiting).acquire_many_owned(2).await.unwrap();
        assert_eq!(passwords.hash(&text("x")).await, Err(PasswordError::Busy));
        drop(busy);
        assert!(passwords.hash(&text("x")).await.is_ok());
    }

    #[test]
    fn parameters_that_cannot_be_are_refused() {
        assert!(Passwords::new(PasswordParams { memory_kib: 1, ..SMALL }, Arc::new(SystemRng)).is_err());
    }
}
