//! Markdown as plain text, for channels that show it as it is written.
//!
//! Source: MeetYou V4, deliveries to targets without markdown.

use serde_json::Value;

/// Keys whose texts people read.
const TEXTS: [&str; 3] = ["content", "text", "delta"];

/// Turns every text that people read, at any depth, into plain text.
pub(crate) fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if TEXTS.contains(&key.as_str()) => *text = plain(text),
                    other => strip(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// One text without its marks; code keeps its words.
fn plain(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            in_code = !in_code;
        } else if in_code {
            lines.push(line.to_owned());
        } else if !is_table_rule(trimmed) {
            lines.push(inline(without_line_marks(line)));
        }
    }
    let mut plain = String::with_capacity(text.len());
    let mut blank = 0;
    for line in lines {
        blank = if line.trim().is_empty() { blank + 1 } else { 0 };
        // Never more than one empty line in a row.
        if blank < 2 {
            plain.push_str(&line);
            plain.push('\n');
        }
    }
    if !text.ends_with('\n') {
        plain.pop();
    }
    plain
}

fn is_table_rule(line: &str) -> bool {
    line.contains('|')
        && line.contains('-')
        && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ' | '\t'))
}

/// The line behind quote and heading marks; one without any as it is.
fn without_line_marks(line: &str) -> &str {
    let mut rest = line;
    while let Some(quoted) = rest.trim_start().strip_prefix('>') {
        rest = quoted.strip_prefix(' ').unwrap_or(quoted);
    }
    let words = rest.trim_start().trim_start_matches('#');
    let marks = rest.trim_start().len() - words.len();
    if (1..=6).contains(&marks) && (words.is_empty() || words.starts_with(' ')) {
        words.trim_start()
    } else {
        rest
    }
}

/// A line without the marks inside of it.
fn inline(line: &str) -> String {
    let mut text = links(line).replace('`', "");
    for mark in ["**", "__", "~~"] {
        text = without_pairs(&text, mark);
    }
    for mark in ["*", "_"] {
        text = without_pairs(&text, mark);
    }
    text
}

/// Images become their alternative text, links `label (url)`.
fn links(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(open) = rest.find('[') {
        let (before, at) = rest.split_at(open);
        let target = at.find("](").and_then(|close| {
            let end = at[close + 2..].find(')')? + close + 2;
            let label = &at[1..close];
            (!label.contains('[')).then(|| (label, &at[close + 2..end], &at[end + 1..]))
        });
        let Some((label, url, behind)) = target else {
            out.push_str(before);
            out.push('[');
            rest = &at[1..];
            continue;
        };
        match before.strip_suffix('!') {
            Some(before) => {
                out.push_str(before);
                out.push_str(label);
            }
            None => {
                out.push_str(before);
                out.push_str(label);
                out.push_str(" (");
                out.push_str(url);
                out.push(')');
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// The text without each pair of `mark` that stands tight around something: `2 * 3` and `a_b_c` keep theirs.
fn without_pairs(text: &str, mark: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find(mark) {
        let (before, at) = rest.split_at(open);
        let inner = &at[mark.len()..];
        let inside_word = mark.starts_with('_')
            && before
                .chars()
                .next_back()
                .or_else(|| out.chars().next_back())
                .is_some_and(char::is_alphanumeric);
        let opens =
            !inside_word && inner.chars().next().is_some_and(|c| !c.is_whitespace() && !mark.contains(c));
        let close = inner.match_indices(mark).map(|(close, _)| close).find(|&close| {
            let tight = inner[..close].chars().next_back().is_some_and(|c| !c.is_whitespace());
            let after = inner[close + mark.len()..].chars().next();
            tight && !(mark.starts_with('_') && after.is_some_and(char::is_alphanumeric))
        });
        out.push_str(before);
        match close.filter(|_| opens) {
            Some(close) => {
                out.push_str(&inner[..close]);
                rest = &inner[close + mark.len()..];
            }
            None => {
                out.push_str(mark);
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_go_and_words_stay() {
        for (marked, wanted) in [
            ("# Title", "Title"),
            ("#hashtag", "#hashtag"),
            ("> > said", "said"),
            ("**bold** and *it* and ~~no~~ `code`", "bold and it and no code"),
            ("__init__ stays in my_var_name", "init stays in my_var_name"),
            ("2 * 3 * 4 ** 5", "2 * 3 * 4 ** 5"),
            ("see [docs](https://a.b/c) ![cat](x.png)!", "see docs (https://a.b/c) cat!"),
            ("[1] and [x](", "[1] and [x]("),
            ("| a | b |\n|---|:-:|\n| 1 | 2 |", "| a | b |\n| 1 | 2 |"),
            ("```rust\nlet a = *b;\n```\nend", "let a = *b;\nend"),
            ("a\n\n\n\nb\n", "a\n\nb\n"),
            ("", ""),
            ("***", "***"),
            ("ünï *çö*", "ünï çö"),
        ] {
            assert_eq!(plain(marked), wanted, "{marked:?}");
        }
    }

    #[test]
    fn only_texts_that_people_read_are_touched() {
        let mut payload =
            json!({ "content": "**a**", "job_id": "**b**", "message": { "text": "# c" }, "list": ["*d*"] });

        strip(&mut payload);

        assert_eq!(
            payload,
            json!({ "content": "a", "job_id": "**b**", "message": { "text": "c" }, "list": ["*d*"] })
        );
    }
}
