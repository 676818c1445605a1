//! The operator's token: made at every start, left in the data folder for the command line, valid from this machine only.
//!
//! Two files: `operator-token` holds the token and nothing else, `http-address` the address of the API. Both can be read
//! by the daemon's own user only, and both are gone after a good stop.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::ports::Rng;
use thiserror::Error;

/// File of the data folder that holds the token.
pub const TOKEN_FILE: &str = "operator-token";
/// File of the data folder that holds the API's address.
pub const ADDRESS_FILE: &str = "http-address";
/// File of the data folder that holds the control API's address of a sandbox inside the daemon.
pub const SANDBOX_FILE: &str = "sandbox-address";

const TOKEN_BYTES: usize = 32;

/// Why a running daemon cannot be reached by its files.
#[derive(Debug, Error)]
pub enum OperatorAccessError {
    /// There are no files: nothing runs on this data folder.
    #[error(
        "no daemon runs on the data folder {0}: start one with `switchyard serve`, or name another with --data-dir"
    )]
    NotRunning(String),
    /// They are there but cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// Which file.
        file: String,
        /// The system's answer.
        reason: String,
    },
}

/// The way into one run of a daemon.
#[derive(Clone)]
pub struct OperatorAccess {
    address: SocketAddr,
    token: SecretString,
}

impl fmt::Debug for OperatorAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorAccess").field("address", &self.address).finish_non_exhaustive()
    }
}

impl OperatorAccess {
    /// A new token for a server that listens on `bound`.
    #[must_use]
    pub fn generate(bound: SocketAddr, rng: &dyn Rng) -> Self {
        let mut bytes = [0_u8; TOKEN_BYTES];
        rng.fill(&mut bytes);
        Self { address: local(bound), token: SecretString::from(URL_SAFE_NO_PAD.encode(bytes)) }
    }

    /// Where the API is reached from this machine.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token, for the server that checks it and the client that sends it.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.expose_secret()
    }

    /// Leaves both files in the data folder. Each appears whole, and readable by its owner only.
    ///
    /// # Errors
    /// What the file system says.
    pub fn publish(&self, data_dir: &Path) -> io::Result<()> {
        write_private(data_dir, ADDRESS_FILE, &self.address.to_string())?;
        write_private(data_dir, TOKEN_FILE, self.token())
    }

    /// Leaves the address of the sandbox inside the daemon beside the others.
    ///
    /// # Errors
    /// What the file system says.
    pub fn publish_sandbox(data_dir: &Path, control: &str) -> io::Result<()> {
        write_private(data_dir, SANDBOX_FILE, control)
    }

    /// Where the sandbox inside the running daemon is; none if it has none.
    #[must_use]
    pub fn sandbox(data_dir: &Path) -> Option<String> {
        let text = fs::read_to_string(data_dir.join(SANDBOX_FILE)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Takes the files away; without them is as good.
    ///
    /// # Errors
    /// What the file system says.
    pub fn withdraw(data_dir: &Path) -> io::Result<()> {
        for name in [TOKEN_FILE, ADDRESS_FILE, SANDBOX_FILE] {
            match fs::remove_file(data_dir.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads what a running daemon left.
    ///
    /// # Errors
    /// [`OperatorAccessError`]
    pub fn read(data_dir: &Path) -> Result<Self, OperatorAccessError> {
        let read = |name: &str| {
            let path = data_dir.join(name);
            fs::read_to_string(&path).map(|text| text.trim().to_owned()).map_err(|error| match error.kind() {
                ErrorKind::NotFound => OperatorAccessError::NotRunning(data_dir.display().to_string()),
                _ => OperatorAccessError::Unreadable {
                    file: path.display().to_string(),
                    reason: error.to_string(),
                },
            })
        };
        let address = read(ADDRESS_FILE)?;
        let address = address.parse().map_err(|_| OperatorAccessError::Unreadable {
            file: data_dir.join(ADDRESS_FILE).display().to_string(),
            reason: "it holds no address".to_owned(),
        })?;
        Ok(Self { address, token: SecretString::from(read(TOKEN_FILE)?) })
    }
}

/// The address by which this machine reaches a server that listens everywhere.
fn local(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

fn write_private(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let partial = folder.join(format!("{name}.partial"));
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    writeln!(file, "{text}")?;
    fs::rename(&partial, folder.join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::crypto::SystemRng;

    fn bound(address: &str) -> OperatorAccess {
        OperatorAccess::generate(address.parse().unwrap(), &SystemRng)
    }

    #[test]
    fn a_run_leaves_files_for_its_owner_and_takes_them_away() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(TOKEN_FILE), "of the run before").unwrap();
        let access = bound("127.0.0.1:4711");
        access.publish(folder.path()).unwrap();
        let token = fs::read_to_string(folder.path().join(TOKEN_FILE)).unwrap();
        assert_eq!(token.trim(), access.token(), "the file is good as a bearer token as it stands");
        for name in [TOKEN_FILE, ADDRESS_FILE] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let read = OperatorAccess::read(folder.path()).unwrap();
        assert_eq!((read.address(), read.token()), (access.address(), access.token()));
        OperatorAccess::withdraw(folder.path()).unwrap();
        OperatorAccess::withdraw(folder.path()).unwrap();
        assert!(matches!(OperatorAccess::read(folder.path()), Err(OperatorAccessError::NotRunning(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing else is left");
    }

    #[test]
    fn each_run_has_its_own_token_and_none_is_shown() {
        let (one, other) = (bound("127.0.0.1:1"), bound("127.0.0.1:1"));
        assert_ne!(one.token(), other.token());
        assert!(one.token().len() >= 43, "256 bits");
        assert!(!format!("{one:?}").contains(one.token()));
    }

    #[test]
    fn a_server_that_listens_everywhere_is_reached_on_loopback() {
        assert_eq!(bound("0.0.0.0:80").address().to_string(), "127.0.0.1:80");
        assert_eq!(bound("[::]:80").address().to_string(), "[::1]:80");
        assert_eq!(bound("10.1.2.3:80").address().to_string(), "10.1.2.3:80");
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(ADDRESS_FILE), "nowhere").unwrap();
        let error = OperatorAccess::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(ADDRESS_FILE) && error.contains("holds no address"), "{error}");
    }
}
