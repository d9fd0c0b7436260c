//! What a guest prints and logs: kept in part, and made safe for terminals.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;

use super::text;

/// The longest context of a logged line, in bytes; the rest is cut.
pub const CONTEXT_BYTES: usize = 128;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
    /// The guest logged it.
    Log,
    /// The host says it, about the guest.
    Host,
}

impl Stream {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Log => "log",
            Self::Host => "host",
        }
    }
}

/// How much a logged line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// A line, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    pub stream: Stream,
    /// Of logged lines only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// What the guest groups its lines by; empty for printed ones.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    pub text: String,
}

/// Collects the lines of one call, up to a number and a length.
///
/// What is beyond that is counted and dropped; the guest never waits and never fails.
#[derive(Debug, Clone)]
pub struct LogSink(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    most_lines: usize,
    most_bytes: usize,
    lines: Vec<LogLine>,
    open: [Vec<u8>; 2],
    dropped: u64,
}

impl LogSink {
    /// Keeps `lines` lines of at most `bytes` bytes.
    pub fn new(lines: usize, bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            most_lines: lines,
            most_bytes: bytes,
            lines: Vec::new(),
            open: Default::default(),
            dropped: 0,
        })))
    }

    /// Takes what the guest wrote to `stream`, one of the two that it prints to.
    pub fn write(&self, stream: Stream, bytes: &[u8]) {
        self.lock().write(stream, bytes);
    }

    /// Takes a message that the guest logged; each of its lines counts.
    pub fn log(&self, level: Level, context: &str, message: &str) {
        let mut context = text::plain(head(context, CONTEXT_BYTES));
        context.truncate(context.floor_char_boundary(CONTEXT_BYTES));
        let mut inner = self.lock();
        for line in message.lines() {
            inner.push(Stream::Log, Some(level), &context, line);
        }
    }

    /// Adds a line of the host's own, about what the guest did.
    pub fn note(&self, message: &str) {
        self.lock().push(Stream::Host, None, "", message);
    }

    /// Ends open lines and gives back all of them, with the number of dropped ones.
    pub fn finish(&self) -> (Vec<LogLine>, u64) {
        let mut inner = self.lock();
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !inner.open[stream as usize].is_empty() {
                inner.end_line(stream);
            }
        }
        (std::mem::take(&mut inner.lines), inner.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        match self.0.lock() {
            Ok(inner) => inner,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

/// The first `bytes` of a text.
fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

impl Lines {
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        if let Some(first) = parts.next() {
            self.extend(stream, first);
        }
        for part in parts {
            self.end_line(stream);
            self.extend(stream, part);
        }
    }

    fn extend(&mut self, stream: Stream, part: &[u8]) {
        let Some(open) = self.open.get_mut(stream as usize) else { return };
        let room = self.most_bytes.saturating_sub(open.len());
        open.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn end_line(&mut self, stream: Stream) {
        let Some(open) = self.open.get_mut(stream as usize) else { return };
        let open = std::mem::take(open);
        self.push(stream, None, "", &String::from_utf8_lossy(&open));
    }

    fn push(&mut self, stream: Stream, level: Option<Level>, context: &str, line: &str) {
        if self.lines.len() >= self.most_lines {
            self.dropped += 1;
            return;
        }
        let mut text = text::plain(head(line, self.most_bytes));
        text.truncate(text.floor_char_boundary(self.most_bytes));
        self.lines.push(LogLine { stream, level, context: context.to_owned(), text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    fn sink() -> LogSink {
        LogSink::new(limits::LOG_LINES, limits::LOG_LINE_BYTES)
    }

    #[test]
    fn lines_are_joined_cut_and_cleaned() {
        let sink = sink();

        sink.write(Stream::Stdout, b"one\x1b[31m re");
        sink.write(Stream::Stderr, b"other\r\n");
        sink.write(Stream::Stdout, b"d\ntail");
        sink.write(Stream::Stdout, &vec![b'x'; 10_000]);
        let (lines, dropped) = sink.finish();

        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts[..2], ["other", "one red"]);
        assert_eq!(texts[2].len(), limits::LOG_LINE_BYTES);
        assert_eq!(dropped, 0);
    }

    #[test]
    fn a_flood_is_dropped_and_counted_however_it_comes() {
        let sink = sink();

        for _ in 0..500 {
            sink.write(Stream::Stdout, b"again\n");
            sink.log(Level::Info, "flood", "again");
        }
        sink.log(Level::Error, "", &"line\n".repeat(10));
        let (lines, dropped) = sink.finish();

        assert_eq!(lines.len(), limits::LOG_LINES);
        assert_eq!(dropped, 1010 - limits::LOG_LINES as u64);
    }

    #[test]
    fn a_logged_message_keeps_level_and_context_and_is_cut_and_cleaned() {
        let sink = sink();

        sink.log(Level::Warn, &format!("\u{1b}[1m{}", "c".repeat(500)), "first\u{202e}\nsecond");
        sink.log(Level::Debug, "db", &"x".repeat(10_000));
        sink.note("the host says so");
        let (lines, _) = sink.finish();

        assert_eq!((lines[0].level, lines[0].text.as_str()), (Some(Level::Warn), "first"));
        assert_eq!(lines[0].context.len(), CONTEXT_BYTES - "\u{1b}[1m".len());
        assert_eq!(lines[1].text, "second");
        assert_eq!((lines[2].context.as_str(), lines[2].text.len()), ("db", limits::LOG_LINE_BYTES));
        assert_eq!((lines[3].stream, lines[3].level), (Stream::Host, None));
    }
}
