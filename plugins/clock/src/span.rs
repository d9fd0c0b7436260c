//! Spans of time in words.

use jiff::Span;

use crate::{Error, failure};

const NUMBERS: [&str; 13] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
];

/// Fails with `invalid_duration`.
pub fn parse(text: &str) -> Result<Span, Error> {
    let refusal = || {
        failure(
            "invalid_duration",
            format!("`{text}` is no span of time: try `2 hours 30 minutes`, `90s` or `P1DT2H`"),
        )
    };
    // ISO 8601 first: its letters are no words.
    if let Ok(span) = text.trim().parse() {
        return Ok(span);
    }
    plain(text).parse().map_err(|_| refusal())
}

/// The same in the few words that the parser of spans knows.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase().replace(',', " ");
    let lower = lower
        .replace("half an hour", "30 minutes")
        .replace("half a day", "12 hours")
        .replace("a fortnight", "2 weeks");
    let mut words = Vec::new();
    for word in lower.split_whitespace() {
        match word {
            "and" | "in" => {}
            "a" | "an" => words.push("1".to_owned()),
            word => match NUMBERS.iter().position(|number| *number == word) {
                Some(number) => words.push(number.to_string()),
                None => words.push(word.to_owned()),
            },
        }
    }
    words.join(" ")
}
