//! Calls per second: so many callers, on one thread and on four.

use std::sync::Arc;

use futures::FutureExt;
use tokio::runtime::Runtime;

use super::measure::Way;
use super::report::{Aim, Report};
use super::{guests, plugins};

/// Callers at once.
const CALLERS: [usize; 3] = [1, 8, 64];
/// Threads of the runtime.
const THREADS: [usize; 2] = [1, 4];

/// The bare engine and ours, as tasks of a runtime.
pub fn rates(report: &mut Report) {
    let bare = Arc::new(guests::bare_greeter("bench-typed"));
    let plugin = plugins::greeter("bench-typed", "", plugins::crowded());
    let mut best = [0.0_f64; 2];
    for (threads, best) in THREADS.into_iter().zip(&mut best) {
        let runtime = runtime(threads);
        for callers in CALLERS {
            let (alone, ours) = (bare.clone(), plugin.clone());
            let name = |what: &str| format!("{what}, threads: {threads}");
            let ways = [
                Way::in_tasks(&name("wasmtime alone"), &runtime, move |_| {
                    let bare = alone.clone();
                    async move { guests::greet(&bare).await }.boxed()
                }),
                Way::in_tasks(&name("berth's engine"), &runtime, move |_| {
                    let plugin = ours.clone();
                    async move { plugins::greet(&plugin).await }.boxed()
                }),
            ];
            *best = best.max(report.compare(callers, &ways)[1].per_second);
        }
    }
    report.aim("calls a second on 4 threads, against one", best[1] / best[0], "×", Aim::AtLeast(2.5));
}

fn runtime(threads: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}
