#![allow(clippy::unwrap_used)]

use std::time::Duration;

use berth_plugin::testing;
use proptest::prelude::*;

use super::*;

/// Wednesday, 29 April 2026, 12:00 in UTC, 14:00 in Berlin.
const WEDNESDAY_NOON: &str = "2026-04-29T12:00:00Z";

fn at_noon() {
    let now: Timestamp = WEDNESDAY_NOON.parse().unwrap();
    let since_epoch = Duration::from_secs(now.as_second().try_into().unwrap());
    testing::host(|host| host.now = since_epoch);
}

/// What `text` is in Berlin, local.
fn berlin(text: &str) -> String {
    at_noon();
    match Clock::parse(text.into(), Some("Europe/Berlin".into()), None) {
        Ok(instant) => instant.local,
        Err(error) => error.code,
    }
}

fn utc(text: &str) -> String {
    at_noon();
    Clock::parse(text.into(), None, None).map_or_else(|error| error.code, |instant| instant.utc)
}

#[test]
fn now_is_told_in_the_zone_that_is_asked_for() {
    at_noon();

    let now = Clock::now(Some("asia/tokyo".into())).unwrap();

    assert_eq!((now.utc.as_str(), now.local.as_str()), (WEDNESDAY_NOON, "2026-04-29T21:00:00+09:00"));
    assert_eq!(
        (now.zone.as_str(), now.weekday.as_str(), now.unix_ms),
        ("Asia/Tokyo", "Wednesday", 1_777_464_000_000)
    );
    assert_eq!(Clock::now(None).unwrap().zone, "UTC");
}

#[test]
fn a_zone_is_a_name_or_an_offset() {
    at_noon();
    let local = |zone: &str| Clock::now(Some(zone.into())).map_or_else(|error| error.code, |now| now.local);

    assert_eq!(local("+05:30"), "2026-04-29T17:30:00+05:30");
    assert_eq!(local("-3"), "2026-04-29T09:00:00-03:00");
    assert_eq!(local("+0200"), "2026-04-29T14:00:00+02:00");
    assert_eq!(local("utc"), "2026-04-29T12:00:00+00:00");
    for nonsense in ["Mars/Olympus", "+99", "+2:x", "", "+é"] {
        assert_eq!(local(nonsense), "unknown_zone", "{nonsense}");
    }
}

#[test]
fn words_name_days_and_times() {
    let cases = [
        ("now", "2026-04-29T14:00:00+02:00"),
        ("today", "2026-04-29T00:00:00+02:00"),
        ("tomorrow 9am", "2026-04-30T09:00:00+02:00"),
        ("Tomorrow at 9:30 PM", "2026-04-30T21:30:00+02:00"),
        ("yesterday noon", "2026-04-28T12:00:00+02:00"),
        ("day after tomorrow", "2026-05-01T00:00:00+02:00"),
        ("the day before yesterday at 8 o'clock", "2026-04-27T08:00:00+02:00"),
        ("tonight", "2026-04-29T20:00:00+02:00"),
        ("tomorrow morning", "2026-04-30T09:00:00+02:00"),
        ("next friday", "2026-05-01T00:00:00+02:00"),
        ("friday at noon", "2026-05-01T12:00:00+02:00"),
        ("wednesday", "2026-05-06T00:00:00+02:00"),
        ("last monday", "2026-04-27T00:00:00+02:00"),
        ("at 18:30", "2026-04-29T18:30:00+02:00"),
        ("9am", "2026-04-30T09:00:00+02:00"),
        ("12am", "2026-04-30T00:00:00+02:00"),
        ("may 1 17:00", "2026-05-01T17:00:00+02:00"),
        ("1st of May, 2027", "2027-05-01T00:00:00+02:00"),
        ("April 1", "2027-04-01T00:00:00+02:00"),
        ("29 feb", "2028-02-29T00:00:00+01:00"),
        ("2026-05-01 10am", "2026-05-01T10:00:00+02:00"),
    ];
    for (text, expected) in cases {
        assert_eq!(berlin(text), expected, "{text}");
    }
}

#[test]
fn words_name_spans_from_now() {
    let cases = [
        ("in 2 hours", "2026-04-29T16:00:00+02:00"),
        ("in an hour and a half", "invalid_duration"),
        ("in half an hour", "2026-04-29T14:30:00+02:00"),
        ("in two days at 9:30", "2026-05-01T09:30:00+02:00"),
        ("3 days ago", "2026-04-26T14:00:00+02:00"),
        ("2 weeks from now", "2026-05-13T14:00:00+02:00"),
        ("next week", "2026-05-06T14:00:00+02:00"),
        ("next month at noon", "2026-05-29T12:00:00+02:00"),
        ("in 1h30m", "2026-04-29T15:30:00+02:00"),
    ];
    for (text, expected) in cases {
        assert_eq!(berlin(text), expected, "{text}");
    }
}

#[test]
fn iso_texts_are_taken_with_and_without_a_zone() {
    let cases = [
        ("2026-05-01T10:00:00+02:00", "2026-05-01T08:00:00Z"),
        ("2026-05-01T10:00:00Z", "2026-05-01T10:00:00Z"),
        ("2026-05-01 10:00", "2026-05-01T10:00:00Z"),
        ("2026-05-01", "2026-05-01T00:00:00Z"),
        ("2026-05-01T10:00[America/New_York]", "2026-05-01T14:00:00Z"),
        ("2026-05-01T10:00[Nowhere]", "unknown_zone"),
    ];
    for (text, expected) in cases {
        assert_eq!(utc(text), expected, "{text}");
    }
    assert_eq!(berlin("2026-05-01 10:00"), "2026-05-01T10:00:00+02:00");
}

#[test]
fn what_is_no_time_is_refused() {
    for text in
        ["", "soon", "next", "next blue", "tomorrow today", "9", "25:00", "13pm", "may", "may 32", "day"]
    {
        assert_eq!(utc(text), "invalid_time", "{text}");
    }
    assert_eq!(utc("in a while"), "invalid_duration");
    assert_eq!(utc("ago"), "invalid_duration");
    assert_eq!(utc("in 19000 years"), "out_of_range");
}

#[test]
fn a_base_counts_as_now() {
    at_noon();

    let parsed = Clock::parse("tomorrow".into(), None, Some("2030-12-31".into())).unwrap();

    assert_eq!(parsed.utc, "2031-01-01T00:00:00Z");
}

#[test]
fn a_span_is_added_by_the_calendar_of_the_zone() {
    at_noon();
    let add = |start: &str, duration: &str, zone: &str| {
        Clock::add(start.into(), duration.into(), Some(zone.into()))
            .map_or_else(|error| error.code, |sum| sum.local)
    };

    // The clocks of Berlin go forward on 29 March 2026: a day has 23 hours there.
    assert_eq!(add("2026-03-28 12:00", "1 day", "Europe/Berlin"), "2026-03-29T12:00:00+02:00");
    assert_eq!(add("2026-03-28 12:00", "24 hours", "Europe/Berlin"), "2026-03-29T13:00:00+02:00");
    assert_eq!(add("2026-01-31", "1 month", "UTC"), "2026-02-28T00:00:00+00:00");
    assert_eq!(add("now", "P1DT2H", "UTC"), "2026-04-30T14:00:00+00:00");
    assert_eq!(add("now", "-90s", "UTC"), "2026-04-29T11:58:30+00:00");
    assert_eq!(add("now", "a week ago", "UTC"), "2026-04-22T12:00:00+00:00");
    assert_eq!(add("now", "a bit", "UTC"), "invalid_duration");
    assert_eq!(add("now", "20000 years", "UTC"), "invalid_duration");
    assert_eq!(add("9998-01-01", "5 years", "UTC"), "out_of_range");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}", words in "(in|next|may|9|am|:|friday|ago|at|[0-9]{1,4}|-| ){0,12}") {
        let _ = utc(&text);
        let _ = utc(&words);
        let _ = Clock::now(Some(text));
    }

    #[test]
    fn an_instant_reads_back_as_itself(seconds in 0_i64..4_000_000_000) {
        let time = Timestamp::from_second(seconds).unwrap().to_zoned(TimeZone::UTC);
        let told = instant(&time);

        prop_assert_eq!(utc(&told.utc), told.utc.clone());
        prop_assert_eq!(utc(&told.local), told.utc);
    }
}

/// The next times of `rule` after Wednesday noon in UTC, local in Berlin, without their offset.
fn next(rule: &str, count: u32) -> Vec<String> {
    at_noon();
    match Clock::next(rule.into(), Some("Europe/Berlin".into()), None, Some(count)) {
        Ok(instants) => instants.into_iter().map(|instant| instant.local[..16].to_owned()).collect(),
        Err(error) => vec![error.code],
    }
}

#[test]
fn what_comes_again_is_found_after_now() {
    assert_eq!(next("every day at 9:00", 2), ["2026-04-30T09:00", "2026-05-01T09:00"]);
    assert_eq!(next("Every day at 14:01", 1), ["2026-04-29T14:01"]);
    assert_eq!(next("every day at 14:00", 1), ["2026-04-30T14:00"], "now itself is over");
    assert_eq!(next("every weekday at 8am", 3), ["2026-04-30T08:00", "2026-05-01T08:00", "2026-05-04T08:00"]);
    assert_eq!(next("every monday and friday at 5:30 pm", 2), ["2026-05-01T17:30", "2026-05-04T17:30"]);
    assert_eq!(next("every weekend", 2), ["2026-05-02T00:00", "2026-05-03T00:00"]);
    assert_eq!(next("every 15 minutes", 2), ["2026-04-29T14:15", "2026-04-29T14:30"]);
    assert_eq!(next("every 7 hours", 3), ["2026-04-29T21:00", "2026-04-30T00:00", "2026-04-30T07:00"]);
    assert_eq!(next("every hour", 1), ["2026-04-29T15:00"]);
    assert_eq!(next("every month on the 31st at noon", 2), ["2026-05-31T12:00", "2026-07-31T12:00"]);
    assert_eq!(next("every month on the last day", 2), ["2026-04-30T00:00", "2026-05-31T00:00"]);
    assert_eq!(next("every year on may 1", 2), ["2026-05-01T00:00", "2027-05-01T00:00"]);
    assert_eq!(next("every year on 29th of february", 1), ["2028-02-29T00:00"]);
    assert_eq!(next("daily at 9:00", 1), ["2026-04-30T09:00"]);
}

#[test]
fn a_time_that_the_clock_jumps_over_comes_later_that_day() {
    let at = |base: &str| {
        let zone = Some("Europe/Berlin".to_owned());
        Clock::next("every day at 2:30".into(), zone, Some(base.into()), None).unwrap()[0].local.clone()
    };

    assert_eq!(at("2026-03-28 12:00"), "2026-03-29T03:30:00+02:00");
    assert_eq!(at("2026-10-24 12:00"), "2026-10-25T02:30:00+02:00", "the first of the two");
}

#[test]
fn what_is_no_rule_is_refused() {
    for nonsense in [
        "",
        "every",
        "every blue moon",
        "tomorrow",
        "every day at",
        "every day at 25:00",
        "every 0 minutes",
        "every 99999 hours",
        "every month on the 32nd",
        "every year on february 30",
        "every day at 9",
        "every and",
    ] {
        let code = next(nonsense, 1);
        // A bare hour is a time here: nothing else can be meant.
        let fine = nonsense == "every day at 9" && code == ["2026-04-30T09:00"];
        assert!(fine || code == ["invalid_rule"], "{nonsense}: {code:?}");
    }
}

#[test]
fn the_time_between_two_instants_follows_the_calendar() {
    at_noon();
    let between = |start: &str, end: &str| {
        let span = Clock::between(start.into(), end.into(), Some("Europe/Berlin".into())).unwrap();
        (span.words, span.iso, span.seconds)
    };

    let (words, iso, seconds) = between("now", "2026-06-01 16:30");
    assert_eq!((words.as_str(), iso.as_str()), ("1 month 3 days 2 hours 30 minutes", "P1M3DT2H30M"));
    assert_eq!(seconds, 33 * 86_400 + 9000);
    assert_eq!(between("tomorrow", "today").0, "-1 day");
    assert_eq!(between("2026-03-28 12:00", "2026-03-29 12:00"), ("1 day".into(), "P1D".into(), 23 * 3600));
    assert_eq!(
        Clock::between("soon".into(), "now".into(), None).map(|span| span.iso).unwrap_err().code,
        "invalid_time"
    );
}
