//! Whether memory grows with the number of calls that were made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use berth_core::operations::Ask;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

use super::plugins;
use super::report::{Aim, Report};
use super::world::{self, Disk, World};

/// Calls whose memory is looked at.
const CALLS: usize = 100_000;
/// Calls before that: caches fill up, threads start.
const FIRST: usize = 20_000;
/// Callers at once.
const CALLERS: usize = 4;

/// 100 000 calls of the engine, and as many through the whole ToolRouter.
pub fn memory(report: &mut Report) {
    let (first, calls) = report.effort.of((FIRST, CALLS), (20, 40));
    report.head(&["calls", "number", "RSS MiB before", "after", "grown by KiB"]);
    let mut row = |what: &str, runtime: &Runtime, call: Call| {
        made(runtime, &call, first);
        let before = resident_kib();
        made(runtime, &call, calls);
        let after = resident_kib();
        let grown = after - before;
        let mib = |kib: f64| format!("{:.1}", kib / 1024.0);
        report.row(&[what.to_owned(), calls.to_string(), mib(before), mib(after), format!("{grown:.0}")]);
        report.aim(&format!("memory after {calls} calls more: {what}"), grown, "KiB", Aim::AtMost(2048.0));
    };

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let plugin = plugins::greeter("bench-typed", "", plugins::server());
    row(
        "berth's engine",
        &runtime,
        Arc::new(move || {
            let plugin = plugin.clone();
            async move { plugins::greet(&plugin).await }.boxed()
        }),
    );
    let world = World::start(Disk::Memory);
    let core = world.core.clone();
    row(
        "ToolRouter, SQLite in memory",
        &world.runtime,
        Arc::new(move || {
            let core = core.clone();
            async move {
                let ask = Ask::of_owner("bench_typed_run", plugins::name(), world::personal());
                assert_eq!(core.operate(ask).await.unwrap().outcome.unwrap().content, "hello berth");
            }
            .boxed()
        }),
    );
    world.stop();
}

type Call = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// So many calls, by a few callers.
fn made(runtime: &Runtime, call: &Call, calls: usize) {
    let left = Arc::new(AtomicUsize::new(calls));
    let callers = (0..CALLERS).map(|_| {
        let (call, left) = (call.clone(), left.clone());
        runtime.spawn(async move {
            let one_less = |left: usize| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                call().await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        runtime.block_on(caller).unwrap();
    }
}

/// Memory of this program.
fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or(f64::NAN)
}
