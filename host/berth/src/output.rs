//! What commands print: data on standard output, remarks on standard error.

use std::io::{ErrorKind, Write};

use serde_json::Value;

use crate::failure::Failure;

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
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Text of a stranger in one line.
pub fn one_line(text: &str) -> String {
    plain(text).replace(['\n', '\t'], " ")
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
