//! What commands print on standard output.

use std::io::{ErrorKind, Write};

use serde_json::Value;

/// Prints a line; a reader that has gone away is no failure of ours.
pub fn line(text: &str) {
    piece(text);
    piece("\n");
}

/// Prints a piece of a line at once.
pub fn piece(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() == ErrorKind::BrokenPipe
    {
        std::process::exit(0);
    }
}

/// Prints JSON in one line.
pub fn json(value: &Value) {
    line(&value.to_string());
}

/// Text of a stranger, without what a terminal would obey.
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// A table: columns as wide as their widest cell, the last one as long as it is.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        line("(none)");
        return;
    }
    let clean: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| plain(cell).replace(['\n', '\t'], " ")).collect())
        .collect();
    let width = |column: usize| {
        let cells = clean.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0).min(60)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |cells: &[String]| {
        let mut text = String::new();
        for (at, cell) in cells.iter().enumerate() {
            text.push_str(cell);
            if at + 1 < cells.len() {
                let gap = widths[at].saturating_sub(cell.chars().count()) + 2;
                text.extend(std::iter::repeat_n(' ', gap));
            }
        }
        line(text.trim_end());
    };
    print(&head.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    clean.iter().for_each(|row| print(row));
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
