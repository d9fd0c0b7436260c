//! Text in lines that fit a terminal.

use unicode_width::UnicodeWidthStr;

/// `text` in at most `room` columns; what is left out is an ellipsis.
pub fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    format!("{}…", &text[..fitting(text, room.saturating_sub(1))])
}

/// `text` behind `first`, in lines of at most `width` columns; those after the first begin below the text.
///
/// A word that no line has room for is broken; nothing is left out. Without a width it is one line.
pub fn hanging(first: &str, text: &str, width: Option<usize>) -> Vec<String> {
    let before = first.width();
    let Some(room) = width.map(|width| width.saturating_sub(before).max(1)) else {
        return vec![format!("{first}{text}")];
    };
    let mut lines = folded(text, room).into_iter();
    let mut all = vec![format!("{first}{}", lines.next().unwrap_or_default())];
    all.extend(lines.map(|line| format!("{}{line}", " ".repeat(before))));
    all
}

/// `text` in lines of at most `room` columns, broken between words where that goes.
pub fn folded(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let gap = usize::from(!line.is_empty());
        if line.width() + gap + word.width() <= room {
            line.push_str(&" ".repeat(gap));
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let mut rest = word;
        while rest.width() > room {
            // One character at least, whatever its width.
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let (piece, more) = rest.split_at(fitting(rest, room).max(first));
            lines.push(piece.to_owned());
            rest = more;
        }
        rest.clone_into(&mut line);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// How many bytes of `text` fit in `room` columns.
fn fitting(text: &str, room: usize) -> usize {
    let mut fits = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        // Some characters are wider, or narrower, beside others.
        if text[..end].width() > room {
            break;
        }
        fits = end;
    }
    fits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_hang_below_their_text_and_a_long_word_is_broken() {
        assert_eq!(
            hanging("error  ", "the disk of /srv/a-very-long-name is full", Some(20)),
            ["error  the disk of", "       /srv/a-very-l", "       ong-name is", "       full"]
        );
        assert_eq!(hanging("a ", "b  c", None), ["a b  c"]);
        assert_eq!(hanging("a ", "", Some(20)), ["a "]);
    }

    #[test]
    fn a_wide_character_counts_twice_and_is_never_halved() {
        assert_eq!(cut("好好好", 6), "好好好");
        assert_eq!(cut("好好好", 5), "好好…");
        assert_eq!(cut("好好好", 4), "好…");
        assert_eq!(folded("好好好", 3), ["好", "好", "好"]);
        // A heart that is drawn as a picture takes two columns, and only together with what says so.
        assert_eq!(cut("❤\u{fe0f}❤\u{fe0f}", 3), "❤\u{fe0f}…");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_its_room_and_no_word_is_lost(text in "[a-z好 ]{0,80}", room in 2_usize..40) {
            let lines = folded(&text, room);

            prop_assert!(lines.iter().all(|line| line.width() <= room), "{lines:?}");
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
            prop_assert!(cut(&text, room).width() <= room);
        }
    }
}
