//! Whatever a guest does, its call ends within its limits and the others go on.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use berth_wasm::{CallError, EngineConfig, PluginEngine, ToolInvocation};
use futures::poll;
use serde_json::json;
use support::*;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_beside_an_endless_loop() {
    let engine = engine();
    let spin = load(&engine, &runs(SPIN), "[limits]\ncpu_ms = 60000\ntimeout_ms = 600000").await;
    let add = load(&engine, ADD, "").await;

    let spinning = tokio::spawn(async move { call(&spin, "run", json!({})).await });
    for number in 0..100 {
        assert_eq!(call(&add, "next", json!({ "number": number })).await.unwrap().content, json!(number + 1));
    }

    assert!(!spinning.is_finished());
    spinning.abort();
    assert!(spinning.await.unwrap_err().is_cancelled(), "a dropped call ends the loop");
}

#[tokio::test]
async fn an_endless_loop_on_the_only_thread_still_yields_to_others() {
    let engine = engine();
    let spin = load(&engine, &runs(SPIN), "[limits]\ncpu_ms = 50").await;
    let add = load(&engine, ADD, "").await;

    let (spun, added) =
        tokio::join!(call(&spin, "run", json!({})), call(&add, "next", json!({ "number": 41 })));

    assert_eq!(spun.unwrap_err().code(), "PLUGIN_CPU_LIMIT");
    assert_eq!(added.unwrap().content, json!(42));
}

#[tokio::test]
async fn a_guest_that_eats_memory_gets_no_more_than_its_limit() {
    for engine in [engine(), on_demand()] {
        let eater = load(&engine, &runs(EAT), "[limits]\nmemory_bytes = 4194304").await;

        let error = call(&eater, "run", json!({})).await.unwrap_err();

        assert_eq!(error.code(), "PLUGIN_MEMORY_LIMIT", "{error}");
    }
}

#[tokio::test]
async fn the_memory_limit_counts_all_memories_of_a_component_together() {
    let module = "(core module $m (memory 40))";
    let text = format!(
        r#"(component {module}
            (core instance (instantiate $m)) (core instance (instantiate $m))
            (core module $r (func (export "run")))
            (core instance $i (instantiate $r))
            (func (export "run") (canon lift (core func $i "run"))))"#
    );
    let engine = engine();

    let fits = load(&engine, &text, "[limits]\nmemory_bytes = 5242880").await;
    let too_small = load(&engine, &text, "[limits]\nmemory_bytes = 4194304").await;

    assert!(call(&fits, "run", json!({})).await.is_ok());
    assert_eq!(call(&too_small, "run", json!({})).await.unwrap_err().code(), "PLUGIN_MEMORY_LIMIT");
}

#[tokio::test]
async fn a_guest_that_waits_in_the_host_is_stopped_at_its_time_out() {
    let engine = engine();
    let waiter = load(&engine, WAIT, "[limits]\ntimeout_ms = 50").await;
    let add = load(&engine, ADD, "").await;

    let (waited, added) =
        tokio::join!(call(&waiter, "run", json!({})), call(&add, "next", json!({ "number": 1 })));

    assert_eq!(waited.unwrap_err().code(), "PLUGIN_TIMEOUT");
    assert!(added.is_ok());
}

#[tokio::test]
async fn a_loop_at_instantiation_is_stopped_too() {
    let engine = engine();
    let text = runs(r#"(func $s (loop br 0)) (start $s) (func (export "run"))"#);
    let plugin = load(&engine, &text, "[limits]\ncpu_ms = 50").await;

    assert_eq!(call(&plugin, "run", json!({})).await.unwrap_err().code(), "PLUGIN_CPU_LIMIT");
}

#[tokio::test]
async fn endless_recursion_ends_at_the_stack_limit() {
    let plugin = load(&engine(), &runs(RECURSE), "").await;

    assert_eq!(call(&plugin, "run", json!({})).await.unwrap_err().code(), "PLUGIN_STACK_LIMIT");
}

#[tokio::test]
async fn a_trap_names_its_kind_and_leaves_the_plugin_usable() {
    let engine = engine();
    let text = r#"(component
        (core module $m (func (export "run") (param i32) (if (local.get 0) (then unreachable))))
        (core instance $i (instantiate $m))
        (func (export "run") (param "trap" bool) (canon lift (core func $i "run"))))"#;
    let plugin = load(&engine, text, "").await;

    let error = call(&plugin, "run", json!({ "trap": true })).await.unwrap_err();

    assert_eq!(error.code(), "PLUGIN_TRAP");
    assert_eq!(error.details()["trap"], "wasm trap: wasm `unreachable` instruction executed");
    assert!(call(&plugin, "run", json!({ "trap": false })).await.is_ok());
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused() {
    let plugin = load(&engine(), LONG, "").await;

    assert!(call(&plugin, "run", json!({ "length": 1_000_000 })).await.is_ok());
    let too_long = call(&plugin, "run", json!({ "length": 2_000_000 })).await.unwrap_err();
    assert_eq!(too_long.code(), "PLUGIN_OUTPUT_TOO_LARGE");
    let flood = call(&plugin, "run", json!({ "length": 20_000_000 })).await.unwrap_err();
    assert_eq!(flood.code(), "PLUGIN_HOSTCALL_LIMIT");
}

#[tokio::test]
async fn a_table_grows_to_its_limit_only() {
    let text = r#"(component
        (core module $m (table 1 funcref) (func (export "run") (param i32) (result i32)
            (table.grow (ref.null func) (local.get 0))))
        (core instance $i (instantiate $m))
        (func (export "run") (param "by" u32) (result s32) (canon lift (core func $i "run"))))"#;
    for engine in [engine(), on_demand()] {
        let plugin = load(&engine, text, "").await;

        assert_eq!(call(&plugin, "run", json!({ "by": 10_000 })).await.unwrap().content, json!(1));
        assert_eq!(call(&plugin, "run", json!({ "by": 20_001 })).await.unwrap().content, json!(-1));
    }
}

#[tokio::test]
async fn calls_beyond_the_limit_of_the_plugin_are_busy() {
    let engine = engine();
    let plugin = load(&engine, WAIT, "[limits]\nconcurrent = 2").await;

    let mut first = Box::pin(call(&plugin, "run", json!({})));
    let mut second = Box::pin(call(&plugin, "run", json!({})));
    assert!(poll!(&mut first).is_pending());
    assert!(poll!(&mut second).is_pending());
    let busy = call(&plugin, "run", json!({})).await.unwrap_err();

    assert_eq!(busy.code(), "PLUGIN_BUSY");
    assert!(busy.is_retryable());
    drop(first);
    assert!(poll!(Box::pin(call(&plugin, "run", json!({})))).is_pending(), "a place is free again");
}

#[tokio::test]
async fn calls_beyond_the_limit_of_the_host_are_busy() {
    let engine = PluginEngine::new(EngineConfig { concurrent_calls: 1, ..config() }).unwrap();
    let waiter = load(&engine, WAIT, "").await;
    let add = load(&engine, ADD, "").await;

    let mut waiting = Box::pin(call(&waiter, "run", json!({})));
    assert!(poll!(&mut waiting).is_pending());
    let busy = call(&add, "next", json!({ "number": 1 })).await.unwrap_err();

    assert_eq!(busy.code(), "PLUGIN_BUSY");
    drop(waiting);
    assert!(call(&add, "next", json!({ "number": 1 })).await.is_ok());
}

#[tokio::test]
async fn a_pool_without_free_slots_is_busy_too() {
    let engine = PluginEngine::new(EngineConfig { slots: 2, ..config() }).unwrap();
    assert_eq!(engine.status().allocator, "pooling");
    let plugin = load(&engine, WAIT, "").await;

    let mut waiting = [(); 2].map(|()| Box::pin(call(&plugin, "run", json!({}))));
    for call in &mut waiting {
        assert!(poll!(call).is_pending());
    }

    assert_eq!(call(&plugin, "run", json!({})).await.unwrap_err().code(), "PLUGIN_BUSY");
}

#[tokio::test]
async fn a_cancelled_guest_that_does_not_return_is_stopped() {
    let engine = engine();
    for text in [WAIT.to_owned(), runs(SPIN)] {
        let plugin = load(&engine, &text, "[limits]\ncpu_ms = 20000").await;
        let cancel = CancellationToken::new();
        let mut invocation = ToolInvocation::new("run", json!({}), context());
        invocation.cancel = cancel.clone();
        cancel.cancel();

        let error = plugin.call(invocation).await.unwrap_err();

        assert!(matches!(error, CallError::Cancelled), "{error}");
    }
}

#[tokio::test]
async fn dropping_a_call_frees_its_place() {
    let engine = engine();
    let plugin = load(&engine, WAIT, "[limits]\nconcurrent = 1").await;

    let mut waiting = Box::pin(call(&plugin, "run", json!({})));
    assert!(poll!(&mut waiting).is_pending());
    assert_eq!(engine.status().running_calls, 1);
    drop(waiting);

    assert_eq!(engine.status().running_calls, 0);
    assert!(poll!(Box::pin(call(&plugin, "run", json!({})))).is_pending());
}

#[tokio::test]
async fn ten_thousand_fresh_calls_leave_nothing_behind() {
    let engine = engine();
    let plugin = load(&engine, ADD, "").await;

    for number in 0..10_000 {
        let outcome = call(&plugin, "next", json!({ "number": number })).await.unwrap();
        assert_eq!(outcome.content, json!(number + 1));
    }

    assert_eq!(engine.status().running_calls, 0);
}

#[tokio::test]
async fn a_panic_of_the_host_ends_the_call_and_nothing_else() {
    struct Broken;
    #[async_trait::async_trait]
    impl berth_wasm::capability::progress::ProgressSink for Broken {
        fn report(&self, _: Option<f32>, _: &str) {
            panic!("a bug of the host");
        }
        async fn partial(&self, _: Vec<u8>) {}
    }
    let text = r#"(component
        (import "berth:plugin/progress@0.1.0" (instance $progress
            (export "report" (func (param "fraction" (option f32)) (param "message" string)))))
        (core module $mem (memory (export "memory") 1))
        (core instance $mem (instantiate $mem))
        (core func $report (canon lower (func $progress "report") (memory (core memory $mem "memory"))))
        (core module $m
            (import "" "report" (func $report (param i32 f32 i32 i32)))
            (func (export "run") (call $report (i32.const 0) (f32.const 0) (i32.const 0) (i32.const 0))))
        (core instance $i (instantiate $m (with "" (instance (export "report" (func $report))))))
        (func (export "run") (canon lift (core func $i "run"))))"#;
    let engine = engine();
    let plugin = load(&engine, text, "").await;
    let mut invocation = ToolInvocation::new("run", json!({}), context());
    invocation.progress = Arc::new(Broken);

    let error = plugin.call(invocation).await.unwrap_err();

    assert_eq!(error.code(), "PLUGIN_HOST_FAILURE");
    assert!(call(&plugin, "run", json!({})).await.is_ok());
    assert_eq!(engine.status().running_calls, 0);
}
