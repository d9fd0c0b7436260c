//! Values of models on their way through installed plugins, and back.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::host::Harness;

/// A value of `everything` in the WIT of the guest `typed`.
fn everything() -> Value {
    json!({
        "yes": true,
        "letter": "é",
        "text": "line\nline",
        "numbers": {
            "unsigned8": 255,
            "unsigned16": 65535,
            "unsigned32": 4_294_967_295_u32,
            "unsigned64": "18446744073709551615",
            "signed8": -128,
            "signed16": -32768,
            "signed32": -2_147_483_648_i32,
            "signed64": "-9223372036854775808",
            "single": 0.5,
            "double": "-inf",
        },
        "point": { "x": -1, "y": 2, "place_name": null },
        "shape": { "tag": "polygon", "val": [{ "x": 0, "y": 0, "place_name": "home" }] },
        "colour": "dark-blue",
        "access": ["read", "run-it"],
        "maybe": null,
        "maybe_maybe": { "some": null },
        "pair": ["a", 1],
        "names": ["a", ""],
        "bytes": "AAEC/w==",
        "outcome": { "tag": "err", "val": "why" },
    })
}

#[tokio::test]
async fn every_kind_of_value_goes_through_a_typed_tool_and_comes_back() {
    let berth = Harness::start().await;
    berth.install_fixture("typed", "").await.unwrap();

    let said = berth.answer("typed_echo_everything", json!({ "value": everything() })).await;
    assert_eq!(said, everything());
    for (tool, value) in [
        ("typed_echo_shape", json!({ "tag": "nothing" })),
        ("typed_echo_shape", json!({ "tag": "circle", "val": 1.5 })),
        ("typed_echo_access", json!([])),
        ("typed_echo_nested_option", json!({ "some": 3 })),
        ("typed_echo_result", json!({ "tag": "ok", "val": 7 })),
    ] {
        let said = berth.answer(tool, json!({ "value": value })).await;
        let wanted = if tool == "typed_echo_result" { json!([value]) } else { value };
        assert_eq!(said, wanted, "{tool}");
    }
}

#[tokio::test]
async fn what_may_be_left_out_may_be_left_out() {
    let berth = Harness::start().await;
    berth.install_fixture("typed", "").await.unwrap();

    assert_eq!(berth.answer("typed_join", json!({ "first": "a" })).await, json!("a"));
    let all = json!({ "first": "a", "second": "b", "times": 2 });
    assert_eq!(berth.answer("typed_join", all).await, json!("abab"));
    assert_eq!(berth.answer("typed_nothing", json!({})).await, Value::Null);
}

#[tokio::test]
async fn a_result_is_the_answer_or_the_failure_of_the_tool() {
    let berth = Harness::start().await;
    berth.install_fixture("typed", "").await.unwrap();

    assert_eq!(berth.answer("typed_answer", json!({ "value": { "tag": "ok", "val": 7 } })).await, json!(7));
    let failed = json!({ "value": { "tag": "err", "val": "no" } });
    assert_eq!(berth.refusal("typed_answer", failed).await, json!("no"));
    let at = json!({ "x": 1, "y": 2, "place_name": null });
    assert_eq!(berth.refusal("typed_fail", json!({ "code": "x", "at": at })).await, at);
    assert_eq!(berth.answer("typed_check", json!({ "pass": true })).await, Value::Null);
    assert_eq!(berth.refusal("typed_check", json!({ "pass": false })).await, Value::Null);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_named_by_its_path_before_the_guest_runs() {
    let berth = Harness::start().await;
    berth.install_fixture("typed", "").await.unwrap();
    let with = |path: &str, value: Value| {
        let mut arguments = json!({ "value": everything() });
        *arguments.pointer_mut(path).unwrap() = value;
        arguments
    };
    let mut unknown = json!({ "value": everything() });
    unknown["value"]["point"]["z"] = json!(1);
    let mut missing = json!({ "value": everything() });
    missing["value"]["point"].as_object_mut().unwrap().remove("x");

    for (arguments, path) in [
        (with("/value/numbers/unsigned8", json!(256)), "/value/numbers/unsigned8"),
        (with("/value/numbers/signed64", json!("9223372036854775808")), "/value/numbers/signed64"),
        (with("/value/numbers/single", json!("fast")), "/value/numbers/single"),
        (with("/value/yes", json!("yes")), "/value/yes"),
        (with("/value/letter", json!("ab")), "/value/letter"),
        (with("/value/colour", json!("beige")), "/value/colour"),
        (with("/value/access", json!(["read", "read"])), "/value/access/1"),
        (with("/value/shape", json!({ "tag": "circle" })), "/value/shape/val"),
        (with("/value/shape/val/0/y", json!(1.5)), "/value/shape/val/0/y"),
        (with("/value/pair", json!(["a"])), "/value/pair"),
        (with("/value/bytes", json!("?")), "/value/bytes"),
        (unknown, "/value/point/z"),
        (missing, "/value/point/x"),
        (json!({}), "/value"),
    ] {
        let failure = berth.failure("typed_echo_everything", arguments).await;

        assert_eq!(failure.code, "INVALID_ARGUMENTS", "{path}");
        assert_eq!(failure.details["pointer"], path, "{failure:?}");
    }
    let unknown = berth.failure("typed_join", json!({ "first": "a", "third": "c" })).await;
    assert_eq!(unknown.details["pointer"], "/third");
}

#[tokio::test]
async fn dynamic_tools_are_described_at_install_and_called_by_name() {
    let berth = Harness::start().await;
    let installed = berth.install("echo").await;

    let names: Vec<&str> = installed.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["echo_say", "echo_reverse", "echo_shout"]);
    assert_eq!(berth.answer("echo_reverse", json!({ "text": "abc" })).await, json!({ "text": "cba" }));
    let refused = berth.failure("echo_say", json!({})).await;
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        ("INVALID_ARGUMENTS", "/text: is required")
    );
}
