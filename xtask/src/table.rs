//! Tables that a command measures, and their places on the pages.

use anyhow::bail;

/// Below each table.
pub const END: &str = "<!-- end -->";

/// `text` with `table` in the place of the one with the same first line, both up to [`END`]. A table without a place on
/// the page named `page` is an error.
pub fn put(page: &str, text: &str, table: &str) -> anyhow::Result<String> {
    let head = table.lines().next().unwrap_or_default();
    let Some(from) = text.find(head) else { bail!("{page} has no place for a table: {head}") };
    let Some(length) = text[from..].find(END) else { bail!("{page}: no end of the table: {head}") };
    let mut text = text.to_owned();
    text.replace_range(from..from + length + END.len(), table);
    Ok(text)
}
