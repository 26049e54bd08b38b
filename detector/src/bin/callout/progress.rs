//! Progress on stderr: bytes, rows a second, time left.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use crate::args::When;
use crate::console::to_stderr;
use crate::engine::Progress;

/// Redraws a second: enough to look alive, too few to cost anything.
const REDRAWS: u8 = 8;

/// A bar over the bytes of all objects.
#[derive(Debug)]
pub(crate) struct Bar {
    drawn: ProgressBar,
    n_rows: Arc<AtomicU64>,
    /// Nobody wipes what was drawn.
    is_left: bool,
}

impl Bar {
    pub(crate) fn new(when: When, n_bytes: u64) -> Self {
        let terminal = io::stderr().is_terminal();
        let target = match when {
            When::Auto | When::Always if terminal => ProgressDrawTarget::stderr_with_hz(REDRAWS),
            When::Always => ProgressDrawTarget::term_like_with_hz(Box::new(NoTerminal), REDRAWS),
            When::Auto | When::Never => ProgressDrawTarget::hidden(),
        };
        let n_rows = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&n_rows);
        let rows = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            let n = counted.load(Ordering::Relaxed);
            let a_second = n as f64 / state.elapsed().as_secs_f64().max(0.001);
            // A bar that cannot be drawn is no reason to stop.
            write!(text, "{n} rows, {a_second:.0}/s").ok();
        };
        let style = ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes}  {rows}  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rows", rows);
        let bar = ProgressBar::with_draw_target(Some(n_bytes), target).with_style(style);
        Self { drawn: bar, n_rows, is_left: !terminal && when == When::Always }
    }

    /// Takes the bar away, so that what is written next stands on a clean line.
    pub(crate) fn clear(&self) {
        self.drawn.finish_and_clear();
        if self.is_left {
            to_stderr("");
        }
    }
}

impl Progress for Bar {
    fn object_done(&self, n_bytes: u64, n_rows: u64) {
        self.n_rows.fetch_add(n_rows, Ordering::Relaxed);
        self.drawn.inc(n_bytes);
    }
}

/// stderr that is no terminal, for `--progress always`: one line that is written over.
#[derive(Debug)]
struct NoTerminal;

impl NoTerminal {
    fn put(text: &str) -> io::Result<()> {
        io::stderr().lock().write_all(text.as_bytes())
    }

    /// Moves the cursor; a terminal takes no steps for one step.
    fn go(n: usize, direction: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { Self::put(&format!("\u{1b}[{n}{direction}")) }
    }
}

impl TermLike for NoTerminal {
    fn width(&self) -> u16 {
        80
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'A')
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'B')
    }
    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'C')
    }
    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'D')
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        Self::put(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        Self::put(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        Self::put("\r\u{1b}[2K")
    }
    fn flush(&self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_counts_and_goes_away() {
        for when in [When::Auto, When::Always, When::Never] {
            let bar = Bar::new(when, 300);
            bar.object_done(100, 7);
            bar.object_done(200, 5);
            assert_eq!((bar.drawn.position(), bar.n_rows.load(Ordering::Relaxed)), (300, 12));
            bar.clear();
            assert!(bar.drawn.is_finished());
        }
    }
}
