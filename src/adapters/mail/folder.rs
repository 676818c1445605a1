//! A folder of letters, one file each in the form of RFC 5322, readable by their owner alone; the oldest beyond a bound go.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use secrecy::ExposeSecret;
use switchyard_actors::model::IdSource;
use switchyard_actors::ports::{Clock, Letter, MailError, Mailer};

/// Ending of the files.
const ENDING: &str = "eml";

/// Writes letters into a folder.
pub struct FolderMailer {
    folder: PathBuf,
    from: Mailbox,
    letters_max: usize,
    clock: Arc<dyn Clock>,
    ids: IdSource,
}

impl FolderMailer {
    /// Into this folder, which is made when it is needed.
    ///
    /// # Errors
    /// [`MailError::Refused`] for a sender that is no address.
    pub fn new(
        folder: PathBuf,
        from: &str,
        letters_max: usize,
        clock: Arc<dyn Clock>,
        ids: IdSource,
    ) -> Result<Self, MailError> {
        let from = mailbox(from)?;
        Ok(Self { folder, from, letters_max, clock, ids })
    }

    fn message(&self, letter: &Letter, id: &str) -> Result<Vec<u8>, MailError> {
        let builder: MessageBuilder = Message::builder()
            .from(self.from.clone())
            .to(mailbox(&letter.to)?)
            .subject(letter.subject.clone())
            .date(self.clock.now().into())
            .message_id(Some(format!("<{id}@switchyard>")))
            .header(ContentType::TEXT_PLAIN);
        let message = builder.body(letter.text.expose_secret().to_owned());
        message.map(|message| message.formatted()).map_err(|error| MailError::Refused(error.to_string()))
    }
}

fn mailbox(text: &str) -> Result<Mailbox, MailError> {
    // The library's own error shows the address.
    text.parse().map_err(|_| MailError::Refused("the address is none that mail knows".to_owned()))
}

#[async_trait]
impl Mailer for FolderMailer {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        // Ids are in order of time, and so are the names of the files.
        let id = self.ids.uuid().to_string();
        let message = self.message(letter, &id)?;
        let (folder, keep) = (self.folder.clone(), self.letters_max);
        let written = tokio::task::spawn_blocking(move || put(&folder, &id, &message, keep)).await;
        let failed = |error: &dyn ToString| MailError::Unavailable(error.to_string());
        written.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

fn put(folder: &Path, id: &str, message: &[u8], keep: usize) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(format!("{id}.{ENDING}"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(message)?;
    let mut letters: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
        .collect();
    letters.sort();
    let beyond = letters.len().saturating_sub(keep);
    for old in letters.into_iter().take(beyond) {
        match fs::remove_file(old) {
            // Another letter's writer was faster.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::SecretString;

    use super::*;
    use crate::clock::SystemClock;
    use crate::crypto::SystemRng;

    fn letter(to: &str, text: &str) -> Letter {
        Letter { to: to.to_owned(), subject: "Grüße".to_owned(), text: SecretString::from(text) }
    }

    #[tokio::test]
    async fn letters_are_their_owners_and_the_oldest_go() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("mail");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids = IdSource::new(Arc::clone(&clock), Arc::new(SystemRng));
        let mailer = FolderMailer::new(folder.clone(), "Yard <yard@localhost>", 2, clock, ids).unwrap();
        for number in 0..3 {
            mailer.send(&letter("ann@example.org", &format!("letter {number}"))).await.unwrap();
            // Ids of one millisecond are in no order.
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        let mut kept: Vec<PathBuf> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        kept.sort();
        let texts: Vec<String> = kept.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        assert_eq!(texts.len(), 2);
        assert!(texts[0].contains("letter 1") && texts[1].contains("letter 2"), "{texts:?}");
        assert!(texts[0].contains("To: ann@example.org") && texts[0].contains("From: Yard <yard@localhost>"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&kept[0])), (0o700, 0o600));
    }

    #[tokio::test]
    async fn an_address_cannot_bring_headers_of_its_own() {
        let place = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids = IdSource::new(Arc::clone(&clock), Arc::new(SystemRng));
        let mailer = FolderMailer::new(place.path().to_owned(), "a@localhost", 2, clock, ids).unwrap();
        for odd in ["ann@example.org\r\nBcc: eve@example.org", "no address", ""] {
            let error = mailer.send(&letter(odd, "text")).await.unwrap_err();
            assert!(matches!(&error, MailError::Refused(text) if !text.contains("eve")), "{error}");
        }
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
