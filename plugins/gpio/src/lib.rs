//! Pins and devices of a Raspberry Pi as tools: each call is one hop to the board.
//!
//! Source: MeetYou V4, capabilities of the Raspberry Pi provider.

mod answer;
mod safety;
mod watch;

use berth_plugin::{Value, call, endpoints, export_typed, json};

export_typed!(Gpio: berth::gpio::gpio);

struct Gpio;

/// Where a call goes when nobody says.
const ANY_PI: &str = "provider:rpi";

impl Guest for Gpio {
    fn read(pin: u8, endpoint: Option<String>) -> Result<PinLevel, Error> {
        let value = ask(endpoint, "rpi.gpio.read", json!({ "pin": pin }))?;
        Ok(PinLevel { pin: answer::number(&value, "pin")?, value: answer::level(&value)? })
    }

    fn write(
        pin: u8,
        value: bool,
        duration_ms: Option<u32>,
        endpoint: Option<String>,
    ) -> Result<PinWrite, Error> {
        safety::pin(pin)?;
        safety::duration(duration_ms.unwrap_or(0))?;
        // A write takes a moment at least as long as its pulse: better refused than cut off half way, pin still high.
        fits(duration_ms.unwrap_or(0))?;
        let mut arguments = json!({ "pin": pin, "value": value });
        if let Some(duration_ms) = duration_ms {
            arguments["duration_ms"] = duration_ms.into();
        }
        let written = ask(endpoint, "rpi.gpio.write", arguments)?;
        Ok(PinWrite {
            pin: answer::number(&written, "pin")?,
            value: answer::level(&written)?,
            duration_ms: answer::number_or_none(&written, "duration_ms")?,
            reset_performed: answer::flag(&written, "reset_performed")?,
        })
    }

    fn devices(endpoint: Option<String>) -> Result<Vec<Device>, Error> {
        let answer = ask(endpoint, "rpi.device.list", json!({}))?;
        let devices = answer["devices"].as_array().ok_or_else(|| answer::unusable("devices", &answer))?;
        devices.iter().map(device).collect()
    }

    fn status(device_id: String, endpoint: Option<String>) -> Result<DeviceState, Error> {
        state(&ask(endpoint, "rpi.device.status", json!({ "device_id": device_id }))?)
    }

    fn watch(
        pin: Option<u8>,
        device_id: Option<String>,
        until: Option<bool>,
        timeout_ms: Option<u32>,
        endpoint: Option<String>,
    ) -> Result<Watched, Error> {
        match (pin, device_id) {
            (Some(pin), None) => {
                watch::watch(until, timeout_ms, || Self::read(pin, endpoint.clone()).map(|level| level.value))
            }
            (None, Some(device)) => watch::watch(until, timeout_ms, || {
                Self::status(device.clone(), endpoint.clone()).map(|state| state.value)
            }),
            _ => Err(refused("INVALID_ARGUMENTS", "give `pin` or `device_id`, and not both".to_owned())),
        }
    }

    fn set(device_id: String, value: bool, endpoint: Option<String>) -> Result<DeviceState, Error> {
        safety::device(&device_id)?;
        state(&ask(endpoint, "rpi.device.set", json!({ "device_id": device_id, "value": value }))?)
    }

    fn pulse(device_id: String, duration_ms: u32, endpoint: Option<String>) -> Result<DeviceState, Error> {
        safety::device(&device_id)?;
        safety::duration(duration_ms)?;
        fits(duration_ms)?;
        let arguments = json!({ "device_id": device_id, "duration_ms": duration_ms });
        state(&ask(endpoint, "rpi.device.pulse", arguments)?)
    }
}

fn ask(endpoint: Option<String>, tool_key: &str, arguments: Value) -> Result<Value, Error> {
    let selector = endpoint.filter(|endpoint| !endpoint.is_empty());
    let selector = selector.as_deref().unwrap_or(ANY_PI);
    endpoints::call(selector, tool_key, &arguments).map_err(|error| Error {
        code: error.code,
        message: error.message,
        retryable: error.retryable,
        details: error.details,
    })
}

/// Refuses a pulse that the rest of the call's time cannot hold.
fn fits(duration_ms: u32) -> Result<(), Error> {
    let left = call::remaining().as_millis();
    if u128::from(duration_ms) < left {
        return Ok(());
    }
    let message = format!("a pulse of {duration_ms} ms does not fit into the {left} ms this call has left");
    Err(refused("TOOL_TIMEOUT", message))
}

fn refused(code: &str, message: String) -> Error {
    Error { code: code.into(), message, retryable: false, details: None }
}

fn device(value: &Value) -> Result<Device, Error> {
    Ok(Device {
        device_id: answer::text(value, "device_id")?,
        kind: answer::text(value, "type")?,
        name: answer::text(value, "name")?,
        pin: answer::number(value, "pin")?,
        direction: answer::text(value, "direction")?,
        active_high: answer::flag(value, "active_high")?,
        max_on_ms: answer::number_or_none(value, "max_on_ms")?,
    })
}

fn state(value: &Value) -> Result<DeviceState, Error> {
    Ok(DeviceState {
        device_id: answer::text(value, "device_id")?,
        value: answer::level(value)?,
        duration_ms: answer::number_or_none(value, "duration_ms")?,
    })
}

#[cfg(test)]
mod tests;
