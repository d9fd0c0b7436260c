//! What a guest prints: kept in part, and made safe for terminals.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A printed line, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    pub stream: Stream,
    pub text: String,
}

/// Collects the lines of one call, so many of so many bytes.
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

    /// Takes what the guest wrote to `stream`.
    pub fn write(&self, stream: Stream, bytes: &[u8]) {
        self.lock().write(stream, bytes);
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
        let open = &mut self.open[stream as usize];
        let room = self.most_bytes.saturating_sub(open.len());
        open.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn end_line(&mut self, stream: Stream) {
        let open = std::mem::take(&mut self.open[stream as usize]);
        if self.lines.len() >= self.most_lines {
            self.dropped += 1;
            return;
        }
        let mut text: String =
            String::from_utf8_lossy(&open).chars().filter(|c| !c.is_control() || *c == '\t').collect();
        text.truncate(text.floor_char_boundary(self.most_bytes));
        self.lines.push(LogLine { stream, text });
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
        assert_eq!(texts[..2], ["other", "one[31m red"]);
        assert_eq!(texts[2].len(), limits::LOG_LINE_BYTES);
        assert_eq!(dropped, 0);
    }

    #[test]
    fn a_flood_is_dropped_and_counted() {
        let sink = sink();

        for _ in 0..1000 {
            sink.write(Stream::Stdout, b"again\n");
        }
        let (lines, dropped) = sink.finish();

        assert_eq!(lines.len(), limits::LOG_LINES);
        assert_eq!(dropped, 1000 - limits::LOG_LINES as u64);
    }
}
