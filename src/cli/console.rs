//! Where commands print: answers to standard output, complaints to standard error.

use std::fmt;
use std::io::{self, Write};

/// A pair of writers. A reader that went away (`| head`) is no reason to fail: what cannot be printed is dropped.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

impl Console {
    /// The process's own.
    #[must_use]
    pub fn process() -> Self {
        Self::new(io::stdout(), io::stderr())
    }

    /// Any two writers.
    pub fn new(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), err: Box::new(err) }
    }

    /// Prints an answer and a line's end.
    pub fn say(&mut self, text: impl fmt::Display) {
        let _dropped = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    /// Prints a question, to standard error: the answer to a command stays clean.
    pub(crate) fn ask(&mut self, question: &str) {
        let _dropped = write!(self.err, "{question}").and_then(|()| self.err.flush());
    }

    /// Prints a complaint: one sentence, with the program's name before it.
    pub fn complain(&mut self, text: impl fmt::Display) {
        let _dropped = writeln!(self.err, "switchyard: {text}").and_then(|()| self.err.flush());
    }

    /// Prints what another has written whole, such as a usage text.
    pub(crate) fn print(&mut self, text: &str, complaint: bool) {
        let to = if complaint { &mut self.err } else { &mut self.out };
        let _dropped = write!(to, "{text}").and_then(|()| to.flush());
    }
}
