//! Rows under a head, for people. The last column takes what is left of the line; a terminal that is too narrow for the
//! columns shows each row as a block, a line for each cell.

use unicode_width::UnicodeWidthStr;

use crate::output;
use crate::terminal::{Terminal, Tone};
use crate::wrap::{cut, folded};

/// Columns between two cells.
const GAP: usize = 2;
/// What the last column needs at least, where it has so much to say.
const MIN_LAST: usize = 16;
/// What a cell of a block needs beside its name; with less it stands below.
const MIN_CELL: usize = 16;

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
    let widest = |column: usize| {
        let cells = clean.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
        cells.chain([head[column].width()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..last).map(widest).collect();
    let before: usize = widths.iter().map(|width| width + GAP).sum();
    let Some(width) = terminal.width else { return columns(head, &clean, terminal, &widths, None) };
    if before + widest(last).min(MIN_LAST) > width {
        return blocks(head, &clean, terminal, width);
    }
    columns(head, &clean, terminal, &widths, Some(width - before))
}

/// A row in a line; `room` is for the last cell.
fn columns(
    head: &[&str],
    rows: &[Vec<String>],
    terminal: Terminal,
    widths: &[usize],
    room: Option<usize>,
) -> Vec<String> {
    let last = widths.len();
    let compose = |cells: &[String], tone: &dyn Fn(usize, &str) -> Tone| {
        let mut text = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let shown = match room {
                Some(room) if at == last => cut(cell, room),
                _ => cell.clone(),
            };
            text.push_str(&terminal.paint(tone(at, cell), &shown));
            if at < last && cells[at + 1..].iter().any(|cell| !cell.is_empty()) {
                text.extend(std::iter::repeat_n(' ', widths[at].saturating_sub(shown.width()) + GAP));
            }
        }
        text
    };
    let names: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let mut all = vec![compose(&names, &|_, _| Tone::Head)];
    all.extend(rows.iter().map(|row| compose(row, &|at, cell| tone_of(head[at], cell))));
    all
}

/// A row in several lines, each with the name of its cell; nothing is left out.
fn blocks(head: &[&str], rows: &[Vec<String>], terminal: Terminal, width: usize) -> Vec<String> {
    let beside = head.iter().map(|name| name.width() + GAP).max().unwrap_or(0);
    let mut all = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            all.push(String::new());
        }
        for (name, cell) in head.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
            let paint = |text: &str| terminal.paint(tone_of(name, cell), text);
            let room = width.saturating_sub(beside);
            // An id in one piece can be copied.
            let is_id = !cell.contains(' ') && cell.width() > room && cell.width() + GAP <= width;
            let title = terminal.paint(Tone::Head, name);
            if room < MIN_CELL || is_id {
                all.push(title);
                let lines = folded(cell, width.saturating_sub(GAP).max(1));
                all.extend(lines.iter().map(|line| format!("{}{}", " ".repeat(GAP), paint(line))));
                continue;
            }
            for (at, line) in folded(cell, room).iter().enumerate() {
                let before = if at == 0 { title.as_str() } else { "" };
                let gap = beside - if at == 0 { name.width() } else { 0 };
                all.push(format!("{before}{}{}", " ".repeat(gap), paint(line)));
            }
        }
    }
    all
}

/// A state has a colour, and nothing else.
fn tone_of(name: &str, cell: &str) -> Tone {
    if matches!(name, "STATUS" | "STATE" | "") { Tone::of(cell) } else { Tone::Plain }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    fn plain(width: Option<usize>) -> Terminal {
        Terminal { width, colours: false }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_the_last_one_is_cut() {
        let rows = [
            row(&["run_1", "好", "a text that is longer than the line has room for"]),
            row(&["run_22", "b", "c"]),
        ];

        let narrow = lines(&["RUN", "NAME", "TEXT"], &rows, plain(Some(40)));
        let endless = lines(&["RUN", "NAME", "TEXT"], &rows, plain(None));

        assert_eq!(
            narrow,
            ["RUN     NAME  TEXT", "run_1   好    a text that is longer tha…", "run_22  b     c"],
        );
        assert!(narrow.iter().all(|line| line.width() <= 40));
        assert!(endless[1].ends_with("has room for"));
    }

    #[test]
    fn where_the_columns_do_not_fit_each_row_is_a_block_with_all_it_has() {
        let rows = [
            row(&["grant_0123456789abcdef0123456789abcdef", "allow", "/srv/好 for my notes and for yours"]),
            row(&["grant_1", "", "/"]),
        ];

        let narrow = lines(&["GRANT", "STATE", "SCOPE"], &rows, plain(Some(40)));

        insta::assert_snapshot!(narrow.join("\n"), @r"
        GRANT
          grant_0123456789abcdef0123456789abcdef
        STATE  allow
        SCOPE  /srv/好 for my notes and for
               yours

        GRANT  grant_1
        SCOPE  /
        ");
    }

    #[test]
    fn a_cell_of_a_stranger_is_one_line_and_commands_no_terminal() {
        let rows = [row(&["a\x1b[31m\nb\tc", "running", ""])];

        let lines = lines(&["X", "STATUS", "Y"], &rows, Terminal { width: None, colours: true });

        assert_eq!(lines[1], "a[31m b c  \x1b[33mrunning\x1b[0m");
    }

    proptest! {
        #[test]
        fn no_line_of_a_table_is_wider_than_its_terminal(
            cells in proptest::collection::vec(proptest::collection::vec("[a-z好 _]{0,60}", 4), 1..4),
            width in 20_usize..160,
        ) {
            let lines = lines(&["ID", "STATUS", "CAPABILITY", "TEXT"], &cells, plain(Some(width)));

            prop_assert!(lines.iter().all(|line| line.width() <= width), "{width}: {lines:#?}");
        }
    }
}
