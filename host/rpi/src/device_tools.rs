//! `rpi.device.*` and `rpi.button.read`: what is wired to the pins, by its id.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use berth_provider::{Answer, CallContext, CallError, Capability, RiskLevel, Tools};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::argument::{Switch, closed, switch_schema};
use crate::board::Board;
use crate::device::{Device, Kind, Role};
use crate::gpio::Pull;

/// The most flashes of one blink.
const MAX_COUNT: i64 = 20;
/// The longest half of one flash, in milliseconds.
const MAX_INTERVAL_MS: i64 = 10_000;
/// The longest blink, in milliseconds.
const MAX_BLINK_MS: i64 = 60_000;

/// The devices of a board.
#[derive(Clone)]
pub struct Devices {
    board: Arc<Board>,
    /// Sorted by id.
    devices: Arc<[Device]>,
}

impl Devices {
    pub fn new(board: Arc<Board>, devices: Vec<Device>) -> Self {
        Self { board, devices: devices.into() }
    }

    pub fn tools(&self) -> Tools {
        let asks = |device: &Device| matches!(device.role, Role::Output { requires_confirmation: true, .. });
        let confirmed = self.devices.iter().any(asks);
        let about = |key: &str, title: &str, description: &str, more: Value, required: &[&str]| {
            let mut properties = json!({ "device_id": { "type": "string" } });
            if let (Some(properties), Value::Object(more)) = (properties.as_object_mut(), more) {
                properties.extend(more);
            }
            let required: Vec<&str> = std::iter::once("device_id").chain(required.iter().copied()).collect();
            Capability::new(key, title, description)
                .takes(closed(properties, &required))
                .tags(&["rpi", "device"])
        };
        let drives = |capability: Capability| capability.risk(RiskLevel::LocalWrite).confirmed(confirmed);
        let list = Capability::new(
            "rpi.device.list",
            "Raspberry Pi list devices",
            "Lists what is wired to the pins",
        )
        .takes(closed(json!({}), &[]))
        .answers(json!({ "type": "object", "required": ["devices"] }))
        .tags(&["rpi", "device"])
        .parallel();
        let status =
            about("rpi.device.status", "Raspberry Pi device status", "Reads a device", json!({}), &[]);
        let button = about("rpi.button.read", "Raspberry Pi read button", "Reads a button", json!({}), &[]);
        let set = about(
            "rpi.device.set",
            "Raspberry Pi set device",
            "Switches an output on or off, and leaves it so",
            json!({ "value": switch_schema() }),
            &["value"],
        );
        let pulse = about(
            "rpi.device.pulse",
            "Raspberry Pi pulse device",
            "Switches an output on for duration_ms, at most its max_on_ms, and then off",
            json!({ "duration_ms": { "type": "integer" } }),
            &["duration_ms"],
        );
        let blink = about(
            "rpi.device.blink",
            "Raspberry Pi blink device",
            "Switches an output on and off again, count times, interval_ms each; 60 s at most",
            json!({ "count": { "type": "integer" }, "interval_ms": { "type": "integer" } }),
            &["count", "interval_ms"],
        );
        Tools::new()
            .with(list, self.with(|devices, call| async move { devices.list(&call) }))
            .with(status, self.with(|devices, call| async move { devices.status(&call).await }))
            .with(button, self.with(|devices, call| async move { devices.button(&call).await }))
            .with(drives(set), self.with(|devices, call| async move { devices.set(&call).await }))
            .with(drives(pulse), self.with(|devices, call| async move { devices.pulse(&call).await }))
            .with(drives(blink), self.with(|devices, call| async move { devices.blink(&call).await }))
    }

    fn with<F, R>(&self, serve: F) -> impl Fn(CallContext) -> R + Send + Sync + 'static
    where
        F: Fn(Self, CallContext) -> R + Send + Sync + 'static,
        R: Future<Output = Answer>,
    {
        let devices = self.clone();
        move |call| serve(devices.clone(), call)
    }

    fn list(&self, call: &CallContext) -> Answer {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Arguments {}
        let Arguments {} = call.parse()?;
        let devices: Vec<Value> = self.devices.iter().map(|device| device.describe().into()).collect();
        Ok(json!({ "devices": devices }))
    }

    async fn status(&self, call: &CallContext) -> Answer {
        let device = self.only_device(call)?;
        self.read(device).await
    }

    async fn button(&self, call: &CallContext) -> Answer {
        let device = self.only_device(call)?;
        if device.kind != Kind::Button {
            let message = format!("`{}` is a {}, no button", device.id, device.kind.as_str());
            return Err(CallError::new("device_permission_denied", message));
        }
        self.read(device).await
    }

    async fn set(&self, call: &CallContext) -> Answer {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Arguments {
            device_id: String,
            value: Switch,
        }
        let Arguments { device_id, value } = call.parse()?;
        let (device, _) = self.output(&device_id)?;
        let on = value
            .state()
            .ok_or_else(|| CallError::new("invalid_device_value", "`value` is on or off, true or false"))?;
        let line = self.board.line(i64::from(device.pin)).await?;
        line.write(device.level(on))?;
        Ok(self.told(device, json!({ "value": on, "raw_value": device.level(on) })))
    }

    async fn pulse(&self, call: &CallContext) -> Answer {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Arguments {
            device_id: String,
            duration_ms: i64,
        }
        let Arguments { device_id, duration_ms } = call.parse()?;
        let (device, max_on_ms) = self.output(&device_id)?;
        let ms = u64::try_from(duration_ms).ok().filter(|ms| (1..=max_on_ms).contains(ms));
        let ms = ms.ok_or_else(|| {
            let message = format!("`duration_ms` is 1 to {max_on_ms} for `{device_id}`, not {duration_ms}");
            CallError::new("invalid_device_duration", message)
        })?;
        let line = self.board.line(i64::from(device.pin)).await?;
        line.hold(device.level(true), Duration::from_millis(ms), device.level(false)).await?;
        Ok(self.told(device, json!({ "value": false, "duration_ms": ms, "reset_performed": true })))
    }

    async fn blink(&self, call: &CallContext) -> Answer {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Arguments {
            device_id: String,
            count: i64,
            interval_ms: i64,
        }
        let Arguments { device_id, count, interval_ms } = call.parse()?;
        let (device, max_on_ms) = self.output(&device_id)?;
        let longest = MAX_INTERVAL_MS.min(i64::try_from(max_on_ms).unwrap_or(i64::MAX));
        let invalid = |message: String| CallError::new("invalid_device_blink", message);
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(invalid(format!("`count` is 1 to {MAX_COUNT}, not {count}")));
        }
        if !(1..=longest).contains(&interval_ms) {
            return Err(invalid(format!(
                "`interval_ms` is 1 to {longest} for `{device_id}`, not {interval_ms}"
            )));
        }
        let total_ms = count * interval_ms * 2;
        if total_ms > MAX_BLINK_MS {
            return Err(invalid(format!("the blink would take {total_ms} ms, {MAX_BLINK_MS} is the limit")));
        }
        let interval = Duration::from_millis(interval_ms.unsigned_abs());
        let line = self.board.line(i64::from(device.pin)).await?;
        for _ in 0..count {
            line.hold(device.level(true), interval, device.level(false)).await?;
            tokio::time::sleep(interval).await;
        }
        let end = json!({
            "value": false,
            "count": count,
            "interval_ms": interval_ms,
            "max_total_duration_ms": MAX_BLINK_MS,
        });
        Ok(self.told(device, end))
    }

    async fn read(&self, device: &Device) -> Answer {
        let pull = match device.role {
            Role::Input { pull } => pull,
            Role::Output { .. } => Pull::None,
        };
        let raw = self.board.line(i64::from(device.pin)).await?.read(pull)?;
        let mut told = device.describe();
        told.insert("value".to_owned(), device.is_on(raw).into());
        told.insert("raw_value".to_owned(), raw.into());
        Ok(told.into())
    }

    fn only_device(&self, call: &CallContext) -> Result<&Device, CallError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Arguments {
            device_id: String,
        }
        let Arguments { device_id } = call.parse()?;
        self.find(&device_id)
    }

    fn find(&self, id: &str) -> Result<&Device, CallError> {
        if id.trim().is_empty() {
            return Err(CallError::new("invalid_device_id", "`device_id` is empty"));
        }
        self.devices
            .iter()
            .find(|device| device.id == id.trim())
            .ok_or_else(|| CallError::new("device_not_found", format!("there is no device `{id}`")))
    }

    /// The device and its longest time on.
    fn output(&self, id: &str) -> Result<(&Device, u64), CallError> {
        let device = self.find(id)?;
        match device.role {
            Role::Output { max_on_ms, .. } => Ok((device, max_on_ms)),
            Role::Input { .. } => {
                Err(CallError::new("device_permission_denied", format!("`{id}` is an input")))
            }
        }
    }

    fn told(&self, device: &Device, end: Value) -> Value {
        let mut told = device.describe();
        if let Value::Object(end) = end {
            told.extend(end);
        }
        told.insert("backend".to_owned(), self.board.backend().into());
        told.into()
    }
}
