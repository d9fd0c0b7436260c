//! Every limit that an operator or a manifest can set: a guest trips it, and others are served beside it.
#![allow(clippy::unwrap_used)]

mod support;

use berth_wasm::limits::{KEYS, Limits, Wishes};
use berth_wasm::{EngineConfig, PluginEngine};
use futures::poll;
use serde_json::{Value, json};
use support::*;

/// Makes resources of its own until it is stopped, or has made `count`.
const LEAK: &str = r#"(component
    (type $thing (resource (rep i32)))
    (core func $new (canon resource.new $thing))
    (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (func (export "run") (param $count i32)
            (loop
                (drop (call $new (i32.const 1)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br_if 0 (local.get $count)))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "run") (param "count" u32) (canon lift (core func $i "run"))))"#;

/// Makes `count` pollables of the host and keeps them.
const POLLABLES: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $p (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core module $m
        (import "" "subscribe" (func $subscribe (param i64) (result i32)))
        (func (export "run") (param $count i32)
            (loop
                (drop (call $subscribe (i64.const 1)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br_if 0 (local.get $count)))))
    (core instance $i (instantiate $m (with "" (instance (export "subscribe" (func $subscribe))))))
    (func (export "run") (param "count" u32) (canon lift (core func $i "run"))))"#;

/// Wants a table of `size` elements and stops when it does not get it.
const TABLE: &str = r#"(component
    (core module $m (table 1 funcref) (func (export "run") (param i32)
        (if (i32.eq (table.grow (ref.null func) (local.get 0)) (i32.const -1)) (then unreachable))))
    (core instance $i (instantiate $m))
    (func (export "run") (param "size" u32) (canon lift (core func $i "run"))))"#;

/// Wants `pages` more pages of memory and stops when it does not get them.
const GROW: &str = r#"(component
    (core module $m (memory 1) (func (export "run") (param i32)
        (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable))))
    (core instance $i (instantiate $m))
    (func (export "run") (param "pages" u32) (canon lift (core func $i "run"))))"#;

/// Counts to `count`.
const COUNT: &str = r#"(component
    (core module $m (func (export "run") (param $count i64)
        (loop
            (local.set $count (i64.sub (local.get $count) (i64.const 1)))
            (br_if 0 (i64.ne (local.get $count) (i64.const 0))))))
    (core instance $i (instantiate $m))
    (func (export "run") (param "count" u64) (canon lift (core func $i "run"))))"#;

/// Calls itself `depth` times.
const DEEP: &str = r#"(component
    (core module $m (func $f (export "run") (param i32) (result i32)
        (if (result i32) (local.get 0)
            (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
            (else (i32.const 0)))))
    (core instance $i (instantiate $m))
    (func (export "run") (param "depth" u32) (result u32) (canon lift (core func $i "run"))))"#;

/// A component of so many core instances.
fn instances(count: usize) -> String {
    let more = "(core instance (instantiate $m))".repeat(count - 1);
    format!(
        r#"(component
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m)) {more}
            (func (export "run") (canon lift (core func $i "run"))))"#
    )
}

/// What a call of `run` ends with: `ok` or a code.
async fn ended(engine: &PluginEngine, text: &str, wishes: &str, arguments: Value) -> String {
    let plugin = load(engine, text, wishes).await;
    let neighbour = load(engine, ADD, "").await;
    let (ended, beside) =
        tokio::join!(call(&plugin, "run", arguments), call(&neighbour, "next", json!({ "number": 41 })));
    assert_eq!(beside.unwrap().content, json!(42), "the neighbour is served beside it");
    assert_eq!(call(&neighbour, "next", json!({ "number": 1 })).await.unwrap().content, json!(2));
    ended.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned())
}

/// Each limit with a guest that keeps within it and one that does not, the code, and what the limit is set to.
fn trips() -> Vec<(&'static str, u64, String, Value, Value, &'static str)> {
    let text = |text: &str| text.to_owned();
    vec![
        (
            "memory_bytes",
            4 << 20,
            text(GROW),
            json!({"pages": 60}),
            json!({"pages": 64}),
            "PLUGIN_MEMORY_LIMIT",
        ),
        ("cpu_ms", 100, text(COUNT), json!({"count": 1000}), json!({"count": u64::MAX}), "PLUGIN_CPU_LIMIT"),
        (
            "output_bytes",
            5000,
            text(LONG),
            json!({"length": 4000}),
            json!({"length": 6000}),
            "PLUGIN_OUTPUT_TOO_LARGE",
        ),
        (
            "hostcall_bytes",
            5000,
            text(LONG),
            json!({"length": 4000}),
            json!({"length": 6000}),
            "PLUGIN_HOSTCALL_LIMIT",
        ),
        ("handles", 100, text(LEAK), json!({"count": 90}), json!({"count": 200}), "PLUGIN_HANDLE_LIMIT"),
        ("handles", 100, text(POLLABLES), json!({"count": 40}), json!({"count": 200}), "PLUGIN_HANDLE_LIMIT"),
        (
            "table_elements",
            500,
            text(TABLE),
            json!({"size": 400}),
            json!({"size": 500}),
            "PLUGIN_TABLE_LIMIT",
        ),
    ]
}

#[tokio::test]
async fn a_limit_that_a_manifest_wishes_for_is_kept() {
    for engine in [engine(), on_demand()] {
        for (key, limit, text, within, beyond, code) in trips() {
            let wishes = format!("[limits]\n{key} = {limit}\n");

            assert_eq!(ended(&engine, &text, &wishes, within).await, "ok", "{key}");
            assert_eq!(ended(&engine, &text, &wishes, beyond).await, code, "{key}");
        }
    }
}

#[tokio::test]
async fn a_limit_that_the_operator_lowers_holds_for_plugins_without_wishes_and_one_that_he_raises_too() {
    for (key, limit, text, within, beyond, code) in trips() {
        let set: Wishes = toml::from_str(&format!("{key} = {limit}")).unwrap();
        let lowered = EngineConfig { defaults: set.over(&Limits::default()), ..config() };
        let lowered = PluginEngine::new(lowered).unwrap();

        assert_eq!(ended(&lowered, &text, "", within).await, "ok", "{key}");
        assert_eq!(ended(&lowered, &text, "", beyond.clone()).await, code, "{key}");
        if key != "cpu_ms" {
            assert_eq!(ended(&engine(), &text, "", beyond).await, "ok", "the default of {key} is higher");
        }
    }
}

#[tokio::test]
async fn a_wish_ends_at_the_ceiling_of_the_operator() {
    for (key, limit, text, within, beyond, code) in trips() {
        let ceiling: Wishes = toml::from_str(&format!("{key} = {limit}")).unwrap();
        let engine = EngineConfig { ceilings: ceiling.over(&Limits::ceilings()), ..config() };
        let engine = PluginEngine::new(engine).unwrap();
        let wishes = format!("[limits]\n{key} = 1000000000\n");

        assert_eq!(ended(&engine, &text, &wishes, within).await, "ok", "{key}");
        assert_eq!(ended(&engine, &text, &wishes, beyond).await, code, "{key}");
    }
}

#[tokio::test]
async fn a_component_of_too_many_core_instances_gets_none() {
    for engine in [engine(), on_demand()] {
        assert_eq!(ended(&engine, &instances(64), "", json!({})).await, "ok");
        assert_eq!(ended(&engine, &instances(65), "", json!({})).await, "PLUGIN_INSTANCE_LIMIT");
        let more = "[limits]\ncore_instances = 100\n";
        assert_eq!(ended(&engine, &instances(100), more, json!({})).await, "ok");
    }
}

#[tokio::test]
async fn the_stack_is_as_deep_as_the_operator_says() {
    let small = PluginEngine::new(EngineConfig { stack_bytes: 128 << 10, ..config() }).unwrap();
    let depth = json!({ "depth": 6000 });

    assert_eq!(ended(&engine(), DEEP, "", depth.clone()).await, "ok");
    assert_eq!(ended(&small, DEEP, "", depth).await, "PLUGIN_STACK_LIMIT");
    assert_eq!(ended(&small, DEEP, "", json!({ "depth": 100 })).await, "ok");
}

#[tokio::test]
async fn running_calls_share_the_memory_of_the_host_and_give_it_back() {
    let engine = PluginEngine::new(EngineConfig { memory_bytes: 200 << 20, ..config() }).unwrap();
    let plugin = load(&engine, WAIT, "").await;
    let small = load(&engine, ADD, "[limits]\nmemory_bytes = 1048576\n").await;

    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(call(&plugin, "run", json!({})))).collect();
    for call in &mut waiting {
        assert!(poll!(call).is_pending());
    }
    let refused = call(&plugin, "run", json!({})).await.unwrap_err();

    assert_eq!(refused.code(), "PLUGIN_HOST_MEMORY");
    assert!(refused.is_retryable());
    assert!(call(&small, "next", json!({ "number": 1 })).await.is_ok(), "what is left does for a small one");
    waiting.pop();
    assert!(poll!(Box::pin(call(&plugin, "run", json!({})))).is_pending(), "there is room again");
}

#[test]
fn every_limit_can_be_wished_for() {
    for key in KEYS {
        let wishes = manifest(&format!("[limits]\n{} = 12\n", key.name)).wishes;

        assert_eq!((key.wish)(&wishes), Some(12), "{}", key.name);
    }
}
