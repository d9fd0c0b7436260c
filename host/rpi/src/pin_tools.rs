//! `rpi.gpio.*`: single pins.

use std::sync::Arc;
use std::time::Duration;

use berth_provider::{Answer, CallContext, CallError, Capability, RiskLevel, Tools};
use serde::Deserialize;
use serde_json::json;

use crate::argument::{Switch, closed, switch_schema};
use crate::board::Board;
use crate::gpio::Pull;

/// The longest time that a write holds its level, in milliseconds.
pub const MAX_WRITE_MS: i64 = 60_000;

pub fn tools(board: &Arc<Board>, default_write_ms: u64) -> Tools {
    let (reads, writes) = (Arc::clone(board), Arc::clone(board));
    let read =
        Capability::new("rpi.gpio.read", "Raspberry Pi read pin", "Reads the level of a pin (BCM number)")
            .takes(closed(json!({ "pin": { "type": "integer" } }), &["pin"]))
            .answers(json!({ "type": "object", "required": ["pin", "value"] }))
            .tags(&["rpi", "gpio"]);
    let write =
        Capability::new("rpi.gpio.write", "Raspberry Pi write pin", &write_description(default_write_ms))
            .takes(closed(
                json!({
                    "pin": { "type": "integer" },
                    "value": switch_schema(),
                    "duration_ms": { "type": "integer" },
                }),
                &["pin", "value"],
            ))
            .answers(json!({
                "type": "object",
                "properties": { "duration_ms": { "type": ["integer", "null"] } },
                "required": ["pin", "value", "reset_performed", "backend"],
            }))
            .risk(RiskLevel::LocalWrite)
            .confirmed(true)
            .tags(&["rpi", "gpio"]);
    Tools::new()
        .with(read, move |call| read_pin(Arc::clone(&reads), call))
        .with(write, move |call| write_pin(Arc::clone(&writes), default_write_ms, call))
}

fn write_description(default_write_ms: u64) -> String {
    format!(
        "Writes a pin (BCM number) for duration_ms, {default_write_ms} when not given, and then 0; \
         with duration_ms 0 the level stays"
    )
}

async fn read_pin(board: Arc<Board>, call: CallContext) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        pin: i64,
    }
    let Arguments { pin } = call.parse()?;
    let line = board.line(pin).await?;
    Ok(json!({ "pin": pin, "value": line.read(Pull::None)? }))
}

async fn write_pin(board: Arc<Board>, default_ms: u64, call: CallContext) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        pin: i64,
        value: Switch,
        duration_ms: Option<i64>,
    }
    let Arguments { pin, value, duration_ms } = call.parse()?;
    let level = value
        .level()
        .ok_or_else(|| CallError::new("invalid_gpio_value", "`value` is a boolean, 0 or 1".to_owned()))?;
    let given = duration_ms.map(|ms| ms.clamp(0, MAX_WRITE_MS).unsigned_abs());
    let ms = given.unwrap_or(default_ms);
    let line = board.line(pin).await?;
    if ms == 0 {
        line.write(level)?;
    } else {
        line.hold(level, Duration::from_millis(ms), false).await?;
    }
    Ok(json!({
        "pin": pin,
        "value": level,
        "duration_ms": ms,
        "reset_performed": ms > 0,
        "backend": board.backend(),
    }))
}
