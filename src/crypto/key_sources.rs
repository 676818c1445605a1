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

use super::keyring::{KeyId, Keyring, KeyringError, MasterKey};

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

    /// The file in which the keyring is kept, if it is one that this program may change: `vault.master_key_file`, or the
    /// sandbox's own. None where the keys come from the environment or from systemd.
    #[must_use]
    pub fn writable_file(&self) -> Option<PathBuf> {
        if self.file.is_some() {
            return self.file.clone();
        }
        let credential = self.credentials_directory.as_ref().map(|folder| folder.join(CREDENTIAL_NAME));
        let elsewhere = self.text.is_some() || credential.is_some_and(|file| file.exists());
        (self.sandbox && !elsewhere).then(|| self.data_dir.join(SANDBOX_KEYRING))
    }

    /// Makes a key and puts it first into the keyring's file.
    ///
    /// # Errors
    /// [`KeyringError`]; [`KeyringError::NoFile`] where the keyring is none.
    pub fn add(&self) -> Result<KeyId, KeyringError> {
        let file = self.writable_file().ok_or(KeyringError::NoFile)?;
        let before = read_text(&file)?;
        let key = fresh()?;
        let id = Keyring::parse(&key, "a new key")?.active_id();
        replace(&file, &Zeroizing::new(format!("{}\n{}", key.as_str(), before.as_str())))?;
        Ok(id)
    }

    /// Takes a key out of the keyring's file and answers which file it was; none where there is no such file or the key is
    /// not in it.
    ///
    /// # Errors
    /// [`KeyringError`]
    pub fn remove(&self, id: KeyId) -> Result<Option<PathBuf>, KeyringError> {
        let Some(file) = self.writable_file() else { return Ok(None) };
        let before = read_text(&file)?;
        let Some(after) = Keyring::without(&before, id) else { return Ok(None) };
        replace(&file, &after)?;
        Ok(Some(file))
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

fn read_text(file: &Path) -> Result<Zeroizing<String>, KeyringError> {
    fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|source| KeyringError::Io { file: file.to_owned(), source })
}

fn read(file: &Path) -> Result<Keyring, KeyringError> {
    Keyring::parse(&read_text(file)?, &file.display().to_string())
}

fn warn_if_readable_by_others(file: &Path) {
    if let Ok(metadata) = fs::metadata(file)
        && metadata.permissions().mode() & 0o077 != 0
    {
        tracing::warn!(file = %file.display(), "the key file can be read by others than its owner");
    }
}

/// A new key, as base64.
fn fresh() -> Result<Zeroizing<String>, KeyringError> {
    let mut key = Zeroizing::new([0_u8; MasterKey::LEN]);
    SystemRandom::new().fill(key.as_mut_slice()).map_err(|_| KeyringError::NoRandomness)?;
    Ok(Zeroizing::new(STANDARD.encode(key.as_slice())))
}

/// Makes a keyring file of one new key, readable by its owner only.
fn make(file: &Path) -> Result<(), KeyringError> {
    replace(file, &Zeroizing::new(format!("{}\n", fresh()?.as_str())))
}

/// Writes a keyring's file. The new text appears whole or not at all; a link stays a link.
fn replace(file: &Path, text: &str) -> Result<(), KeyringError> {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let partial = file.with_extension("partial");
    let write = || {
        let mode = fs::metadata(&file).map_or(0o600, |metadata| metadata.permissions().mode() & 0o777);
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut handle = OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
        handle.write_all(text.as_bytes())?;
        handle.sync_all()?;
        fs::rename(&partial, &file)?;
        file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|source| KeyringError::Io { file: file.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    const A: &str = "hKG6w0T3Jr7vJ1i0n8lS0c5m4yWm3Xq1kZl5r2t9uA0=";
    const B: &str = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const C: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn sources(data: &TempDir) -> KeySources {
        KeySources { data_dir: data.path().to_owned(), ..KeySources::default() }
    }

    fn id(key: &str) -> crate::crypto::KeyId {
        Keyring::parse(key, "a test").unwrap().active_id()
    }

    #[test]
    fn without_a_key_the_error_says_how_to_give_one() {
        let data = tempfile::tempdir().unwrap();
        let said = sources(&data).load().unwrap_err().to_string();
        for way in
            ["vault.master_key_file", KEY_VARIABLE, CREDENTIAL_NAME, "head -c 32 /dev/urandom | base64"]
        {
            assert!(said.contains(way), "{said}");
        }
    }

    #[test]
    fn file_then_variable_then_credential() {
        let (data, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = outside.path().join("key");
        fs::write(&file, A).unwrap();
        fs::write(outside.path().join(CREDENTIAL_NAME), C).unwrap();
        let mut given = sources(&data);
        given.credentials_directory = Some(outside.path().to_owned());
        assert_eq!(given.load().unwrap().active_id(), id(C));
        given.text = Some(SecretString::from(B));
        assert_eq!(given.load().unwrap().active_id(), id(B));
        given.file = Some(file);
        assert_eq!(given.load().unwrap().active_id(), id(A));
    }

    #[test]
    fn a_key_beside_the_data_is_refused_also_behind_a_link() {
        let (data, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let inside = data.path().join("key");
        fs::write(&inside, A).unwrap();
        let link_in = outside.path().join("link");
        symlink(&inside, &link_in).unwrap();
        let link_out = data.path().join("link");
        let real = outside.path().join("real");
        fs::write(&real, A).unwrap();
        symlink(&real, &link_out).unwrap();
        for file in [inside, link_in, link_out] {
            let refused = KeySources { file: Some(file.clone()), ..sources(&data) }.load();
            assert!(matches!(refused, Err(KeyringError::InsideDataFolder { .. })), "{}", file.display());
        }
        assert!(KeySources { file: Some(real), ..sources(&data) }.load().is_ok());
    }

    #[test]
    fn the_sandbox_makes_its_own_once_for_its_owner_only() {
        let data = tempfile::tempdir().unwrap();
        let sandbox = KeySources { sandbox: true, ..sources(&data) };
        let made = sandbox.load().unwrap().active_id();
        assert_eq!(sandbox.load().unwrap().active_id(), made);
        let file = data.path().join(SANDBOX_KEYRING);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "nothing half-made is left");
        let real = KeySources { file: Some(file), ..sources(&data) }.load();
        assert!(matches!(real, Err(KeyringError::InsideDataFolder { .. })), "a real daemon never uses it");
    }

    #[test]
    fn a_key_is_added_first_and_one_is_taken_out() {
        let (data, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = outside.path().join("key");
        fs::write(&file, format!("# ours\n{A}, {B} # since spring\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        let given = KeySources { file: Some(file.clone()), ..sources(&data) };
        let fresh = given.add().unwrap();
        assert_eq!(given.load().unwrap().ids().collect::<Vec<_>>(), [fresh, id(A), id(B)]);
        assert_eq!(given.remove(id(A)).unwrap(), Some(file.clone()));
        assert_eq!(given.load().unwrap().ids().collect::<Vec<_>>(), [fresh, id(B)]);
        assert_eq!(given.load().unwrap().oldest_id(), id(B));
        assert_eq!(given.remove(id(A)).unwrap(), None, "it is not there any more");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("# ours") && text.contains("# since spring"), "{text}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o400);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "nothing half-made is left");
    }

    #[test]
    fn a_keyring_that_is_no_file_is_not_changed() {
        let data = tempfile::tempdir().unwrap();
        let given = KeySources { text: Some(SecretString::from(A)), ..sources(&data) };
        assert!(matches!(given.add(), Err(KeyringError::NoFile)));
        assert_eq!(given.remove(id(A)).unwrap(), None);
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for (text, reason) in [
            ("", "it is empty"),
            ("# only a comment", "it is empty"),
            ("hunter2hunter2!", "a key is not base64"),
            ("aHVudGVyMg==", "a key is not 32 bytes long"),
        ] {
            let said = Keyring::parse(text, "vault.master_key_file").unwrap_err().to_string();
            assert_eq!(said, format!("vault.master_key_file holds no master key: {reason}"));
        }
        let keyring = Keyring::parse(&format!("{A}, {B}\n\n{C} # old"), "a test").unwrap();
        assert_eq!(keyring.ids().collect::<Vec<_>>(), [id(A), id(B), id(C)]);
    }
}
