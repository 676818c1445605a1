//! Where commands print: answers to standard output, complaints to standard error.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::termios::tcgetwinsize;

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters of a line.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
}

impl Size {
    /// What a terminal has that does not say.
    const USUAL: Self = Self { columns: 80, rows: 24 };
}

/// How large the terminal is right now.
type Screen = Box<dyn Fn() -> Size + Send>;

/// A pair of writers. A reader that went away (`| head`) is no reason to fail: what cannot be printed is dropped.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    screen: Option<Screen>,
    /// The output is the process's own.
    own: bool,
    drawn: bool,
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
        let terminal = io::stdout().is_terminal();
        let screen = terminal.then(|| -> Screen { Box::new(own_size) });
        Self { screen, own: true, ..Self::new(io::stdout(), io::stderr()) }
    }

    /// Any two writers.
    pub fn new(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), err: Box::new(err), screen: None, own: false, drawn: false }
    }

    /// Prints an answer and a line's end.
    pub fn say(&mut self, text: impl fmt::Display) {
        let _dropped = self.tell(text);
    }

    /// Prints an answer and a line's end, or says why it cannot be printed.
    pub(crate) fn tell(&mut self, text: impl fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{text}").and_then(|()| self.out.flush())
    }

    /// How large the terminal is that answers are printed to, if it is one.
    pub(crate) fn size(&self) -> Option<Size> {
        self.screen.as_ref().map(|size| size())
    }

    /// Draws lines on the terminal over those drawn before, each cut to its width, as many as fit.
    pub(crate) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        const CLEAR: &str = "\u{1b}[2J";
        const HOME: &str = "\u{1b}[H";
        const REST_OF_LINE: &str = "\u{1b}[K";
        const REST_OF_SCREEN: &str = "\u{1b}[J";
        let Size { columns, rows } = self.size().unwrap_or(Size::USUAL);
        let mut text = String::from(if self.drawn { "" } else { CLEAR });
        text.push_str(HOME);
        // The last row is the cursor's: a line's end there would scroll.
        for line in lines.iter().take(rows.saturating_sub(1)) {
            text.extend(line.chars().take(columns));
            text.push_str(REST_OF_LINE);
            text.push('\n');
        }
        text.push_str(REST_OF_SCREEN);
        self.drawn = true;
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush())
    }

    /// True when nobody reads the process's output any more: the other end of its pipe is closed.
    pub(crate) fn is_deserted(&self) -> bool {
        if !self.own {
            return false;
        }
        let out = io::stdout();
        let mut fds = [PollFd::new(&out, PollFlags::empty())];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let told = rustix::event::poll(&mut fds, Some(&at_once));
        told.is_ok() && fds.iter().any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP))
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

fn own_size() -> Size {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: usize::from(size.ws_col), rows: usize::from(size.ws_row) }
        }
        _ => Size::USUAL,
    }
}
