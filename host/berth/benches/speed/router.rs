//! A tool call through the whole ToolRouter: gate, operation row, run events.

use berth_core::operations::Ask;
use berth_core::port::store::EventScope;
use berth_model::RunId;
use futures::FutureExt;
use serde_json::json;

use super::measure::Way;
use super::report::{Aim, Report};
use super::world::{self, Disk, World};
use super::{CALLERS, guests};

/// The greeter, called as the owner and on behalf of a run.
pub fn operations(report: &mut Report) {
    let bare = guests::bare_greeter("bench-typed");
    let (disk, memory) = (World::start(Disk::Real), World::start(Disk::Memory));
    let run = disk.runtime.block_on(run_at_work(&disk));
    for callers in CALLERS {
        let ways = [
            Way::on_threads("typed call: wasmtime alone", || guests::greet(&bare).boxed_local()),
            operation("ToolRouter, SQLite in memory", &memory, None),
            operation("ToolRouter, SQLite on disk", &disk, None),
            operation("ToolRouter and events of a run, SQLite on disk", &disk, Some(run)),
        ];
        let figures = report.compare(callers, &ways);
        if callers == 1 {
            for (place, own) in ["in memory", "on disk"].into_iter().zip(&figures[1..]) {
                let what = format!("the whole ToolRouter, SQLite {place}, more than the bare call");
                report.aim(&what, own.p50 - figures[0].p50, "µs", Aim::AtMost(200.0));
            }
        }
    }
    drop((disk, memory));
}

fn operation<'a>(name: &str, world: &'a World, run: Option<RunId>) -> Way<'a> {
    let core = world.core.clone();
    Way::in_tasks(&format!("typed call: {name}"), &world.runtime, move |_| {
        let core = core.clone();
        async move {
            let mut ask = Ask::of_owner("bench_typed_run", json!({ "name": "berth" }), world::personal());
            ask.run = run;
            let finished = core.operate(ask).await.unwrap();
            assert_eq!(finished.outcome.unwrap().content, "hello berth");
        }
        .boxed()
    })
}

/// A run whose model takes its time, so that calls on its behalf are told among its events.
async fn run_at_work(world: &World) -> RunId {
    let core = &world.core;
    let thread = world::thread(core).await;
    let mut events = core.subscribe(EventScope::Thread(thread), None).await.unwrap();
    let slowly = vec!["word"; 60].join(" ");
    let run = world::post(core, thread, &format!("/slow 60000\n/say {slowly}")).await;
    while events.next().await.unwrap().unwrap().event().kind.as_str() != "model.started" {}
    run
}
