#![allow(clippy::unwrap_used)]

use std::time::Duration;

use berth_plugin::testing;

use super::*;

/// The board answers each call with `answer`.
fn pi_answers(answer: Value) {
    testing::host(|host| host.on_endpoint_call(move |_| Ok(answer.to_string())));
}

/// The calls that reached the board: selector, key, arguments.
fn heard() -> Vec<(String, String, Value)> {
    testing::host(|host| {
        let calls = host.endpoint_calls.drain(..);
        calls.map(|call| (call.selector, call.tool_key, call.arguments.parse().unwrap())).collect()
    })
}

#[test]
fn a_read_asks_any_raspberry_pi_for_the_pin() {
    pi_answers(json!({ "pin": 17, "value": true }));

    let level = Gpio::read(17, None).unwrap();

    assert_eq!((level.pin, level.value), (17, true));
    assert_eq!(heard(), [("provider:rpi".into(), "rpi.gpio.read".into(), json!({ "pin": 17 }))]);
}

#[test]
fn a_write_carries_its_duration_only_when_given() {
    pi_answers(
        json!({ "pin": 27, "value": 1, "duration_ms": 20, "reset_performed": true, "backend": "mock" }),
    );
    let kitchen = Some("rpi.kitchen.executor".to_owned());

    let written = Gpio::write(27, true, Some(20), kitchen).unwrap();
    Gpio::write(27, true, None, None).unwrap();

    assert_eq!((written.value, written.duration_ms, written.reset_performed), (true, Some(20), true));
    let calls = heard();
    assert_eq!(calls[0].0, "rpi.kitchen.executor");
    assert_eq!(calls[0].2, json!({ "pin": 27, "value": true, "duration_ms": 20 }));
    assert_eq!(calls[1].2, json!({ "pin": 27, "value": true }));
}

#[test]
fn devices_keep_their_order_and_their_limits() {
    let lamp = json!({ "device_id": "lamp", "type": "led", "name": "Lamp", "pin": 17, "direction": "out",
        "active_high": true, "max_on_ms": 5000, "requires_confirmation": false });
    let door = json!({ "device_id": "door", "type": "button", "name": "Door", "pin": 22, "direction": "in",
        "active_high": false, "pull": "up" });
    pi_answers(json!({ "devices": [door, lamp] }));

    let devices = Gpio::devices(None).unwrap();

    let limits: Vec<_> = devices.iter().map(|device| (device.device_id.as_str(), device.max_on_ms)).collect();
    assert_eq!(limits, [("door", None), ("lamp", Some(5000))]);
}

#[test]
fn a_device_is_set_and_pulsed_by_its_id() {
    pi_answers(json!({ "device_id": "lamp", "value": false, "duration_ms": 250, "reset_performed": true }));

    Gpio::set("lamp".into(), true, None).unwrap();
    let pulsed = Gpio::pulse("lamp".into(), 250, None).unwrap();

    assert_eq!((pulsed.value, pulsed.duration_ms), (false, Some(250)));
    let calls = heard();
    assert_eq!(calls[0].1, "rpi.device.set");
    assert_eq!(calls[0].2, json!({ "device_id": "lamp", "value": true }));
    assert_eq!(calls[1].2, json!({ "device_id": "lamp", "duration_ms": 250 }));
}

#[test]
fn an_error_of_the_board_keeps_its_code() {
    let refused = |_: &_| Err(berth_plugin::Error::new("gpio_pin_not_allowed", "pin 4 is not allowed"));
    testing::host(|host| host.on_endpoint_call(refused));

    let error = Gpio::read(4, None).unwrap_err();

    assert_eq!((error.code.as_str(), error.retryable), ("gpio_pin_not_allowed", false));
}

#[test]
fn an_answer_that_lacks_a_field_is_an_error_that_names_it() {
    pi_answers(json!({ "pin": 17 }));

    let error = Gpio::read(17, None).unwrap_err();

    assert_eq!(error.code, "INVALID_RESULT");
    assert!(error.message.contains("`value`"), "{}", error.message);
}

#[test]
fn a_pulse_longer_than_the_call_never_reaches_the_board() {
    testing::host(|host| host.remaining = Duration::from_millis(900));

    let error = Gpio::pulse("lamp".into(), 1000, None).unwrap_err();

    assert_eq!(error.code, "TOOL_TIMEOUT");
    assert_eq!(heard(), []);
}

/// A board whose level at each reading is the next of these, and the last one from then on.
fn levels(levels: &'static [bool]) {
    let mut readings = 0;
    testing::host(|host| {
        host.on_endpoint_call(move |call| {
            let value = levels[readings.min(levels.len() - 1)];
            readings += 1;
            let answer = if call.tool_key == "rpi.gpio.read" {
                json!({ "pin": 22, "value": value })
            } else {
                json!({ "device_id": "door", "value": value })
            };
            Ok(answer.to_string())
        });
    });
}

fn set(key: &str, value: &str) {
    testing::host(|host| host.settings.insert(key.into(), value.into()));
}

#[test]
fn a_watch_ends_with_the_first_change() {
    levels(&[false, false, true]);

    let watched = Gpio::watch(Some(22), None, None, None, None).unwrap();

    assert_eq!((watched.happened, watched.value, watched.waited_ms), (true, true, 500));
    assert_eq!(heard().len(), 3);
}

#[test]
fn a_watch_for_a_level_that_is_there_ends_at_once_and_names_a_device() {
    levels(&[true]);

    let watched = Gpio::watch(None, Some("door".into()), Some(true), None, None).unwrap();

    assert_eq!((watched.happened, watched.waited_ms), (true, 0));
    assert_eq!(heard()[0].1, "rpi.device.status");
}

#[test]
fn a_watch_that_nothing_ends_is_over_in_time_and_no_error() {
    levels(&[false]);
    let watched = Gpio::watch(Some(22), None, None, Some(1000), None).unwrap();
    assert_eq!((watched.happened, watched.value, watched.waited_ms), (false, false, 1000));

    testing::host(|host| host.remaining = Duration::from_millis(1500));
    let short = Gpio::watch(Some(22), None, None, Some(60_000), None).unwrap();
    assert!(!short.happened && short.waited_ms < 1500, "{}", short.waited_ms);
    testing::host(|host| host.cancelled = true);
    assert_eq!(Gpio::watch(Some(22), None, None, None, None).unwrap().waited_ms, 0);
}

#[test]
fn a_watch_of_nothing_or_of_two_things_is_refused() {
    let code = |pin, device: Option<&str>| {
        Gpio::watch(pin, device.map(str::to_owned), None, None, None).map(|_| ()).unwrap_err().code
    };

    assert_eq!(code(None, None), "INVALID_ARGUMENTS");
    assert_eq!(code(Some(1), Some("door")), "INVALID_ARGUMENTS");
    assert_eq!(heard(), []);
}

#[test]
fn the_limits_of_the_owner_hold_before_the_board_is_asked() {
    pi_answers(json!({ "device_id": "lamp", "value": true }));
    set("max_pulse_ms", "1000");
    set("pins", "[17]");
    set("devices", "[\"lamp\"]");
    let code = |result: Result<DeviceState, Error>| result.map(|_| ()).unwrap_err().code;

    assert_eq!(Gpio::write(27, true, None, None).map(|_| ()).unwrap_err().code, "limit");
    assert_eq!(Gpio::write(17, true, Some(1001), None).map(|_| ()).unwrap_err().code, "limit");
    assert_eq!(code(Gpio::set("pump".into(), true, None)), "limit");
    assert_eq!(code(Gpio::pulse("pump".into(), 10, None)), "limit");
    assert_eq!(code(Gpio::pulse("lamp".into(), 1001, None)), "limit");
    assert_eq!(heard(), []);
    assert!(Gpio::pulse("lamp".into(), 1000, None).is_ok());
}

#[test]
fn a_limit_that_cannot_be_read_lets_nothing_through() {
    pi_answers(json!({ "device_id": "lamp", "value": true }));
    set("devices", "lamp");

    assert_eq!(Gpio::set("lamp".into(), true, None).map(|_| ()).unwrap_err().code, "limit");
    assert_eq!(heard(), []);
}
