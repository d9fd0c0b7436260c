//! What is going on, on standard error: a line that moves on a terminal, and nowhere else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;
use crate::terminal;

const TICK: Duration = Duration::from_millis(100);
/// The line is cut where the terminal ends.
const WORKING: &str = "{spinner} {wide_msg} ({elapsed})";
const FETCHING: &str = "{spinner} {msg} [{bar:24}] {bytes}/{total_bytes}";

/// A line that goes away with its owner.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins to show that something is done, such as `compiling`.
    pub fn start(what: &str) -> Self {
        if !terminal::may_move() {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner();
        let progress = Self(Some(bar));
        progress.style(WORKING);
        progress.set(what);
        if let Some(bar) = &progress.0 {
            bar.enable_steady_tick(TICK);
        }
        progress
    }

    /// Shows nothing; what is said is a remark in a line.
    pub fn none() -> Self {
        Self(None)
    }

    /// How many bytes there are to come, once that is known.
    pub fn expect(&self, bytes: u64) {
        self.style(FETCHING);
        if let Some(bar) = &self.0 {
            bar.set_length(bytes);
        }
    }

    /// So many bytes have come.
    pub fn add(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }

    /// The next step; a remark where nothing moves.
    pub fn say(&self, line: &str) {
        if self.0.is_some() {
            self.set(line);
        } else {
            output::note(&output::one_line(line));
        }
    }

    fn set(&self, line: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(output::one_line(line));
        }
    }

    fn style(&self, template: &str) {
        if let Some(bar) = &self.0
            && let Ok(style) = ProgressStyle::with_template(template)
        {
            bar.set_style(style.progress_chars("=> "));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
