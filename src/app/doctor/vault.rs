//! The master key: is there one, where does it lie, does it open what the store holds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use switchyard_actors::ports::{Rng, StoreError};
use zeroize::Zeroizing;

use super::{Round, settings};
use crate::config::SandboxMode;
use crate::crypto::{CREDENTIAL_NAME, Keyring, KeyringError, SANDBOX_KEYRING, SystemRng};
use crate::services::doctor::{Check, Class};
use crate::store::Store;

const NAME: &str = "vault.key";

/// Reads the keyring as a daemon would, and makes none.
pub(super) fn keyring(round: &mut Round) -> Option<Keyring> {
    let config = &round.config;
    let keys = settings::keys(config, &config.data_dir);
    let own = config.data_dir.join(SANDBOX_KEYRING);
    let credential = keys.credentials_directory.as_ref().map(|folder| folder.join(CREDENTIAL_NAME));
    let credential = credential.filter(|file| file.exists());
    let sandbox = config.sandbox.mode != SandboxMode::Off;
    let given = keys.file.is_some() || keys.text.is_some() || credential.is_some();
    if sandbox && !given && !own.exists() {
        let advice = "`switchyard serve --sandbox` makes it at its first start";
        round.report.push(Check::warn(NAME, "the sandbox has no keyring yet", advice));
        return None;
    }
    let (place, file) = match (&keys.file, &keys.text, credential) {
        (Some(file), _, _) => (format!("in {}", file.display()), Some(file.clone())),
        (None, Some(_), _) => ("in the configuration or environment".to_owned(), None),
        (None, None, Some(file)) => (format!("in the credential {}", file.display()), None),
        (None, None, None) => (format!("in {}, as a sandbox's may", own.display()), Some(own)),
    };
    let keyring = match keys.load() {
        Ok(keyring) => keyring,
        Err(error) => {
            let advice = match &error {
                KeyringError::InsideDataFolder { .. } => "move it out: whoever takes the data takes the key",
                KeyringError::Missing => "give one and keep a copy elsewhere: without it the data is lost",
                _ => "give the key that the store was made with",
            };
            round.report.push(Check::fail(NAME, Class::Config, error, advice));
            return None;
        }
    };
    let found = format!("key {} lies {place}", keyring.active_id());
    round.report.push(match file.filter(|file| is_open(file)) {
        Some(file) => {
            let advice = format!("chmod 600 {}", file.display());
            Check::warn(NAME, format!("{found}, where others than its owner may read it"), advice)
        }
        None => Check::ok(NAME, found),
    });
    Some(keyring)
}

/// A keyring that opens nothing, for a look at what is not sealed.
pub(super) fn nothing() -> Result<Keyring, KeyringError> {
    let mut key = Zeroizing::new([0_u8; 32]);
    SystemRng.fill(key.as_mut_slice());
    Keyring::parse(&Zeroizing::new(STANDARD.encode(key.as_slice())), "the doctor")
}

/// Tries the users' data keys.
pub(super) async fn data_keys(round: &mut Round, store: &Store) -> Result<(), StoreError> {
    let found = store.check_data_keys(u64::from(round.config.doctor.looked_at_max.get())).await?;
    let opened = found.opened;
    round.report.push(match found.refused {
        None => Check::ok("vault", format!("the keyring opens the data keys of {opened} users")),
        Some((refused, why)) => {
            let found = format!("the keyring opens {opened} data keys and not {refused} others: {why}");
            Check::fail("vault", Class::Config, found, "put the key that it names on the keyring")
        }
    });
    Ok(())
}

/// Whether others than the owner may read or write a file.
pub(super) fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}
