//! What somebody may have meant who typed something else.

use std::cmp::Ordering;

/// Names that are less alike than this have nothing to do with each other.
const ALIKE: f64 = 0.75;

/// The name that is most like `word`, if one is like it at all.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = names.into_iter().map(|name| (strsim::jaro_winkler(word, name), name));
    let best = alike.max_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(Ordering::Equal))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// The command that is running, with `meant` in the place of `typed`, for a person to run again.
pub fn corrected(typed: &str, meant: &str) -> String {
    let words = std::env::args().skip(1);
    let words = words.map(|word| quoted(if word == typed { meant } else { &word }));
    format!("berth {}", words.collect::<Vec<_>>().join(" "))
}

/// A word as a shell takes it; a stranger may have chosen it, and a user will paste it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_another_word_is_not() {
        let names = ["files", "clock", "calc", "feishu"];
        for (word, meant) in [
            ("fils", Some("files")),
            ("flies", Some("files")),
            ("clok", Some("clock")),
            ("clac", Some("calc")),
            ("weather", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), meant, "{word}");
        }
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted("sha256:ab"), "sha256:ab");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
