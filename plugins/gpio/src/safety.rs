//! What the owner allows beyond the board's own rules: settings that hold before the board is asked.

use berth_plugin::{Value, config};

use crate::{Error, refused};

/// Refuses a pin that `pins` does not list.
pub fn pin(pin: u8) -> Result<(), Error> {
    listed("pins", &pin.into(), &format!("the pin {pin}"))
}

/// Refuses a device that `devices` does not list.
pub fn device(id: &str) -> Result<(), Error> {
    listed("devices", &id.into(), &format!("the device `{id}`"))
}

/// Refuses a level that is held longer than `max_pulse_ms`.
pub fn duration(duration_ms: u32) -> Result<(), Error> {
    match setting("max_pulse_ms")? {
        None => Ok(()),
        Some(most) if most.as_u64().is_some_and(|most| u64::from(duration_ms) <= most) => Ok(()),
        Some(most) => Err(limit(format!("{duration_ms} ms is longer than `max_pulse_ms`, which is {most}"))),
    }
}

fn listed(key: &str, wanted: &Value, name: &str) -> Result<(), Error> {
    let Some(list) = setting(key)? else { return Ok(()) };
    match list.as_array() {
        Some(list) if list.contains(wanted) => Ok(()),
        Some(_) => Err(limit(format!("{name} is not among `{key}`"))),
        // Safe rather than sorry: nothing is switched by a list that nobody can read.
        None => Err(limit(format!("the setting `{key}` is no list"))),
    }
}

fn setting(key: &str) -> Result<Option<Value>, Error> {
    config::json(key).map_err(|error| limit(error.message))
}

fn limit(message: String) -> Error {
    refused("limit", format!("{message}: the owner sets it in berth.toml, under [plugin.gpio.config]"))
}
