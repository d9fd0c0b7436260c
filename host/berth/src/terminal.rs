//! What is on the other side of a stream: a terminal with a width and colours, or something else.

use std::io::IsTerminal;

/// Tables and lines are not cut to less than this.
const MIN_WIDTH: usize = 20;

/// What a word means for its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Waiting,
    Bad,
    Head,
    Quiet,
}

impl Tone {
    /// The tone of a status.
    pub fn of(status: &str) -> Self {
        match status {
            "ok" | "ready" | "live" | "online" | "connected" | "active" | "succeeded" | "approved" => {
                Self::Good
            }
            "FAILED" | "failed" | "cancelled" | "quarantined" | "rejected" | "revoked" | "error" => Self::Bad,
            "queued" | "running" | "pending" | "degraded" | "starting" => Self::Waiting,
            other if other.starts_with("waiting") => Self::Waiting,
            _ => Self::Plain,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Waiting => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Head => "\x1b[1m",
            Self::Quiet => "\x1b[2m",
        }
    }
}

/// What a stream can show.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// In columns; `None` where there is no end of the line.
    pub width: Option<usize>,
    pub colours: bool,
}

impl Terminal {
    /// Standard output.
    pub fn out() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self { width: None, colours: false };
        }
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self { width: width.map(|width| width.max(MIN_WIDTH)), colours: may_colour() }
    }

    /// Standard error.
    pub fn err() -> Self {
        Self { width: None, colours: std::io::stderr().is_terminal() && may_colour() }
    }

    /// `text` in the colour of its tone, where there are colours.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colours || tone == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        format!("{}{text}\x1b[0m", tone.code())
    }
}

/// Whether the user wants colours at all: `NO_COLOR` with any text says no.
pub fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb()
}

/// Whether a line of standard error may be written over and over.
pub fn may_move() -> bool {
    std::io::stderr().is_terminal() && !is_dumb()
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_a_colour_where_there_are_colours_only() {
        let plain = Terminal { width: None, colours: false };
        let coloured = Terminal { width: None, colours: true };

        assert_eq!(plain.paint(Tone::Bad, "failed"), "failed");
        assert_eq!(coloured.paint(Tone::of("failed"), "failed"), "\x1b[31mfailed\x1b[0m");
        assert_eq!(coloured.paint(Tone::of("a word of somebody"), "x"), "x");
    }
}
