//! A yes or a no of the person at the terminal.

use std::io::{BufRead, IsTerminal};

use crate::cli::Global;
use crate::output;

/// Asks `question` where somebody sits there to answer; only a `y` or a `yes` is a yes.
///
/// `None` where nobody does: input or remarks lead elsewhere, or a program reads the answer.
pub fn asked(global: &Global, question: &str) -> Option<bool> {
    if global.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    output::note_piece(&format!("{question} [y/N] "));
    let mut line = String::new();
    // An end of the input is no yes.
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_err() || line.is_empty() {
        output::note("");
        return Some(false);
    }
    Some(is_yes(&line))
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for yes in ["y\n", "Y", "yes\r\n", " YES "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n", "no", "yy", "j", "sure", "y es"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
