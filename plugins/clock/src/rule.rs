//! What comes again and again, in English words.

use jiff::civil::{Date, Time, Weekday};
use jiff::{ToSpan, Zoned};

use crate::words::{clock_time, day_number, month, weekday};
use crate::{Error, failure, out_of_range};

/// So many days are looked through: eight years hold a 29th of February wherever they begin.
const MOST_DAYS: usize = 366 * 9;

/// When something is.
#[derive(Debug, PartialEq)]
pub enum Rule {
    /// At this time of the days that fit.
    Days { days: Days, at: Time },
    /// Every so many minutes of the clock, from midnight on.
    Minutes(u32),
}

/// Which days fit.
#[derive(Debug, PartialEq)]
pub enum Days {
    All,
    Weekdays(Vec<Weekday>),
    /// A day of each month; 0 is its last.
    OfMonth(i8),
    /// A month and its day.
    OfYear(i8, i8),
}

impl Days {
    fn fit(&self, date: Date) -> bool {
        match self {
            Self::All => true,
            Self::Weekdays(weekdays) => weekdays.contains(&date.weekday()),
            Self::OfMonth(0) => date == date.last_of_month(),
            Self::OfMonth(day) => date.day() == *day,
            Self::OfYear(month, day) => (date.month(), date.day()) == (*month, *day),
        }
    }
}

impl Rule {
    /// Fails with `invalid_rule`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let lower = text.to_lowercase().replace([',', '.'], " ");
        let words: Vec<_> =
            lower.split_whitespace().filter(|word| !matches!(*word, "and" | "on" | "the")).collect();
        let refusal = || {
            let message = format!(
                "`{text}` is no rule: try `every day at 9:00`, `every monday and friday at 17:30`, `every 15 minutes` \
                 or `every month on the 1st at 9:00`"
            );
            failure("invalid_rule", message)
        };
        let words = match words.as_slice() {
            ["every" | "each", words @ ..] => words,
            ["daily", ..] => return Self::with_time(Days::All, &words[1..]).ok_or_else(refusal),
            _ => return Err(refusal()),
        };
        Self::every(words).ok_or_else(refusal)
    }

    fn every(words: &[&str]) -> Option<Self> {
        match words {
            ["minute"] => return Some(Self::Minutes(1)),
            ["hour"] => return Some(Self::Minutes(60)),
            [number, unit @ ("minute" | "minutes" | "hour" | "hours")] => {
                let number: u32 = number.parse().ok().filter(|number| (1..=1440).contains(number))?;
                let minutes = if unit.starts_with("hour") { number * 60 } else { number };
                return Some(Self::Minutes(minutes).within_a_day());
            }
            _ => {}
        }
        let end = words.iter().position(|word| *word == "at").unwrap_or(words.len());
        let (days, time) = words.split_at(end);
        let days = match days {
            ["day"] => Days::All,
            ["weekday" | "workday"] => Days::Weekdays(Weekday::Monday.cycle_forward().take(5).collect()),
            ["weekend"] => Days::Weekdays(vec![Weekday::Saturday, Weekday::Sunday]),
            ["month", "last", "day"] => Days::OfMonth(0),
            ["month"] => Days::OfMonth(1),
            ["month", day] => Days::OfMonth(day_number(day)?),
            ["year", name, day] | ["year", day, "of", name] => {
                let (month, day) =
                    (month(name).or_else(|| month(day))?, day_number(day).or_else(|| day_number(name))?);
                // One that exists in a leap year exists.
                Date::new(2024, month, day).ok()?;
                Days::OfYear(month, day)
            }
            names if !names.is_empty() => {
                let one = |name: &&str| weekday(name).or_else(|| weekday(name.strip_suffix('s')?));
                Days::Weekdays(names.iter().map(one).collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Self::with_time(days, time)
    }

    /// Longer than a day there is no clock to count on.
    fn within_a_day(self) -> Self {
        match self {
            Self::Minutes(minutes) => Self::Minutes(minutes.min(24 * 60)),
            other => other,
        }
    }

    fn with_time(days: Days, time: &[&str]) -> Option<Self> {
        let at = match time {
            [] => Time::midnight(),
            ["at", words @ ..] if !words.is_empty() => clock_time(&words.concat(), words.len() == 1)?,
            _ => return None,
        };
        Some(Self::Days { days, at })
    }

    /// The first one after `base`, in the zone of `base`. Fails with `never` or `out_of_range`.
    pub fn after(&self, base: &Zoned) -> Result<Zoned, Error> {
        match self {
            Self::Days { days, at } => {
                first(base, |date| days.fit(date).then_some(*at).into_iter().collect())
            }
            Self::Minutes(minutes) => first(base, |_| {
                let starts = (0..24 * 60).step_by(*minutes as usize);
                let time = |minute: i8, hour: i8| Time::new(hour, minute, 0, 0).ok();
                starts
                    .filter_map(|minute: u32| {
                        time(i8::try_from(minute % 60).ok()?, i8::try_from(minute / 60).ok()?)
                    })
                    .collect()
            }),
        }
    }
}

/// The first of the times of the days from that of `base` on that is after it.
///
/// A time that a day lacks, when clocks go forward, is the same span later; of one that it has twice the first counts.
fn first(base: &Zoned, times: impl Fn(Date) -> Vec<Time>) -> Result<Zoned, Error> {
    let mut date = base.date();
    for _ in 0..MOST_DAYS {
        for time in times(date) {
            let at = date.to_datetime(time).to_zoned(base.time_zone().clone());
            let at = at.map_err(|error| out_of_range(&error))?;
            if at > *base {
                return Ok(at);
            }
        }
        date = date.checked_add(1.day()).map_err(|error| out_of_range(&error))?;
    }
    Err(failure("never", "there is no such day".into()))
}
