//! Secrets and answers from people and scripts: from a file, from standard input line by line, from a terminal without echo.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;

use secrecy::SecretString;

use super::client::ClientError;
use super::console::Console;
use crate::services::sensitive::Sensitive;

/// Longest secret that is read, in bytes.
const LENGTH_MAX: u64 = 64 * 1_024;

/// A secret from a file (`-`: standard input), or from standard input where no file is named.
pub(super) fn secret(
    what: &'static str,
    file: Option<&Path>,
    console: &mut Console,
) -> Result<Sensitive, ClientError> {
    let text = match file {
        Some(path) if path != Path::new("-") => {
            let failed = |error: io::Error| {
                ClientError::Input(format!("the file {} cannot be read: {error}", path.display()))
            };
            read_bounded(std::fs::File::open(path).map_err(failed)?).map_err(failed)?
        }
        _ if io::stdin().is_terminal() => return hidden(what, console),
        _ => read_bounded(io::stdin().lock()).map_err(|error| unreadable(what, &error))?,
    };
    given(what, &text)
}

/// A secret that a person types, without echo; from a script the next line.
///
/// # Errors
/// [`ClientError::Input`].
pub fn hidden(what: &'static str, console: &mut Console) -> Result<Sensitive, ClientError> {
    if !io::stdin().is_terminal() {
        return given(what, &next_line(what)?);
    }
    let typed = rpassword::prompt_password(format!("{}: ", capitalised(what)));
    console.ask("");
    given(what, &typed.map_err(|error| unreadable(what, &error))?)
}

/// What a person types, and sees; from a script the next line.
///
/// # Errors
/// [`ClientError::Input`].
pub fn line(what: &'static str, console: &mut Console) -> Result<String, ClientError> {
    if io::stdin().is_terminal() {
        console.ask(&format!("{}: ", capitalised(what)));
    }
    let line = next_line(what)?.trim().to_owned();
    if line.is_empty() { Err(missing(what)) } else { Ok(line) }
}

fn next_line(what: &'static str) -> Result<String, ClientError> {
    let mut line = String::new();
    let read = io::stdin().lock().take(LENGTH_MAX).read_line(&mut line);
    read.map_err(|error| unreadable(what, &error))?;
    Ok(line)
}

fn read_bounded(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(LENGTH_MAX.saturating_add(1)).read_to_string(&mut text)?;
    let long = u64::try_from(text.len()).is_ok_and(|length| length > LENGTH_MAX);
    if long { Err(io::Error::other(format!("it is longer than {LENGTH_MAX} bytes"))) } else { Ok(text) }
}

pub(super) fn given(what: &'static str, text: &str) -> Result<Sensitive, ClientError> {
    let text = text.trim();
    if text.len() > Sensitive::LENGTH_MAX {
        let most = Sensitive::LENGTH_MAX;
        return Err(ClientError::Input(format!("the {what} is longer than {most} bytes")));
    }
    if text.is_empty() { Err(missing(what)) } else { Ok(Sensitive::from(SecretString::from(text))) }
}

fn missing(what: &'static str) -> ClientError {
    ClientError::Input(format!("no {what} was given"))
}

fn unreadable(what: &'static str, error: &io::Error) -> ClientError {
    ClientError::Input(format!("the {what} cannot be read: {error}"))
}

fn capitalised(what: &str) -> String {
    let mut chars = what.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
