//! Where the master key comes from: a file, an environment variable, a systemd credential, or the sandbox's own.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::keyring::{Keyring, KeyringError, MasterKey};

/// The environment variable that may hold the master key.
pub const KEY_VARIABLE: &str = "SWITCHYARD_VAULT__MASTER_KEY";
/// The systemd credential that may hold it.
pub const CREDENTIAL_NAME: &str = "switchyard-master-key";
/// The sandbox's own keyring, a file of the data folder.
pub const SANDBOX_KEYRING: &str = "sandbox-keyring";

/// Everything that may name a master key. The first that is given counts: file, variable, credential, sandbox.
#[derive(Clone, Debug, Default)]
pub struct KeySources {
    /// A file outside the data folder (`vault.master_key_file`).
    pub file: Option<PathBuf>,
    /// The key itself (`vault.master_key`, so [`KEY_VARIABLE`]).
    pub text: Option<SecretString>,
    /// systemd's folder of credentials (`$CREDENTIALS_DIRECTORY`).
    pub credentials_directory: Option<PathBuf>,
    /// The data folder.
    pub data_dir: PathBuf,
    /// Whether the sandbox runs: then a keyring is made in the data folder when nothing else is given.
    pub sandbox: bool,
}

impl KeySources {
    /// Fills in what the environment of this process names and the configuration does not.
    #[must_use]
    pub fn with_process_environment(mut self) -> Self {
        if self.text.is_none() {
            self.text = std::env::var(KEY_VARIABLE).ok().map(SecretString::from);
        }
        if self.credentials_directory.is_none() {
            self.credentials_directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        }
        self
    }

    /// Reads the keyring. In the sandbox it is made on the first run.
    ///
    /// # Errors
    /// [`KeyringError`]; without any key its text tells how to give one.
    pub fn load(&self) -> Result<Keyring, KeyringError> {
        if let Some(file) = &self.file {
            self.refuse_inside_data_folder(file)?;
            warn_if_readable_by_others(file);
            return read(file);
        }
        if let Some(text) = &self.text {
            return Keyring::parse(text.expose_secret(), KEY_VARIABLE);
        }
        if let Some(file) = self.credentials_directory.as_ref().map(|folder| folder.join(CREDENTIAL_NAME))
            && file.exists()
        {
            return read(&file);
        }
        if !self.sandbox {
            return Err(KeyringError::Missing);
        }
        let file = self.data_dir.join(SANDBOX_KEYRING);
        if !file.exists() {
            make(&file)?;
        }
        read(&file)
    }

    /// Outside the sandbox a key must not lie beside the data. Compared before and after following links.
    fn refuse_inside_data_folder(&self, file: &Path) -> Result<(), KeyringError> {
        if self.sandbox {
            return Ok(());
        }
        let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
        let io = |source| KeyringError::Io { file: file.to_owned(), source };
        let (real_file, data_dir) = (real(file).map_err(io)?, real(&self.data_dir).map_err(io)?);
        let named = std::path::absolute(file).map_err(io)?;
        if real_file.starts_with(&data_dir) || named.starts_with(&data_dir) {
            return Err(KeyringError::InsideDataFolder { file: file.to_owned(), data_dir });
        }
        Ok(())
    }
}

fn read(file: &Path) -> Result<Keyring, KeyringError> {
    let text = fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|source| KeyringError::Io { file: file.to_owned(), source })?;
    Keyring::parse(&text, &file.display().to_string())
}

fn warn_if_readable_by_others(file: &Path) {
    if let Ok(metadata) = fs::metadata(file)
        && metadata.permissions().mode() & 0o077 != 0
    {
        tracing::warn!(file = %file.display(), "the key file can be read by others than its owner");
    }
}

/// Makes a keyring file of one new key, readable by its owner only. The name appears only when the file is whole.
fn make(file: &Path) -> Result<(), KeyringError> {
    let mut key = Zeroizing::new([0_u8; MasterKey::LEN]);
    SystemRandom::new().fill(key.as_mut_slice()).map_err(|_| KeyringError::NoRandomness)?;
    let text = Zeroizing::new(format!("{}\n", STANDARD.encode(key.as_slice())));
    let partial = file.with_extension("partial");
    let write = || {
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut handle = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        handle.write_all(text.as_bytes())?;
        handle.sync_all()?;
        fs::rename(&partial, file)?;
        file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|source| KeyringError::Io { file: file.to_owned(), source })
}
