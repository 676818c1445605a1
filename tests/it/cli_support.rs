//! Runs verbs against a server of the HTTP tests and captures what they print.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use switchyard::cli::{Console, ExitCode, ask, parse};

/// A writer that keeps what it is given.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A console and what it printed to each of its writers.
pub(crate) fn console() -> (Console, Captured, Captured) {
    let (out, err) = (Captured::default(), Captured::default());
    (Console::new(out.clone(), err.clone()), out, err)
}

/// What a verb did.
pub(crate) struct Done {
    pub(crate) code: ExitCode,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a verb that asks a daemon.
pub(crate) async fn switchyard(arguments: &[&str]) -> Done {
    let (mut console, out, err) = console();
    let code = match parse(["switchyard"].iter().chain(arguments), &mut console) {
        Ok(cli) => ask(&cli.command, &mut console).await.unwrap(),
        Err(code) => code,
    };
    Done { code, out: out.text(), err: err.text() }
}
