//! The tools of a board, called as Core would call them, on pins in memory.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use berth_provider::{CallError, Tools};
use berth_rpi::{Board, Config, SimulatedGpio, tools};
use serde_json::{Value, json};

struct Pi {
    gpio: SimulatedGpio,
    board: Arc<Board>,
    tools: Tools,
}

impl Pi {
    /// A lamp on 17, a fan relay on 27 that is on when low, a door button on 22 that is pressed when low.
    fn new() -> Self {
        Self::with(json!([
            { "device_id": "lamp", "type": "led", "pin": 17, "direction": "out", "max_on_ms": 1000 },
            { "device_id": "fan", "type": "relay", "pin": 27, "direction": "out", "active_high": false },
            { "device_id": "door", "type": "button", "pin": 22, "direction": "in", "pull": "up",
              "active_high": false },
        ]))
    }

    fn with(devices: Value) -> Self {
        let file = json!({ "endpoint_id": "kitchen", "devices": devices }).to_string();
        let config = Config::parse(&file, |_| None).unwrap();
        let gpio = SimulatedGpio::new();
        let board =
            Board::new(Box::new(gpio.clone()), config.allowed_pins.iter().copied(), config.off_levels());
        Self { gpio, tools: tools(&board, &config), board }
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.tools.call(tool, arguments).await.unwrap()
    }

    async fn refusal(&self, tool: &str, arguments: Value) -> CallError {
        self.tools.call(tool, arguments).await.unwrap_err()
    }
}

#[tokio::test]
async fn a_board_offers_ten_tools_sorted_by_key() {
    let pi = Pi::new();

    let keys: Vec<&str> = pi.tools.keys().collect();

    assert_eq!(
        keys,
        [
            "rpi.button.read",
            "rpi.device.blink",
            "rpi.device.list",
            "rpi.device.pulse",
            "rpi.device.set",
            "rpi.device.status",
            "rpi.echo",
            "rpi.gpio.read",
            "rpi.gpio.write",
            "rpi.system.info",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_holds_its_level_for_half_a_second_when_nobody_says_otherwise() {
    let pi = Pi::new();
    let began = tokio::time::Instant::now();

    let answer = pi.call("rpi.gpio.write", json!({ "pin": 17, "value": "1" })).await;

    assert_eq!(
        answer,
        json!({ "pin": 17, "value": true, "duration_ms": 500, "reset_performed": true, "backend": "simulated" })
    );
    assert_eq!(began.elapsed(), Duration::from_millis(500));
    assert_eq!(pi.gpio.history(), [(17, true), (17, false)]);
}

#[tokio::test]
async fn a_write_without_a_duration_to_end_it_stays() {
    let pi = Pi::new();

    let answer = pi.call("rpi.gpio.write", json!({ "pin": 17, "value": 1, "duration_ms": -5 })).await;
    let read = pi.call("rpi.gpio.read", json!({ "pin": 17 })).await;

    assert_eq!((&answer["duration_ms"], &answer["reset_performed"]), (&json!(0), &json!(false)));
    assert_eq!(read, json!({ "pin": 17, "value": true }));
}

#[tokio::test]
async fn a_pin_or_level_that_may_not_be_is_refused_with_its_code() {
    let pi = Pi::new();

    for (arguments, code) in [
        (json!({ "pin": 4, "value": true }), "gpio_pin_not_allowed"),
        (json!({ "pin": 40, "value": true }), "invalid_gpio_pin"),
        (json!({ "pin": 17, "value": 2 }), "invalid_gpio_value"),
        (json!({ "pin": 17, "value": [] }), "invalid_arguments"),
        (json!({ "pin": "17", "value": true }), "invalid_arguments"),
        (json!({ "pin": 17 }), "invalid_arguments"),
        (json!({ "pin": 17, "value": true, "force": true }), "invalid_arguments"),
    ] {
        let refusal = pi.refusal("rpi.gpio.write", arguments.clone()).await;
        assert_eq!(refusal.code, code, "{arguments}: {}", refusal.message);
    }
    assert_eq!(pi.gpio.history(), []);
}

#[tokio::test]
async fn a_device_is_switched_in_its_own_sense() {
    let pi = Pi::new();

    let on = pi.call("rpi.device.set", json!({ "device_id": "fan", "value": "on" })).await;
    let status = pi.call("rpi.device.status", json!({ "device_id": "fan" })).await;

    assert_eq!((&on["value"], &on["raw_value"]), (&json!(true), &json!(false)));
    assert_eq!(on["backend"], "simulated");
    assert_eq!((&status["value"], &status["raw_value"]), (&json!(true), &json!(false)));
    assert_eq!(pi.gpio.driven(27), Some(false));
}

#[tokio::test]
async fn a_button_reads_pressed_when_it_pulls_its_pin_low() {
    let pi = Pi::new();
    let released = pi.call("rpi.button.read", json!({ "device_id": "door" })).await;

    pi.gpio.set_input(22, false);
    let pressed = pi.call("rpi.button.read", json!({ "device_id": "door" })).await;

    assert_eq!((&released["value"], &released["raw_value"]), (&json!(false), &json!(true)));
    assert_eq!((&pressed["value"], &pressed["raw_value"]), (&json!(true), &json!(false)));
}

#[tokio::test(start_paused = true)]
async fn a_pulse_ends_off_and_says_so() {
    let pi = Pi::new();

    let answer = pi.call("rpi.device.pulse", json!({ "device_id": "lamp", "duration_ms": 1000 })).await;

    assert_eq!((&answer["value"], &answer["reset_performed"]), (&json!(false), &json!(true)));
    assert_eq!((&answer["device_id"], &answer["duration_ms"]), (&json!("lamp"), &json!(1000)));
    assert_eq!(pi.gpio.history(), [(17, true), (17, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_blink_flashes_as_often_as_asked() {
    let pi = Pi::new();

    let blink = json!({ "device_id": "fan", "count": 2, "interval_ms": 10 });
    let answer = pi.call("rpi.device.blink", blink).await;

    assert_eq!((&answer["count"], &answer["value"]), (&json!(2), &json!(false)));
    assert_eq!(pi.gpio.history(), [(27, false), (27, true), (27, false), (27, true)]);
}

#[tokio::test]
async fn pulses_and_blinks_have_their_limits() {
    let pi = Pi::new();

    for (tool, arguments, code) in [
        ("rpi.device.pulse", json!({ "device_id": "lamp", "duration_ms": 1001 }), "invalid_device_duration"),
        ("rpi.device.pulse", json!({ "device_id": "lamp", "duration_ms": 0 }), "invalid_device_duration"),
        (
            "rpi.device.blink",
            json!({ "device_id": "lamp", "count": 21, "interval_ms": 1 }),
            "invalid_device_blink",
        ),
        (
            "rpi.device.blink",
            json!({ "device_id": "lamp", "count": 1, "interval_ms": 1001 }),
            "invalid_device_blink",
        ),
        (
            "rpi.device.blink",
            json!({ "device_id": "fan", "count": 20, "interval_ms": 1501 }),
            "invalid_device_blink",
        ),
        ("rpi.device.set", json!({ "device_id": "lamp", "value": "dim" }), "invalid_device_value"),
        ("rpi.device.set", json!({ "device_id": "door", "value": 1 }), "device_permission_denied"),
        ("rpi.button.read", json!({ "device_id": "lamp" }), "device_permission_denied"),
        ("rpi.device.status", json!({ "device_id": "oven" }), "device_not_found"),
        ("rpi.device.status", json!({ "device_id": " " }), "invalid_device_id"),
    ] {
        let refusal = pi.refusal(tool, arguments.clone()).await;
        assert_eq!(refusal.code, code, "{tool} {arguments}: {}", refusal.message);
    }
    assert_eq!(pi.gpio.history(), []);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_blink_leaves_the_lamp_off() {
    let pi = Pi::new();
    let blink = json!({ "device_id": "fan", "count": 5, "interval_ms": 100 });

    let cut_off =
        tokio::time::timeout(Duration::from_millis(250), pi.tools.call("rpi.device.blink", blink)).await;

    assert!(cut_off.is_err());
    assert_eq!(pi.gpio.driven(27), Some(true));
}

#[tokio::test]
async fn every_output_is_off_after_the_end() {
    let pi = Pi::new();
    pi.call("rpi.device.set", json!({ "device_id": "fan", "value": true })).await;
    pi.call("rpi.gpio.write", json!({ "pin": 17, "value": true, "duration_ms": 0 })).await;

    pi.board.close();

    assert_eq!(pi.gpio.history()[2..], [(17, false), (27, true)]);
    let late = pi.refusal("rpi.device.set", json!({ "device_id": "fan", "value": true })).await;
    assert_eq!(late.code, "gpio_unavailable");
}

#[tokio::test]
async fn the_board_tells_who_and_how_it_is() {
    let pi = Pi::new();

    let info = pi.call("rpi.system.info", json!({})).await;
    let echo = pi.call("rpi.echo", json!({ "text": "hi" })).await;
    let devices = pi.call("rpi.device.list", json!({})).await;

    assert_eq!(info["endpoint"]["executor_endpoint_id"], "rpi.kitchen.executor");
    assert_eq!(info["gpio"]["backend"], "simulated");
    assert_eq!(echo, json!({ "text": "hi" }));
    let ids: Vec<&Value> =
        devices["devices"].as_array().unwrap().iter().map(|device| &device["device_id"]).collect();
    assert_eq!(ids, ["door", "fan", "lamp"]);
}
