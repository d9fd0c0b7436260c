//! Finds secrets in what a server answers, in every form that a careless server could give them.
//!
//! The bytes are looked at as they are, and again as they read after undoing percent encoding, JSON escapes and HTML
//! references. In each of these views the value is searched raw, reversed, as hex, as UTF-16, and as base64 of both
//! alphabets at each of the three offsets, all without regard to case.

mod view;

use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};

use crate::secret::{SECRET_MAX_BYTES, SECRET_MIN_BYTES, SecretValue};
use view::{Kind, View};

/// Shorter patterns would be found everywhere.
const PATTERN_MIN_BYTES: usize = 4;
/// Bytes of patterns up to which the fastest form of the search is made, which takes about 1 KiB for each of them.
const FAST_BYTES: usize = 4 << 10;

/// A value that answers cannot be searched for, and that is not handed out therefore.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsearchable {
    #[error("it is shorter than {SECRET_MIN_BYTES} bytes, and answers could not be searched for it")]
    TooShort,
    #[error("it is longer than {SECRET_MAX_BYTES} bytes, and answers could not be searched for it")]
    TooLong,
    #[error("answers could not be searched for it: {0}")]
    Build(String),
}

/// What is searched for, made ready.
pub(crate) struct Patterns {
    automaton: AhoCorasick,
    /// In lower case.
    patterns: Vec<Vec<u8>>,
    longest: usize,
}

/// A secret was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit;

impl Patterns {
    /// Makes the search for all of `secrets` ready, or fails: there is no search for a part of them.
    pub(crate) fn new(secrets: &[Arc<SecretValue>]) -> Result<Self, Unsearchable> {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            match secret.bytes().len() {
                ..SECRET_MIN_BYTES => return Err(Unsearchable::TooShort),
                length if length > SECRET_MAX_BYTES => return Err(Unsearchable::TooLong),
                _ => patterns.extend(forms(secret.bytes())),
            }
        }
        patterns.retain(|pattern| pattern.len() >= PATTERN_MIN_BYTES);
        for pattern in &mut patterns {
            pattern.make_ascii_lowercase();
        }
        patterns.sort_unstable();
        patterns.dedup();
        let longest = patterns.iter().map(Vec::len).max().ok_or(Unsearchable::TooShort)?;
        let bytes: usize = patterns.iter().map(Vec::len).sum();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind((bytes > FAST_BYTES).then_some(AhoCorasickKind::ContiguousNFA))
            .build(&patterns)
            .map_err(|error| Unsearchable::Build(error.to_string()))?;
        Ok(Self { automaton, patterns, longest })
    }

    /// Whether a text that is there as a whole holds a secret.
    pub(crate) fn are_in(self: &Arc<Self>, text: &[u8]) -> bool {
        let mut scanner = Scanner::new(self.clone());
        scanner.push(text).is_err() || scanner.finish().is_err()
    }

    /// The length of the longest end of `text` that a pattern begins with.
    fn begun(&self, text: &[u8]) -> usize {
        let most = text.len().min(self.longest - 1);
        let begins = |end: &[u8]| {
            self.patterns
                .iter()
                .any(|pattern| pattern.len() > end.len() && pattern[..end.len()].eq_ignore_ascii_case(end))
        };
        (1..=most).rev().find(|length| begins(&text[text.len() - length..])).unwrap_or(0)
    }
}

impl Drop for Patterns {
    fn drop(&mut self) {
        for pattern in &mut self.patterns {
            zeroize::Zeroize::zeroize(pattern);
        }
    }
}

/// Every form of the value that is searched for in each view.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![
        value.to_vec(),
        value.iter().rev().copied().collect(),
        hex::encode(value).into_bytes(),
        value.iter().flat_map(|byte| [*byte, 0]).collect(),
        value.iter().flat_map(|byte| [0, *byte]).collect(),
    ];
    if let Ok(text) = std::str::from_utf8(value) {
        forms.push(text.chars().rev().collect::<String>().into_bytes());
    }
    for offset in 0..3_usize {
        let mut shifted = vec![0; offset];
        shifted.extend_from_slice(value);
        // Characters that depend on what stands before and behind the value are left out.
        let from = (offset * 8).div_ceil(6);
        let to = shifted.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&shifted);
            if let Some(inner) = text.as_bytes().get(from..to) {
                forms.push(inner.to_vec());
            }
        }
    }
    forms
}

/// Tells whether secrets are in a text, in any form that an answer is searched for.
pub struct Finder(Arc<Patterns>);

impl Finder {
    /// Fails when one of `values` cannot be searched for, such as one that is too short to be told apart from ordinary
    /// text.
    pub fn new(values: &[&[u8]]) -> Result<Self, Unsearchable> {
        let values: Vec<_> = values.iter().map(|value| Arc::new(SecretValue::new(value.to_vec()))).collect();
        Ok(Self(Arc::new(Patterns::new(&values)?)))
    }

    /// Whether one of them is in `text`.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.0.are_in(text)
    }
}

/// Looks at a body piece by piece and lets go of what cannot be part of a secret any more.
pub(crate) struct Scanner {
    patterns: Arc<Patterns>,
    views: Vec<View>,
    held: BytesMut,
    /// How many bytes have been let go.
    gone: u64,
}

impl Scanner {
    pub(crate) fn new(patterns: Arc<Patterns>) -> Self {
        let views = Kind::ALL.into_iter().map(View::new).collect();
        Self { patterns, views, held: BytesMut::new(), gone: 0 }
    }

    /// Takes the next piece and gives back what is clean.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Bytes, Hit> {
        let begin = self.gone + self.held.len() as u64;
        self.held.extend_from_slice(piece);
        let mut clean = begin + piece.len() as u64;
        for view in &mut self.views {
            clean = clean.min(view.push(&self.patterns, piece, begin)?);
        }
        let free = usize::try_from(clean.saturating_sub(self.gone)).unwrap_or(0).min(self.held.len());
        self.gone += free as u64;
        Ok(self.held.split_to(free).freeze())
    }

    /// Gives back the rest.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Hit> {
        for view in &mut self.views {
            view.finish(&self.patterns)?;
        }
        Ok(self.held.split().freeze())
    }
}

#[cfg(test)]
mod tests;
