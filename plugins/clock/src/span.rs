//! Spans of time in words.

use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::{Span, SpanRound, Unit, Zoned};

use crate::{Error, failure, out_of_range};

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

/// From one time to another, by the calendar of the zone of `start`.
pub fn between(start: &Zoned, end: &Zoned) -> Result<crate::Span, Error> {
    let end = end.with_time_zone(start.time_zone().clone());
    let exact = start.until((Unit::Year, &end)).map_err(|error| out_of_range(&error))?;
    let rounding = SpanRound::new().smallest(Unit::Second).largest(Unit::Year).relative(start);
    let span = exact.round(rounding).map_err(|error| out_of_range(&error))?;
    let words =
        SpanPrinter::new().designator(Designator::Verbose).spacing(Spacing::BetweenUnitsAndDesignators);
    let mut text = words.span_to_string(&span.abs());
    if span.is_negative() {
        text.insert(0, '-');
    }
    Ok(crate::Span {
        words: text,
        iso: span.to_string(),
        seconds: end.timestamp().as_second() - start.timestamp().as_second(),
    })
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
