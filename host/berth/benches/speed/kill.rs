//! How long a guest that loops goes on after it was to end.

use std::time::{Duration, Instant};

use berth_wasm::wit::v0_1::{Output, Request, WitError};
use berth_wasm::{LoadedPlugin, ToolInvocation};
use serde_json::json;

use super::bare::Bare;
use super::measure::median;
use super::report::{Aim, Report};
use super::{guests, plugins};

/// The limit that the guest runs into.
const LIMIT: Duration = Duration::from_millis(60);
/// The time that a cancelled guest has to return by itself.
const GRACE: Duration = Duration::from_secs(1);

/// At its time-out, at its limit of CPU time, when it is cancelled, when nobody waits any more.
pub fn loops(report: &mut Report) {
    let (many, few) = report.effort.of((20, 5), (1, 1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let component = guests::fixture("spin");
    let bare: &'static Bare =
        Box::leak(Box::new(Bare::stoppable(&component, "berth:plugin/tools@0.1.0", "invoke")));
    let plugin = |limits: &str| {
        let manifest = format!("{}[limits]\n{limits}\n", plugins::minimal("spin"));
        plugins::load(guests::fixture("spin"), &manifest, plugins::server())
    };
    let millis = LIMIT.as_millis();
    let by_wall = plugin(&format!("timeout_ms = {millis}\ncpu_ms = 9000"));
    let by_cpu = plugin(&format!("timeout_ms = 9000\ncpu_ms = {millis}"));
    let endless = plugin("timeout_ms = 9000\ncpu_ms = 9000");

    report.head(&["a loop is ended", "times", "late by p50 ms", "most ms"]);
    let mut row = |what: &str, times: usize, one: &dyn Fn() -> Duration| {
        let late: Vec<f64> = (0..times).map(|_| one().as_secs_f64() * 1000.0).collect();
        let most = late.iter().copied().fold(0.0, f64::max);
        let middle = median(late.into_iter());
        report.row(&[what.to_owned(), times.to_string(), format!("{middle:.1}"), format!("{most:.1}")]);
        middle
    };
    row("at a time-out: wasmtime alone", many, &|| {
        let begin = Instant::now();
        let ended = runtime.block_on(async {
            tokio::spawn(async { tokio::time::timeout(LIMIT, spin(bare)).await.is_err() }).await
        });
        assert!(ended.unwrap());
        begin.elapsed().saturating_sub(LIMIT)
    });
    let wall = row("at its time-out: berth's engine", many, &|| late(&runtime, &by_wall, "PLUGIN_TIMEOUT"));
    row("at its limit of CPU time: berth's engine", many, &|| late(&runtime, &by_cpu, "PLUGIN_CPU_LIMIT"));
    row("when nobody waits any more: berth's engine", many, &|| runtime.block_on(dropped(&endless)));
    row("when it is cancelled, after its second of grace: berth's engine", few, &|| {
        runtime.block_on(cancelled(&endless)).saturating_sub(GRACE)
    });
    report.aim("a loop goes on after its time-out", wall, "ms", Aim::AtMost(25.0));
}

async fn spin(bare: &Bare) {
    let request = Request { name: "spin".to_owned(), arguments: "{}".to_owned(), meta: Vec::new() };
    let (_,) = bare.call::<_, (Result<Output, WitError>,)>((request,)).await;
}

fn late(runtime: &tokio::runtime::Runtime, plugin: &LoadedPlugin, code: &'static str) -> Duration {
    let begin = Instant::now();
    let plugin = plugin.clone();
    let call = async move { plugin.call(invocation()).await.unwrap_err().code().to_owned() };
    assert_eq!(runtime.block_on(async { tokio::spawn(call).await.unwrap() }), code);
    begin.elapsed().saturating_sub(LIMIT)
}

async fn dropped(plugin: &LoadedPlugin) -> Duration {
    let called = plugin.clone();
    let call = tokio::spawn(async move { called.call(invocation()).await.is_ok() });
    tokio::time::sleep(LIMIT).await;
    let begin = Instant::now();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    begin.elapsed()
}

async fn cancelled(plugin: &LoadedPlugin) -> Duration {
    let (called, invocation) = (plugin.clone(), invocation());
    let cancel = invocation.cancel.clone();
    let call = tokio::spawn(async move { called.call(invocation).await.unwrap_err().code().to_owned() });
    tokio::time::sleep(LIMIT).await;
    let begin = Instant::now();
    cancel.cancel();
    assert_eq!(call.await.unwrap(), "PLUGIN_CANCELLED");
    begin.elapsed()
}

fn invocation() -> ToolInvocation {
    ToolInvocation::new("spin", json!({}), plugins::context())
}
