//! The time, spans of it, and times in words, with a time zone database of its own.

mod rule;
mod span;
mod words;
mod zone;

use berth_plugin::export_typed;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

export_typed!(Clock: berth::clock::clock);

struct Clock;

const MOST_INSTANTS: u32 = 50;

impl Guest for Clock {
    fn now(zone: Option<String>) -> Result<Instant, Error> {
        let zone = zone::find(zone.as_deref())?;
        Ok(instant(&now()?.to_zoned(zone)))
    }

    fn add(start: String, duration: String, zone: Option<String>) -> Result<Instant, Error> {
        let zone = zone::find(zone.as_deref())?;
        let start = words::parse(&start, &now()?.to_zoned(zone))?;
        let span = span::parse(&duration)?;
        Ok(instant(&shifted(&start, span)?))
    }

    fn parse(text: String, zone: Option<String>, base: Option<String>) -> Result<Instant, Error> {
        let zone = zone::find(zone.as_deref())?;
        let mut base_time = now()?.to_zoned(zone);
        if let Some(base) = base {
            base_time = words::parse(&base, &base_time)?;
        }
        Ok(instant(&words::parse(&text, &base_time)?))
    }

    fn between(start: String, end: String, zone: Option<String>) -> Result<Span, Error> {
        let zone = zone::find(zone.as_deref())?;
        let now = now()?.to_zoned(zone);
        span::between(&words::parse(&start, &now)?, &words::parse(&end, &now)?)
    }

    fn next(
        rule: String,
        zone: Option<String>,
        base: Option<String>,
        count: Option<u32>,
    ) -> Result<Vec<Instant>, Error> {
        let zone = zone::find(zone.as_deref())?;
        let mut last = now()?.to_zoned(zone);
        if let Some(base) = base {
            last = words::parse(&base, &last)?;
        }
        let rule = rule::Rule::parse(&rule)?;
        let mut instants = Vec::new();
        for _ in 0..count.unwrap_or(1).min(MOST_INSTANTS) {
            last = rule.after(&last)?;
            instants.push(instant(&last));
        }
        Ok(instants)
    }
}

/// The time by the host, to the millisecond.
fn now() -> Result<Timestamp, Error> {
    let since_epoch = berth_plugin::clock::since_epoch().as_millis();
    let milliseconds = i64::try_from(since_epoch).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(milliseconds).map_err(|error| out_of_range(&error))
}

fn shifted(start: &Zoned, span: jiff::Span) -> Result<Zoned, Error> {
    start.checked_add(span).map_err(|error| out_of_range(&error))
}

fn instant(time: &Zoned) -> Instant {
    Instant {
        utc: time.with_time_zone(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        local: time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        zone: zone::name(time),
        weekday: time.strftime("%A").to_string(),
        unix_ms: time.timestamp().as_millisecond(),
    }
}

fn out_of_range(error: &jiff::Error) -> Error {
    failure("out_of_range", format!("no calendar goes that far: {error}"))
}

fn failure(code: &str, message: String) -> Error {
    Error { code: code.into(), message }
}

#[cfg(test)]
mod tests;
