//! What the operator has wired to the pins.

use berth_proto::JsonMap;
use berth_proto::fields::{Fields, int};
use serde_json::{Value, json};

use crate::gpio::{MAX_PIN, Pull};

/// The longest pulse of a device that says nothing, and the longest that one may ask for.
const DEFAULT_ON_MS: u64 = 5_000;
const MAX_ON_MS: i64 = 60_000;
/// The longest id of a device, in characters.
const MAX_ID_CHARS: usize = 128;

/// Something on a pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: String,
    pub name: String,
    pub kind: Kind,
    pub pin: u8,
    /// Whether a high level means on.
    pub active_high: bool,
    pub role: Role,
}

/// What is wired to the pin; it decides whether the pin is an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Led,
    Relay,
    Output,
    Button,
    Input,
}

/// Which way the signal goes, and what only that way has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Output { max_on_ms: u64, requires_confirmation: bool },
    Input { pull: Pull },
}

/// What is wrong with the configuration of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeviceError {
    /// A word of `docs/errors.md`.
    pub code: &'static str,
    pub message: String,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Led => "led",
            Self::Relay => "relay",
            Self::Output => "output",
            Self::Button => "button",
            Self::Input => "input",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let kinds = [Self::Led, Self::Relay, Self::Output, Self::Button, Self::Input];
        kinds.into_iter().find(|kind| kind.as_str() == text)
    }

    const fn drives(self) -> bool {
        matches!(self, Self::Led | Self::Relay | Self::Output)
    }
}

impl Device {
    /// The raw level that means `on`.
    pub const fn level(&self, on: bool) -> bool {
        on == self.active_high
    }

    /// Whether the raw `level` means on.
    pub const fn is_on(&self, level: bool) -> bool {
        level == self.active_high
    }

    /// What callers are told of the device.
    pub fn describe(&self) -> JsonMap {
        let mut told = JsonMap::new();
        let mut tell = |key: &str, value: Value| told.insert(key.to_owned(), value);
        tell("device_id", json!(self.id));
        tell("type", json!(self.kind.as_str()));
        tell("name", json!(self.name));
        tell("pin", json!(self.pin));
        tell("direction", json!(if self.kind.drives() { "out" } else { "in" }));
        tell("active_high", json!(self.active_high));
        match self.role {
            Role::Output { max_on_ms, requires_confirmation } => {
                tell("max_on_ms", json!(max_on_ms));
                tell("requires_confirmation", json!(requires_confirmation));
            }
            Role::Input { pull } => {
                tell("pull", json!(pull.as_str()));
            }
        }
        told
    }
}

/// Reads the list `devices`; `allowed` are the pins that exist.
pub fn read_all(value: Option<&Value>, allowed: &[u8]) -> Result<Vec<Device>, DeviceError> {
    let items = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(error("invalid_devices_shape", "`devices` is no list".to_owned())),
    };
    let mut devices: Vec<Device> = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let device = match item {
            Value::Object(item) => read(Fields(item), place, allowed)?,
            _ => return Err(error("invalid_device_shape", format!("`devices[{place}]` is no object"))),
        };
        if devices.iter().any(|known| known.id == device.id) {
            let message = format!("the device `{}` is there twice", device.id);
            return Err(error("duplicate_device_id", message));
        }
        devices.push(device);
    }
    devices.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(devices)
}

fn read(item: Fields<'_>, place: usize, allowed: &[u8]) -> Result<Device, DeviceError> {
    let id = item.text(&["device_id"]);
    let odd = |character: char| character.is_whitespace() || character.is_control();
    if id.is_empty() || id.chars().count() > MAX_ID_CHARS || id.contains(odd) {
        return Err(error("invalid_device_id", format!("`devices[{place}].device_id` is no id: `{id}`")));
    }
    let wrong = |code, what: &str, value: &str| error(code, format!("device `{id}`: {what} `{value}`"));
    let word = item.text(&["type"]).to_ascii_lowercase();
    let kind = Kind::parse(&word).ok_or_else(|| {
        wrong("invalid_device_type", "type is led, relay, output, button or input, not", &word)
    })?;
    let direction = item.text(&["direction"]).to_ascii_lowercase();
    let drives = match direction.as_str() {
        "out" | "output" => true,
        "in" | "input" => false,
        _ => return Err(wrong("invalid_device_direction", "direction is in or out, not", &direction)),
    };
    if drives != kind.drives() {
        let what = format!("a {word} has not the direction");
        return Err(wrong("device_direction_mismatch", &what, &direction));
    }
    let pin = item.value(&["pin"]).and_then(int).and_then(|pin| u8::try_from(pin).ok());
    let pin = pin.filter(|&pin| pin <= MAX_PIN).ok_or_else(|| {
        error("invalid_device_pin", format!("device `{id}`: pin is a number from 0 to {MAX_PIN}"))
    })?;
    if !allowed.contains(&pin) {
        return Err(error("device_pin_not_allowed", format!("device `{id}`: pin {pin} is not allowed")));
    }
    let role = if drives { output(item, &id, kind)? } else { Role::Input { pull: pull(item, &id)? } };
    let name = item.maybe_text(&["name"]).unwrap_or_else(|| id.clone());
    let active_high = item.flag(&["active_high"]).unwrap_or(true);
    Ok(Device { id, name, kind, pin, active_high, role })
}

fn output(item: Fields<'_>, id: &str, kind: Kind) -> Result<Role, DeviceError> {
    let max_on_ms = match item.value(&["max_on_ms"]) {
        None => DEFAULT_ON_MS,
        Some(value) => int(value)
            .filter(|ms| (1..=MAX_ON_MS).contains(ms))
            .and_then(|ms| u64::try_from(ms).ok())
            .ok_or_else(|| {
                let message = format!("device `{id}`: max_on_ms is 1 to {MAX_ON_MS}, not {value}");
                error("invalid_device_max_on_ms", message)
            })?,
    };
    let requires_confirmation = match item.value(&["requires_confirmation"]) {
        None => kind == Kind::Relay,
        Some(value) => item.flag(&["requires_confirmation"]).ok_or_else(|| {
            let message = format!("device `{id}`: requires_confirmation is true or false, not {value}");
            error("invalid_device_confirmation", message)
        })?,
    };
    Ok(Role::Output { max_on_ms, requires_confirmation })
}

fn pull(item: Fields<'_>, id: &str) -> Result<Pull, DeviceError> {
    let word = item.text(&["pull"]).to_ascii_lowercase().replace(['-', '_', ' '], "");
    match word.as_str() {
        "up" | "pullup" | "pudup" => Ok(Pull::Up),
        "down" | "pulldown" | "puddown" => Ok(Pull::Down),
        "" | "none" | "off" | "floating" | "pudoff" => Ok(Pull::None),
        _ => {
            let message = format!("device `{id}`: pull is up, down or none, not `{word}`");
            Err(error("invalid_device_pull", message))
        }
    }
}

fn error(code: &'static str, message: String) -> DeviceError {
    DeviceError { code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(devices: Value) -> Result<Vec<Device>, DeviceError> {
        read_all(Some(&devices), &[17, 22, 27])
    }

    #[test]
    fn devices_are_sorted_and_have_defaults() {
        let devices = read(json!([
            { "device_id": "lamp", "type": "LED", "pin": "17", "direction": "output" },
            { "device_id": "door", "type": "button", "pin": 22, "direction": "in", "pull": "PULL_UP",
              "active_high": false, "name": "Door" },
            { "device_id": "heater", "type": "relay", "pin": 27, "direction": "out", "max_on_ms": 100 },
        ]))
        .unwrap();

        let told: Vec<Value> = devices.iter().map(|device| device.describe().into()).collect();
        assert_eq!(
            told,
            [
                json!({ "device_id": "door", "type": "button", "name": "Door", "pin": 22, "direction": "in",
                        "active_high": false, "pull": "up" }),
                json!({ "device_id": "heater", "type": "relay", "name": "heater", "pin": 27,
                        "direction": "out", "active_high": true, "max_on_ms": 100,
                        "requires_confirmation": true }),
                json!({ "device_id": "lamp", "type": "led", "name": "lamp", "pin": 17, "direction": "out",
                        "active_high": true, "max_on_ms": 5000, "requires_confirmation": false }),
            ]
        );
    }

    #[test]
    fn a_device_that_cannot_be_has_a_code_and_a_name() {
        let lamp = json!({ "device_id": "lamp", "type": "led", "pin": 17, "direction": "out" });
        for (key, value, code) in [
            ("device_id", json!("a b"), "invalid_device_id"),
            ("type", json!("motor"), "invalid_device_type"),
            ("direction", json!("up"), "invalid_device_direction"),
            ("direction", json!("in"), "device_direction_mismatch"),
            ("pin", json!(99), "invalid_device_pin"),
            ("pin", json!(null), "invalid_device_pin"),
            ("pin", json!(4), "device_pin_not_allowed"),
            ("max_on_ms", json!(0), "invalid_device_max_on_ms"),
            ("requires_confirmation", json!("perhaps"), "invalid_device_confirmation"),
        ] {
            let mut device = lamp.clone();
            device[key] = value;

            let error = read(json!([device])).unwrap_err();

            assert_eq!(error.code, code, "{}", error.message);
        }
        let button =
            json!({ "device_id": "b", "type": "button", "pin": 22, "direction": "in", "pull": "left" });
        assert_eq!(read(json!([button])).unwrap_err().code, "invalid_device_pull");
        assert_eq!(read(json!([lamp, lamp])).unwrap_err().code, "duplicate_device_id");
        assert_eq!(read(json!([7])).unwrap_err().code, "invalid_device_shape");
        assert_eq!(read(json!({})).unwrap_err().code, "invalid_devices_shape");
    }

    #[test]
    fn on_is_low_for_a_device_that_is_active_low() {
        let mut device = read(json!([{ "device_id": "d", "type": "led", "pin": 17, "direction": "out" }]))
            .unwrap()
            .remove(0);
        assert!(device.level(true) && device.is_on(true) && !device.level(false));

        device.active_high = false;
        assert!(!device.level(true) && device.is_on(false) && device.level(false));
    }
}
