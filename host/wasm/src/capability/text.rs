//! Text of a guest, made safe for people and their terminals.

/// The text without escape sequences and control characters, and without what turns the order of the letters around.
///
/// Tabs stay. A sequence that does not end takes the rest of the text with it.
pub fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            // The same sequences, begun with one character.
            '\u{9b}' => skip_control(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\t' => kept.push(c),
            c if c.is_control() || is_hidden(c) => {}
            c => kept.push(c),
        }
    }
    kept
}

/// What stands behind ESC.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => skip_control(rest),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(rest),
        // Two or more characters, such as the choice of a character set.
        Some(' '..='/') => {
            let _ = rest.find(|c| !(' '..='/').contains(c));
        }
        Some(_) | None => {}
    }
}

/// Parameters up to the letter that ends them.
fn skip_control(rest: &mut std::str::Chars<'_>) {
    let _ = rest.find(|c| ('@'..='~').contains(c));
}

/// A text for the terminal itself, such as a title or a link, up to BEL or ST.
fn skip_string(rest: &mut std::str::Chars<'_>) {
    while let Some(c) = rest.next() {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                let _ = rest.next();
                return;
            }
            _ => {}
        }
    }
}

/// Characters that nobody sees and that change what is seen: marks of direction, other line ends, tags.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_gone_and_words_stay() {
        for (given, wanted) in [
            ("plain\ttext ünï 漢字 👩‍👩‍👧", "plain\ttext ünï 漢字 👩‍👩‍👧"),
            ("one\u{1b}[31m red\u{1b}[0m", "one red"),
            ("\u{1b}[2J\u{1b}[1;1Hgone", "gone"),
            ("\u{1b}]0;new title\u{7}kept", "kept"),
            ("\u{1b}]8;;https://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\", "click"),
            ("\u{1b}P1$r\u{1b}\\dcs", "dcs"),
            ("\u{1b}(Bset \u{1b}c reset", "set  reset"),
            ("\u{9b}31mc1 \u{9d}0;t\u{9c}end", "c1 end"),
            ("\u{1b}]0;never ends", ""),
            ("\u{1b}", ""),
            ("a\rb\u{8}c\u{0}d\u{7f}e\u{85}f", "abcdef"),
            ("invoice\u{202e}gpj.exe\u{202c}", "invoicegpj.exe"),
            ("a\u{2066}b\u{2069}c\u{200f}d\u{2028}e\u{feff}f", "abcdef"),
            ("tag\u{e0041}\u{e007f}ged", "tagged"),
        ] {
            assert_eq!(plain(given), wanted, "{given:?}");
        }
    }
}
