//! What commands print: data on standard output, remarks on standard error.

use std::io::{ErrorKind, Write};

use serde_json::Value;

use crate::failure::Failure;
use crate::terminal::{Terminal, Tone};
use crate::wrap;

/// Prints a line of data.
pub fn line(text: &str) {
    piece(text);
    piece("\n");
}

/// Prints a piece of a line at once. A reader that has gone away is no failure of ours; a full disk is.
pub fn piece(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        Failure::failed("output_unwritable", format!("standard output cannot be written: {error}"))
            .print(false);
        std::process::exit(1);
    }
}

/// Prints JSON in one line.
pub fn json(value: &Value) {
    line(&value.to_string());
}

/// Tells a person something that is no data.
pub fn note(text: &str) {
    note_piece(text);
    note_piece("\n");
}

/// Tells a piece of a remark at once. Nobody who listens is no failure.
pub fn note_piece(text: &str) {
    let mut err = std::io::stderr().lock();
    let _unheard = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Text of a stranger, without what a terminal would obey.
///
/// What turns the direction of writing goes too: it shows the words of a line in another order than they stand in.
pub fn plain(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| (!c.is_control() && !turns(*c)) || matches!(c, '\n' | '\t')).collect()
}

/// Text of a stranger in one line.
pub fn one_line(text: &str) -> String {
    plain(text).replace(['\n', '\t', '\u{2028}', '\u{2029}'], " ")
}

/// Prints data of several words behind `first`, in as many lines as a terminal needs.
pub fn hanging(first: &str, text: &str, tone: Tone) {
    let terminal = Terminal::out();
    for text in wrap::hanging(first, &one_line(text), terminal.width) {
        line(&terminal.paint(tone, &text));
    }
}

/// The text of a field, or nothing.
pub fn text(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The items of a list.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The time in a field, as a clock on this wall shows it; as it is when it is no time.
pub fn when(value: &Value, key: &str) -> String {
    let text = text(value, key);
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_stranger_neither_commands_a_terminal_nor_turns_its_words_around() {
        assert_eq!(plain("a\x1b[31m\u{202e}b\u{2066}c\u{9b}d\ne"), "a[31mbcd\ne");
        assert_eq!(one_line("a\nb\tc\u{2028}d"), "a b c d");
        assert_eq!(one_line("שלום 好 👍"), "שלום 好 👍");
    }
}
