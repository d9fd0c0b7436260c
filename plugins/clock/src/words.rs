//! Points in time in English words or ISO 8601.

use jiff::civil::{Date, DateTime, Time, Weekday, time};
use jiff::{Span, Timestamp, ToSpan, Zoned};

use crate::{Error, failure, out_of_range, shifted, span, zone};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTHS_LONG: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The time that `text` names when it is `base`, in the zone of `base`. Fails with `invalid_time` or `out_of_range`.
pub fn parse(text: &str, base: &Zoned) -> Result<Zoned, Error> {
    match iso(text.trim(), base)? {
        Some(time) => Ok(time),
        None => Words::new(text).parse(base),
    }
}

/// ISO 8601, with `[Zone/Name]` behind it or not; a zone in the text counts more than that of `base`.
fn iso(text: &str, base: &Zoned) -> Result<Option<Zoned>, Error> {
    let (text, own_zone) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((text, name)) => (text, Some(zone::find(Some(name))?)),
        None => (text, None),
    };
    let in_zone = own_zone.unwrap_or_else(|| base.time_zone().clone());
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(Some(timestamp.to_zoned(in_zone)));
    }
    match text.parse::<DateTime>() {
        Ok(time) => time.to_zoned(in_zone).map(Some).map_err(|error| out_of_range(&error)),
        Err(_) => Ok(None),
    }
}

/// What the words have said so far.
#[derive(Default)]
struct Wish {
    day: Option<Date>,
    time: Option<Time>,
    span: Option<Span>,
}

struct Words {
    text: String,
    words: Vec<String>,
    next: usize,
}

impl Words {
    fn new(text: &str) -> Self {
        let lower = text.trim().to_lowercase().replace(',', " ");
        let words = lower.split_whitespace().map(str::to_owned).collect();
        Self { text: text.trim().to_owned(), words, next: 0 }
    }

    fn parse(mut self, base: &Zoned) -> Result<Zoned, Error> {
        let mut wish = Wish::default();
        if let Some(end) = self.words.iter().position(|word| word == "ago") {
            wish.span = Some(self.span(0, end)?.negate());
            self.next = end + 1;
        } else if let Some(end) = self.words.windows(2).position(|pair| pair[0] == "from" && pair[1] == "now")
        {
            wish.span = Some(self.span(0, end)?);
            self.next = end + 2;
        }
        let said_nothing = self.words.is_empty();
        while self.next < self.words.len() {
            self.take(&mut wish, base)?;
        }
        if said_nothing {
            return Err(self.refusal());
        }
        self.settle(wish, base)
    }

    /// Understands the next word, with those that belong to it.
    fn take(&mut self, wish: &mut Wish, base: &Zoned) -> Result<(), Error> {
        let word = self.words[self.next].clone();
        self.next += 1;
        let today = base.date();
        match word.as_str() {
            "at" | "on" | "the" | "of" | "o'clock" | "this" => {}
            "now" => self.set_span(wish, Span::new())?,
            "in" => {
                let rest = &self.words[self.next..];
                let words = rest.iter().position(|word| word == "at" || word == "on").unwrap_or(rest.len());
                let span = self.span(self.next, self.next + words)?;
                self.next += words;
                self.set_span(wish, span)?;
            }
            "today" => self.set_day(wish, today)?,
            "tonight" => {
                self.set_day(wish, today)?;
                self.set_time(wish, time(20, 0, 0, 0))?;
            }
            "tomorrow" => self.set_day(wish, day(today, 1.day())?)?,
            "yesterday" => self.set_day(wish, day(today, -1.day())?)?,
            "day" => {
                let days = if self.taken(&["after", "tomorrow"]) {
                    2
                } else if self.taken(&["before", "yesterday"]) {
                    -2
                } else {
                    return Err(self.refusal());
                };
                self.set_day(wish, day(today, days.days())?)?;
            }
            "next" => self.step(wish, today, 1)?,
            "last" => self.step(wish, today, -1)?,
            word => self.take_plain(word, wish, today)?,
        }
        Ok(())
    }

    /// A time, a weekday, a month or a date.
    fn take_plain(&mut self, word: &str, wish: &mut Wish, today: Date) -> Result<(), Error> {
        if let Some(weekday) = weekday(word) {
            let found = today.nth_weekday(1, weekday).map_err(|error| out_of_range(&error))?;
            return self.set_day(wish, found);
        }
        if let Some(month) = month(word) {
            let Some(number) = self.peek().and_then(day_number) else { return Err(self.refusal()) };
            self.next += 1;
            return self.set_date(wish, today, month, number);
        }
        if let Some(number) = day_number(word) {
            if self.peek() == Some("of") {
                self.next += 1;
            }
            if let Some(month) = self.peek().and_then(month) {
                self.next += 1;
                return self.set_date(wish, today, month, number);
            }
        }
        if let Ok(date) = word.parse::<Date>() {
            return self.set_day(wish, date);
        }
        let half = match self.peek() {
            Some(half @ ("am" | "pm" | "a.m." | "p.m.")) => half.replace('.', ""),
            _ => String::new(),
        };
        if !half.is_empty() {
            self.next += 1;
        }
        let is_hour = self.peek() == Some("o'clock");
        match clock_time(&format!("{word}{half}"), is_hour) {
            Some(time) => self.set_time(wish, time),
            None => Err(self.refusal()),
        }
    }

    /// `next friday`, `last month`.
    fn step(&mut self, wish: &mut Wish, today: Date, steps: i32) -> Result<(), Error> {
        let Some(word) = self.peek().map(str::to_owned) else { return Err(self.refusal()) };
        self.next += 1;
        if let Some(weekday) = weekday(&word) {
            let found = today.nth_weekday(steps, weekday).map_err(|error| out_of_range(&error))?;
            return self.set_day(wish, found);
        }
        let span = match word.as_str() {
            "minute" => steps.minutes(),
            "hour" => steps.hours(),
            "day" => steps.days(),
            "week" => steps.weeks(),
            "month" => steps.months(),
            "year" => steps.years(),
            _ => return Err(self.refusal()),
        };
        self.set_span(wish, span)
    }

    fn settle(&self, wish: Wish, base: &Zoned) -> Result<Zoned, Error> {
        let with = |day: Date, time: Time| {
            let time = day.to_datetime(time).to_zoned(base.time_zone().clone());
            time.map_err(|error| out_of_range(&error))
        };
        match wish {
            Wish { span: Some(span), day: None, time: None } => shifted(base, span),
            Wish { span: Some(span), day: None, time: Some(time) } => with(shifted(base, span)?.date(), time),
            Wish { span: None, day: Some(day), time } => with(day, time.unwrap_or(Time::midnight())),
            Wish { span: None, day: None, time: Some(time) } => {
                let today = with(base.date(), time)?;
                if today > *base { Ok(today) } else { with(day(base.date(), 1.day())?, time) }
            }
            _ => Err(self.refusal()),
        }
    }

    fn set_span(&self, wish: &mut Wish, span: Span) -> Result<(), Error> {
        self.once(wish.span.replace(span).is_none())
    }

    fn set_day(&self, wish: &mut Wish, day: Date) -> Result<(), Error> {
        self.once(wish.day.replace(day).is_none())
    }

    fn set_time(&self, wish: &mut Wish, time: Time) -> Result<(), Error> {
        self.once(wish.time.replace(time).is_none())
    }

    /// Refuses what is said twice.
    fn once(&self, first: bool) -> Result<(), Error> {
        if first { Ok(()) } else { Err(self.refusal()) }
    }

    /// A day of a month, of the year that follows or else of the next time there is one.
    fn set_date(&mut self, wish: &mut Wish, today: Date, month: i8, number: i8) -> Result<(), Error> {
        let year = self.peek().filter(|word| word.len() == 4).and_then(|word| word.parse::<i16>().ok());
        if let Some(year) = year {
            self.next += 1;
            let date = Date::new(year, month, number).map_err(|_| self.refusal())?;
            return self.set_day(wish, date);
        }
        // Eight years hold a 29th of February wherever they begin.
        let mut years = (today.year()..).take(9);
        let date = years.find_map(|year| Date::new(year, month, number).ok().filter(|date| *date >= today));
        self.set_day(wish, date.ok_or_else(|| self.refusal())?)
    }

    fn peek(&self) -> Option<&str> {
        self.words.get(self.next).map(String::as_str)
    }

    /// Reads over these words if they come next.
    fn taken(&mut self, expected: &[&str]) -> bool {
        let found = self.words[self.next..]
            .starts_with(&expected.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        if found {
            self.next += expected.len();
        }
        found
    }

    fn span(&self, from: usize, to: usize) -> Result<Span, Error> {
        span::parse(&self.words[from..to].join(" "))
    }

    fn refusal(&self) -> Error {
        let text = &self.text;
        let message = format!(
            "`{text}` names no time: try `tomorrow 9am`, `in 2 hours`, `next friday` or `2026-05-01 10:00`"
        );
        failure("invalid_time", message)
    }
}

fn day(date: Date, span: Span) -> Result<Date, Error> {
    date.checked_add(span).map_err(|error| out_of_range(&error))
}

pub fn weekday(word: &str) -> Option<Weekday> {
    let weekday = match word {
        "monday" | "mon" => Weekday::Monday,
        "tuesday" | "tue" | "tues" => Weekday::Tuesday,
        "wednesday" | "wed" => Weekday::Wednesday,
        "thursday" | "thu" | "thur" | "thurs" => Weekday::Thursday,
        "friday" | "fri" => Weekday::Friday,
        "saturday" | "sat" => Weekday::Saturday,
        "sunday" | "sun" => Weekday::Sunday,
        _ => return None,
    };
    Some(weekday)
}

/// Counted from 1.
pub fn month(word: &str) -> Option<i8> {
    let position = |names: &[&str]| names.iter().position(|name| *name == word);
    let index = position(&MONTHS_LONG).or_else(|| position(&MONTHS))?;
    i8::try_from(index + 1).ok()
}

/// `1`, `1st`, `22nd`.
pub fn day_number(word: &str) -> Option<i8> {
    let digits = ["st", "nd", "rd", "th"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
    digits.parse().ok().filter(|number| (1..=31).contains(number))
}

/// `9am`, `9:30pm`, `17:00`, `09:30:15`, `noon`; a bare number only when it `is_hour`.
pub fn clock_time(word: &str, is_hour: bool) -> Option<Time> {
    match word {
        "noon" | "midday" => return Some(time(12, 0, 0, 0)),
        "midnight" => return Some(Time::midnight()),
        "morning" => return Some(time(9, 0, 0, 0)),
        "afternoon" => return Some(time(15, 0, 0, 0)),
        "evening" => return Some(time(19, 0, 0, 0)),
        _ => {}
    }
    let (digits, half) = match (word.strip_suffix("am"), word.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(0)),
        (_, Some(digits)) => (digits, Some(12)),
        _ => (word, None),
    };
    let mut parts = digits.split(':');
    let mut part = || match parts.next() {
        Some(part) => part.parse::<i8>().ok(),
        None => Some(0),
    };
    let (hour, minute, second) = (part()?, part()?, part()?);
    if parts.next().is_some() || (half.is_none() && !is_hour && !digits.contains(':')) {
        return None;
    }
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    Time::new(hour, minute, second, 0).ok()
}
