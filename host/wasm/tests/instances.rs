//! Instances that are made ahead of their call, or used again after one.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use berth_model::{ActorId, WorkspaceId};
use berth_wasm::call::ready::{InstancePolicy, Mode};
use berth_wasm::capability::grants::{Fixed, GrantView};
use berth_wasm::manifest::Instances;
use berth_wasm::{CallError, EngineConfig, LoadedPlugin, Manifest, PluginEngine, ToolInvocation};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::*;

const PREWARM: &str = "[limits]\ninstances = \"prewarm\"\n";
const POOL: &str = "[limits]\ninstances = \"pool\"\n";

/// Counts the calls that the instance has served, in a global and in its memory; crashes on 13.
const COUNTER: &str = r#"(component
    (core module $m
        (memory 1)
        (global $calls (mut i32) (i32.const 0))
        (func (export "run") (param $number i32) (result i32)
            (if (i32.eq (local.get $number) (i32.const 13)) (then unreachable))
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1)))
            (i32.add (i32.mul (global.get $calls) (i32.const 1000)) (i32.load (i32.const 64)))))
    (core instance $i (instantiate $m))
    (func (export "count") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#;

fn engine_with(instances: InstancePolicy) -> PluginEngine {
    PluginEngine::new(EngineConfig { instances, ..config() }).unwrap()
}

fn pooling() -> PluginEngine {
    engine_with(InstancePolicy { pool: true, ..InstancePolicy::default() })
}

async fn count(plugin: &LoadedPlugin, number: u32) -> Result<Value, CallError> {
    Ok(call(plugin, "count", json!({ "number": number })).await?.content)
}

/// Waits until so many instances wait for a call.
async fn until_ready(plugin: &LoadedPlugin, instances: usize) {
    while plugin.at_rest() != instances {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_instance_made_ahead_serves_one_call_and_another_takes_its_place() {
    let plugin = load(&engine_with(InstancePolicy::default()), COUNTER, PREWARM).await;
    assert_eq!(plugin.at_rest(), 0, "nothing is made before the first call");
    assert_eq!(count(&plugin, 0).await.unwrap(), json!(1001));
    until_ready(&plugin, 2).await;

    for _ in 0..5 {
        assert_eq!(count(&plugin, 0).await.unwrap(), json!(1001));
    }
    until_ready(&plugin, 2).await;
}

#[tokio::test]
async fn instances_are_made_ahead_only_where_plugin_and_operator_want_it() {
    for (policy, manifest) in [
        (InstancePolicy::default(), ""),
        (InstancePolicy { prewarm: false, ..InstancePolicy::default() }, PREWARM),
        (InstancePolicy { max_ready: 0, ..InstancePolicy::default() }, PREWARM),
    ] {
        let plugin = load(&engine_with(policy), COUNTER, manifest).await;

        plugin.prewarm().await;

        assert_eq!(plugin.at_rest(), 0, "{policy:?}");
        assert_eq!(count(&plugin, 0).await.unwrap(), json!(1001));
    }
    let both = InstancePolicy { pool: true, ..InstancePolicy::default() };
    assert_eq!(both.mode(Instances::Pool), Mode::Pool);
    assert_eq!(InstancePolicy::default().mode(Instances::Pool), Mode::Prewarm, "the operator wants no pool");
    assert_eq!(both.mode(Instances::Fresh), Mode::Fresh);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_javascript_and_python_are_made_ahead_as_all_others() {
    let engine = engine_with(InstancePolicy::default());
    for (name, tool, arguments) in [
        ("regex", "split", json!({ "pattern": ",", "text": "a,b" })),
        ("tables", "rows", json!({ "csv": "n\n1\n2\n", "column": "n", "limit": 1 })),
    ] {
        let folder = support::host::example_folder(name);
        let manifest = std::fs::read_to_string(folder.join("plugin.toml")).unwrap();
        let component = std::fs::read(folder.join(format!("{name}.wasm"))).unwrap();
        let plugin = load_bytes(&engine, component, Manifest::parse(&manifest).unwrap()).await;
        let tool = plugin.tools().iter().find(|spec| spec.key().ends_with(tool)).unwrap().key();

        let first = call(&plugin, &tool, arguments.clone()).await.unwrap().content;
        // They would not be kept if the runtime asked the host for anything while they are made.
        until_ready(&plugin, 2).await;
        let ahead = call(&plugin, &tool, arguments).await.unwrap().content;

        assert_eq!(ahead, first, "{name}");
        until_ready(&plugin, 2).await;
    }
}

#[tokio::test]
async fn an_instance_that_waited_has_the_whole_time_of_its_call() {
    let engine = engine_with(InstancePolicy::default());
    let waiting = load(&engine, COUNTER, &format!("{PREWARM}cpu_ms = 30\ntimeout_ms = 1000\n")).await;
    waiting.prewarm().await;
    assert_eq!(waiting.at_rest(), 2);
    // While it waits, the clock goes on for longer than it may compute, and than it may take.
    let spinning = load(&engine, &runs(SPIN), "[limits]\ncpu_ms = 1500\n").await;
    assert!(matches!(call(&spinning, "run", json!({})).await.unwrap_err(), CallError::Cpu { .. }));

    assert_eq!(count(&waiting, 0).await.unwrap(), json!(1001));
}

#[tokio::test]
async fn limits_hold_in_an_instance_that_was_made_ahead() {
    let engine = engine_with(InstancePolicy::default());
    let cases = [
        (runs(SPIN), "cpu_ms = 50\n", "PLUGIN_CPU_LIMIT"),
        (runs(EAT), "memory_bytes = 4194304\n", "PLUGIN_MEMORY_LIMIT"),
        (runs(RECURSE), "", "PLUGIN_STACK_LIMIT"),
    ];
    for (text, limit, code) in cases {
        let plugin = load(&engine, &text, &format!("{PREWARM}{limit}")).await;
        plugin.prewarm().await;
        assert_eq!(plugin.at_rest(), 2);

        assert_eq!(call(&plugin, "run", json!({})).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn code_that_runs_while_an_instance_is_made_has_limits_and_is_not_tried_again_and_again() {
    let start = r#"(func $spin (loop br 0)) (start $spin) (func (export "run"))"#;
    let plugin =
        load(&engine_with(InstancePolicy::default()), &runs(start), &format!("{PREWARM}cpu_ms = 50\n")).await;

    plugin.prewarm().await;

    assert_eq!(plugin.at_rest(), 0);
    assert_eq!(call(&plugin, "run", json!({})).await.unwrap_err().code(), "PLUGIN_CPU_LIMIT");
}

#[tokio::test]
async fn an_instance_that_asks_the_host_for_something_while_it_is_made_is_not_kept() {
    let asks = r#"(component
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
        (core func $now (canon lower (func $clock "now")))
        (core module $m
            (import "" "now" (func $now (result i64)))
            (global $made (mut i64) (i64.const 0))
            (func $begin (global.set $made (call $now)))
            (start $begin)
            (func (export "run")))
        (core instance $i (instantiate $m (with "" (instance (export "now" (func $now))))))
        (func (export "run") (canon lift (core func $i "run"))))"#;
    let plugin = load(&engine_with(InstancePolicy::default()), asks, PREWARM).await;

    plugin.prewarm().await;

    assert_eq!(plugin.at_rest(), 0);
    assert!(call(&plugin, "run", json!({})).await.is_ok());
}

/// A call of somebody under some generation of the grants.
fn call_of(actor: &str, workspace: &str, generation: u64, number: u32) -> ToolInvocation {
    let mut context = context();
    context.actor = ActorId::new(actor).unwrap();
    context.workspace = WorkspaceId::new(workspace).unwrap();
    let mut invocation = ToolInvocation::new("count", json!({ "number": number }), context);
    invocation.grants = Arc::new(Fixed(Arc::new(GrantView::new(generation, "test", Vec::new(), Vec::new()))));
    invocation
}

async fn served(plugin: &LoadedPlugin, actor: &str, workspace: &str, generation: u64) -> Value {
    plugin.call(call_of(actor, workspace, generation, 0)).await.unwrap().content
}

#[tokio::test]
async fn an_instance_of_a_pool_serves_its_actor_again_and_nobody_else() {
    let plugin = load(&pooling(), COUNTER, POOL).await;
    assert_eq!(served(&plugin, "user:self", "home", 1).await, json!(1001));
    assert_eq!(served(&plugin, "user:self", "home", 1).await, json!(2002));

    for (actor, workspace, generation) in
        [("user:other", "home", 1), ("user:self", "study", 1), ("user:self", "home", 2)]
    {
        let fresh = load(&pooling(), COUNTER, POOL).await;
        served(&fresh, "user:self", "home", 1).await;
        assert_eq!(
            served(&fresh, actor, workspace, generation).await,
            json!(1001),
            "{actor} {workspace} {generation}"
        );
    }
}

#[tokio::test]
async fn an_instance_of_a_pool_that_broke_off_is_not_used_again() {
    let plugin = load(&pooling(), COUNTER, POOL).await;
    served(&plugin, "user:self", "home", 1).await;

    let broken = plugin.call(call_of("user:self", "home", 1, 13)).await.unwrap_err();

    assert_eq!(broken.code(), "PLUGIN_TRAP");
    assert_eq!(served(&plugin, "user:self", "home", 1).await, json!(1001));
}

#[tokio::test]
async fn an_instance_of_a_pool_is_replaced_after_so_many_calls() {
    let plugin = load(&pooling(), COUNTER, POOL).await;
    let mut most = 0;
    for _ in 0..250 {
        most = most.max(served(&plugin, "user:self", "home", 1).await.as_u64().unwrap() % 1000);
    }

    assert_eq!(most, u64::from(berth_wasm::limits::instances::POOL_USES));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever calls came before, in a fresh instance and in one made ahead nothing of them is there.
    #[test]
    fn nothing_of_one_call_is_there_in_the_next(
        numbers in proptest::collection::vec(0_u32..20, 1..20),
        is_ahead in any::<bool>(),
        waits in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let manifest = if is_ahead { PREWARM } else { "" };
            let plugin = load(&engine_with(InstancePolicy::default()), COUNTER, manifest).await;
            for number in numbers {
                if is_ahead && waits {
                    plugin.prewarm().await;
                }
                match count(&plugin, number).await {
                    Ok(answer) => assert_eq!(answer, json!(1001)),
                    Err(error) => assert_eq!((number, error.code()), (13, "PLUGIN_TRAP")),
                }
            }
        });
    }
}
