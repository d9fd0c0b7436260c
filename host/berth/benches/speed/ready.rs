//! Instances that are there before their call, and those that are used again.

use std::sync::Mutex;

use berth_wasm::call::ready::InstancePolicy;
use futures::FutureExt;

use super::bare::Made;
use super::guests::{self, Greeting};
use super::measure::Way;
use super::plugins;
use super::report::{Aim, Report};

/// Fresh, made ahead of the call (making it does not count), and used again after a call.
pub fn prewarmed_and_pooled(report: &mut Report) {
    let bare = guests::bare_greeter("bench-typed");
    let instances = InstancePolicy { pool: true, ..InstancePolicy::default() };
    let plugin = |mode: &str| {
        let wish = format!("[limits]\ninstances = \"{mode}\"\n");
        let config = berth_wasm::EngineConfig { instances, ..plugins::server() };
        plugins::greeter("bench-typed", &wish, config)
    };
    let (fresh, prewarmed, pooled) = (plugin("fresh"), plugin("prewarm"), plugin("pool"));
    let made: Mutex<Vec<Made<(&str,), Greeting>>> = Mutex::default();
    let kept: Mutex<Vec<Made<(&str,), Greeting>>> = Mutex::default();
    let ways = [
        Way::on_threads("fresh: wasmtime alone", || guests::greet(&bare).boxed_local()),
        Way::on_threads("fresh: berth's engine", || plugins::greet(&fresh).boxed_local()),
        Way::after(
            "made ahead: wasmtime alone",
            || bare.made().map(|one| made.lock().unwrap().push(one)).boxed_local(),
            || greet(made.lock().unwrap().pop().unwrap()).map(drop).boxed_local(),
        ),
        Way::after(
            "made ahead: berth's engine",
            || {
                async {
                    // The task that clears the used one away has its turn, as it has in a host.
                    tokio::task::yield_now().await;
                    prewarmed.prewarm().await;
                }
                .boxed_local()
            },
            || plugins::greet(&prewarmed).boxed_local(),
        ),
        Way::on_threads("used again: wasmtime alone", || {
            async {
                let at_rest = kept.lock().unwrap().pop();
                let made = match at_rest {
                    Some(made) => made,
                    None => bare.made().await,
                };
                let made = greet(made).await;
                kept.lock().unwrap().push(made);
            }
            .boxed_local()
        }),
        Way::on_threads("used again: berth's engine", || plugins::greet(&pooled).boxed_local()),
    ];
    let figures = report.compare(1, &ways);
    let against_ours = figures[3].p50 / figures[1].p50;
    report.aim("instance made ahead, against a fresh call of ours", against_ours, "×", Aim::AtMost(0.4));
    let against_bare = figures[3].times_p50;
    report.aim("instance made ahead, against the bare fresh call", against_bare, "×", Aim::AtMost(0.4));
}

async fn greet(mut made: Made<(&'static str,), Greeting>) -> Made<(&'static str,), Greeting> {
    assert_eq!(made.call(("berth",)).await.0.unwrap(), "hello berth");
    made
}
