//! Rows under a head, for people. The last column takes what is left of the line.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::output;
use crate::terminal::{Terminal, Tone};

/// Columns between two cells.
const GAP: usize = 2;
/// The last column is not cut to less than this; then the terminal wraps the line.
const MIN_LAST: usize = 16;

/// Prints `rows` on standard output. A table of nothing is a note on standard error, so that a pipe gets no data.
pub fn print(head: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        output::note("(none)");
        return;
    }
    for line in lines(head, rows, Terminal::out()) {
        output::line(&line);
    }
}

/// The lines of a table. Ids stay whole, so that they can be copied: only the last column is cut.
fn lines(head: &[&str], rows: &[Vec<String>], terminal: Terminal) -> Vec<String> {
    let clean: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| output::one_line(cell)).collect()).collect();
    let last = head.len().saturating_sub(1);
    let widths: Vec<usize> = (0..last)
        .map(|column| {
            let cells = clean.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
            cells.chain([head[column].width()]).max().unwrap_or(0)
        })
        .collect();
    let before: usize = widths.iter().map(|width| width + GAP).sum();
    let room = terminal.width.map(|width| width.saturating_sub(before).max(MIN_LAST));
    let compose = |cells: &[String], tone: &dyn Fn(usize, &str) -> Tone| {
        let mut text = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let shown = if at == last {
                room.map_or_else(|| cell.clone(), |room| cut(cell, room))
            } else {
                cell.clone()
            };
            text.push_str(&terminal.paint(tone(at, cell), &shown));
            if at < last && cells[at + 1..].iter().any(|cell| !cell.is_empty()) {
                text.extend(std::iter::repeat_n(' ', widths[at].saturating_sub(shown.width()) + GAP));
            }
        }
        text
    };
    let names: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let is_state = |at: usize| matches!(head[at], "STATUS" | "STATE" | "");
    let state = |at: usize, cell: &str| if is_state(at) { Tone::of(cell) } else { Tone::Plain };
    let mut all = vec![compose(&names, &|_, _| Tone::Head)];
    all.extend(clean.iter().map(|row| compose(row, &state)));
    all
}

/// `text` in at most `room` columns; what is left out is an ellipsis.
pub fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        shown.push(c);
    }
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_the_last_one_is_cut() {
        let rows = [
            row(&["run_1", "好", "a text that is longer than the line has room for"]),
            row(&["run_22", "b", "c"]),
        ];

        let narrow = lines(&["RUN", "NAME", "TEXT"], &rows, Terminal { width: Some(40), colours: false });
        let endless = lines(&["RUN", "NAME", "TEXT"], &rows, Terminal { width: None, colours: false });

        assert_eq!(
            narrow,
            ["RUN     NAME  TEXT", "run_1   好    a text that is longer tha…", "run_22  b     c"],
        );
        assert!(narrow.iter().all(|line| line.width() <= 40));
        assert!(endless[1].ends_with("has room for"));
    }

    #[test]
    fn a_cell_of_a_stranger_is_one_line_and_commands_no_terminal() {
        let rows = [row(&["a\x1b[31m\nb\tc", "running", ""])];

        let lines = lines(&["X", "STATUS", "Y"], &rows, Terminal { width: None, colours: true });

        assert_eq!(lines[1], "a[31m b c  \x1b[33mrunning\x1b[0m");
    }
}
