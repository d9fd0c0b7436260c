//! What a guest said of the panic that ended it, so that its failure tells more than that it trapped.

use crate::capability::logs::{LogLine, Stream};
use crate::error::CallError;

/// The longest words that are passed on, in bytes.
const WORDS_BYTES: usize = 1024;

/// The error with the words of the panic in it, when `lines` tell of one and the guest trapped.
pub fn explained(error: CallError, lines: &[LogLine]) -> CallError {
    match (error, said(lines)) {
        (CallError::Trap { frames, .. }, Some(words)) => {
            CallError::Trap { kind: format!("it panicked at {words}"), frames }
        }
        (error, _) => error,
    }
}

/// Place and words of the last panic, as the standard library of Rust prints them to standard error.
fn said(lines: &[LogLine]) -> Option<String> {
    let errors: Vec<&str> =
        lines.iter().filter(|line| line.stream == Stream::Stderr).map(|line| line.text.as_str()).collect();
    let begin = errors.iter().rposition(|line| line.contains("panicked at "))?;
    let (_, place) = errors[begin].split_once("panicked at ")?;
    let words = errors[begin + 1..].iter().take_while(|line| !line.starts_with("note: run with"));
    let mut said = place.to_owned();
    for word in words.filter(|line| !line.trim().is_empty()) {
        said.push(' ');
        said.push_str(word.trim());
    }
    said.truncate(said.floor_char_boundary(WORDS_BYTES));
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(stream: Stream, texts: &[&str]) -> Vec<LogLine> {
        let line =
            |text: &&str| LogLine { stream, level: None, context: String::new(), text: (*text).to_owned() };
        texts.iter().map(line).collect()
    }

    fn trap() -> CallError {
        CallError::Trap { kind: "wasm `unreachable` instruction executed".to_owned(), frames: Vec::new() }
    }

    #[test]
    fn a_panic_is_told_with_its_place_and_its_words() {
        let printed = [
            "before",
            "thread '<unnamed>' (1) panicked at src/lib.rs:5:9:",
            "index out of bounds:",
            "  the len is 3",
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
        ];

        let error = explained(trap(), &lines(Stream::Stderr, &printed));

        assert_eq!(
            error.to_string(),
            "the plugin stopped: it panicked at src/lib.rs:5:9: index out of bounds: the len is 3"
        );
    }

    #[test]
    fn a_trap_without_a_panic_and_a_panic_without_a_trap_stay_as_they_are() {
        let printed = ["panicked at src/lib.rs:1:1:", "no"];

        let elsewhere = explained(trap(), &lines(Stream::Stdout, &printed));
        let other = explained(CallError::Cancelled, &lines(Stream::Stderr, &printed));

        assert_eq!(elsewhere.to_string(), trap().to_string());
        assert!(matches!(other, CallError::Cancelled));
    }

    #[test]
    fn long_words_are_cut() {
        let words = "é".repeat(WORDS_BYTES);

        let said = said(&lines(Stream::Stderr, &["panicked at a.rs:1:1:", &words]));

        assert!(said.is_some_and(|said| said.len() <= WORDS_BYTES && said.ends_with('é')));
    }
}
