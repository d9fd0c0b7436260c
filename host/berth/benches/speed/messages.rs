//! A message up to its final reply by the scripted model.

use std::sync::{Arc, Mutex};

use berth_model::ThreadId;
use futures::FutureExt;

use super::measure::Way;
use super::report::Report;
use super::world::{self, Disk, World};
use super::{CALLERS, guests};

/// Conversations beside each other, beyond the usual callers.
const MANY: [usize; 2] = [8, 64];
/// Messages of a conversation before the next one begins; longer ones grow slower with what they remember.
const TURNS: usize = 20;

/// An answer in words, and one after a tool call. Each caller has conversations of its own.
pub fn replies(report: &mut Report) {
    let bare = guests::bare_greeter("bench-typed");
    let (disk, memory) = (World::start(Disk::Real), World::start(Disk::Memory));
    for callers in CALLERS {
        let ways = [
            Way::on_threads("typed call: wasmtime alone", || guests::greet(&bare).boxed_local()),
            reply("message to reply, SQLite in memory", &memory, "/say done"),
            reply("message to reply, SQLite on disk", &disk, "/say done"),
            reply("message, tool call, reply, SQLite on disk", &disk, CALL),
        ];
        report.compare(callers, &ways);
    }
    for callers in MANY {
        report.compare(
            callers,
            &[
                reply("message to reply, SQLite on disk", &disk, "/say done"),
                reply("message, tool call, reply, SQLite on disk", &disk, CALL),
            ],
        );
    }
    disk.stop();
    memory.stop();
}

const CALL: &str = "/call bench_typed_run {\"name\": \"berth\"}";

/// The thread that a caller is in, and how many messages are still to come there.
type Place = Arc<Mutex<Option<(ThreadId, usize)>>>;

fn reply<'a>(name: &str, world: &'a World, text: &'static str) -> Way<'a> {
    let core = world.core.clone();
    let most = MANY.into_iter().max().unwrap_or_default();
    let places: Arc<Vec<Place>> = Arc::new((0..most).map(|_| Place::default()).collect());
    Way::in_tasks(name, &world.runtime, move |caller| {
        let (core, place) = (core.clone(), places[caller].clone());
        async move {
            let here = place.lock().unwrap().take().filter(|(_, left)| *left > 0);
            let (thread, left) = match here {
                Some(here) => here,
                None => (world::thread(&core).await, TURNS),
            };
            world::say(&core, thread, text).await;
            *place.lock().unwrap() = Some((thread, left - 1));
        }
        .boxed()
    })
}
