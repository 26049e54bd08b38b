//! What goes to stderr, and how a run ends: errors with their hints, notes, the closing line, the exit status.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use detector::write::{table::Look, visible};

use crate::args::When;

/// Why a command ended early, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: anyhow::Error,
    pub(crate) hint: Option<String>,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, hint: None }
    }
}

/// Adds the line that says what to do.
pub(crate) trait Hint<T> {
    /// Turns an error into a failure with a hint.
    fn hint(self, text: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, text: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure { error: error.into(), hint: Some(text.into()) })
    }
}

/// How a run ended; a later one wins over those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Ran to the end.
    Done,
    /// A finding met `--fail-on`.
    FailOn,
    /// Could not finish.
    Unfinished,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// Names offered when the one typed is unknown.
const OFFERED: usize = 8;

/// The first of some names. One may hold commas: functions that share an interface have one name together.
pub(crate) fn offered<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = if names.len() > OFFERED { " …" } else { "" };
    format!("{}{more}", names.take(OFFERED).collect::<Vec<_>>().join("; "))
}

/// The longest message printed.
const MAX_TEXT_BYTES: usize = 4 << 10;

/// stderr, with or without colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    color: bool,
}

impl Console {
    pub(crate) fn new(color: When) -> Self {
        Self { color: wanted(color, io::stderr().is_terminal()) }
    }

    /// An error with its causes, then what to do about it.
    pub(crate) fn failure(self, failure: &Failure) {
        self.error(&format!("{:#}", failure.error));
        if let Some(hint) = &failure.hint {
            self.hint(hint);
        }
    }

    pub(crate) fn error(self, text: &str) {
        self.labelled("error", "1;31", text);
    }

    pub(crate) fn hint(self, text: &str) {
        self.labelled("hint", "1;36", text);
    }

    pub(crate) fn note(self, text: &str) {
        self.labelled("note", "1", text);
    }

    fn labelled(self, label: &str, code: &str, text: &str) {
        let text = shown(text);
        if self.color {
            to_stderr(&format!("\u{1b}[{code}m{label}:\u{1b}[0m {text}"));
        } else {
            to_stderr(&format!("{label}: {text}"));
        }
    }
}

/// A message as it is printed. Those of the settings file span lines; names in it may hold anything, and what a parser
/// quotes may be the whole of a file.
fn shown(text: &str) -> String {
    let part = text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or(text);
    let lines = part.lines().map(visible).collect::<Vec<_>>().join("\n");
    if part.len() < text.len() { lines + "…" } else { lines }
}

/// Writes a line to stderr; nobody is left to tell when that is closed.
pub(crate) fn to_stderr(line: &str) {
    writeln!(io::stderr().lock(), "{line}").ok();
}

/// Whether colour is wanted where `terminal` says whether somebody looks. An explicit `always` wins over `NO_COLOR`.
fn wanted(color: When, terminal: bool) -> bool {
    match color {
        When::Always => true,
        When::Never => false,
        When::Auto => terminal && !forbidden(),
    }
}

/// <https://no-color.org>: set and not empty means no colour.
fn forbidden() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

/// How findings look on stdout: in its width, and with colour only when it is a terminal.
///
/// Data in a pipe or a file is the same with every `--color`, which is about what people look at.
pub(crate) fn stdout_look(color: When) -> Look {
    /// Longer lines are hard to read, however wide the terminal.
    const WIDEST: u16 = 120;
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return Look::PLAIN;
    }
    let width = terminal_size::terminal_size_of(&stdout).map_or(80, |(width, _)| width.0.min(WIDEST));
    Look { width: usize::from(width), color: wanted(color, true), ..Look::PLAIN }
}

/// Writes to stdout; a reader who has gone away has read enough.
pub(crate) fn to_stdout(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not write to stdout"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_status_wins() {
        assert_eq!(Status::Done.max(Status::FailOn).max(Status::Unfinished), Status::Unfinished);
        assert_eq!([Status::Done, Status::FailOn, Status::Unfinished].map(|status| status as u8), [0, 1, 2]);
    }

    #[test]
    fn colour_follows_what_was_typed_before_where_it_goes() {
        assert!(wanted(When::Always, false));
        assert!(!wanted(When::Never, true));
        assert!(!wanted(When::Auto, false));
    }

    #[test]
    fn what_is_printed_is_harmless_and_has_an_end() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a\\u{1b}[2J\nb");
        let long = shown(&"ä".repeat(1 << 20));
        assert!(long.len() <= MAX_TEXT_BYTES + 3 && long.ends_with('…'));
    }
}
