//! One reading of a stream: its bytes after one kind of escape is undone.

use super::{Hit, Patterns};

/// Which escapes are undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Raw,
    Percent,
    /// Percent encoding where `+` is a space.
    Form,
    Json,
    Html,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Raw, Self::Percent, Self::Form, Self::Json, Self::Html];

    /// Reads what stands at the beginning of `text`, which is not empty.
    fn read(self, text: &[u8]) -> Read {
        match (self, text[0]) {
            (Self::Percent | Self::Form, b'%') => percent(text),
            (Self::Form, b'+') => Read::Bytes(1, vec![b' ']),
            (Self::Json, b'\\') => json(text),
            (Self::Html, b'&') => html(text),
            _ => Read::Plain,
        }
    }
}

/// What stands at one place of a text.
enum Read {
    /// The byte stands for itself.
    Plain,
    /// So many bytes of the source are these bytes.
    Bytes(usize, Vec<u8>),
    /// What follows decides.
    More,
}

/// A stream in one reading, searched as it comes.
pub(super) struct View {
    kind: Kind,
    /// An escape that is not over yet.
    pending: Vec<u8>,
    /// The end of what was read, long enough for a pattern that goes on.
    tail: Vec<u8>,
    /// Where in the source each byte of `tail` comes from.
    from: Vec<u64>,
}

impl View {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, pending: Vec::new(), tail: Vec::new(), from: Vec::new() }
    }

    /// Takes `piece`, which stands at `begin` in the source; gives back where in the source a match may have begun.
    pub(super) fn push(&mut self, patterns: &Patterns, piece: &[u8], begin: u64) -> Result<u64, Hit> {
        let begin = begin - self.pending.len() as u64;
        let mut text = std::mem::take(&mut self.pending);
        text.extend_from_slice(piece);
        let mut at = 0;
        while at < text.len() {
            let place = begin + at as u64;
            match self.kind.read(&text[at..]) {
                Read::Plain => {
                    self.keep(&[text[at]], place);
                    at += 1;
                }
                Read::Bytes(length, bytes) => {
                    self.keep(&bytes, place);
                    at += length;
                }
                Read::More => break,
            }
        }
        self.pending = text.split_off(at);
        let open = begin + at as u64;
        Ok(self.search(patterns)?.unwrap_or(open))
    }

    /// Reads an escape that never ended as it stands.
    pub(super) fn finish(&mut self, patterns: &Patterns) -> Result<(), Hit> {
        let rest = std::mem::take(&mut self.pending);
        self.keep(&rest, 0);
        self.search(patterns).map(|_| ())
    }

    fn keep(&mut self, bytes: &[u8], place: u64) {
        self.tail.extend_from_slice(bytes);
        self.from.extend(std::iter::repeat_n(place, bytes.len()));
    }

    fn search(&mut self, patterns: &Patterns) -> Result<Option<u64>, Hit> {
        if patterns.automaton.is_match(&self.tail) {
            return Err(Hit);
        }
        let begun = patterns.begun(&self.tail);
        let cut = self.tail.len() - begun;
        self.tail.drain(..cut);
        self.from.drain(..cut);
        Ok(self.from.first().copied())
    }
}

fn percent(text: &[u8]) -> Read {
    match text.get(1..3) {
        None if text[1..].iter().all(u8::is_ascii_hexdigit) => Read::More,
        None => Read::Plain,
        Some(digits) => match number(digits, 16) {
            Some(byte) => Read::Bytes(3, vec![u8::try_from(byte).unwrap_or_default()]),
            None => Read::Plain,
        },
    }
}

fn json(text: &[u8]) -> Read {
    let Some(kind) = text.get(1) else { return Read::More };
    let byte = match kind {
        b'u' => return json_unit(text),
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'"' | b'\\' | b'/' => *kind,
        _ => return Read::Plain,
    };
    Read::Bytes(2, vec![byte])
}

/// `\u00e9`, or two of them for what is beyond the first plane.
fn json_unit(text: &[u8]) -> Read {
    let unit = |at: usize| -> Result<u32, Read> {
        match text.get(at..at + 4) {
            Some(digits) => number(digits, 16).ok_or(Read::Plain),
            None if text[at.min(text.len())..].iter().all(u8::is_ascii_hexdigit) => Err(Read::More),
            None => Err(Read::Plain),
        }
    };
    let high = match unit(2) {
        Ok(high) => high,
        Err(read) => return read,
    };
    if !(0xd800..0xdc00).contains(&high) {
        return character(6, high);
    }
    match text.get(6..8) {
        None if b"\\u".starts_with(&text[6..]) => Read::More,
        Some(b"\\u") => match unit(8) {
            Ok(low) if (0xdc00..0xe000).contains(&low) => {
                character(12, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            }
            Err(Read::More) => Read::More,
            _ => Read::Plain,
        },
        _ => Read::Plain,
    }
}

/// The longest reference that is undone, such as `&#x0000041;`.
const REFERENCE_BYTES: usize = 12;

fn html(text: &[u8]) -> Read {
    let end = text.iter().take(REFERENCE_BYTES).position(|byte| *byte == b';');
    let Some(end) = end else {
        let is_name = text[1..].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#');
        return if is_name && text.len() < REFERENCE_BYTES { Read::More } else { Read::Plain };
    };
    let code = match &text[1..end] {
        b"amp" => Some(u32::from(b'&')),
        b"lt" => Some(u32::from(b'<')),
        b"gt" => Some(u32::from(b'>')),
        b"quot" => Some(u32::from(b'"')),
        b"apos" => Some(u32::from(b'\'')),
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    };
    code.map_or(Read::Plain, |code| character(end + 1, code))
}

fn character(length: usize, code: u32) -> Read {
    match char::from_u32(code) {
        Some(c) => Read::Bytes(length, c.to_string().into_bytes()),
        None => Read::Plain,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    // A sign is no digit here.
    let text = std::str::from_utf8(digits).ok().filter(|text| text.chars().all(|c| c.is_digit(radix)))?;
    u32::from_str_radix(text, radix).ok()
}
