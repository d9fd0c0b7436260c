//! The clock that lets running guests be stopped.

use std::io;
use std::time::Duration;

use wasmtime::Engine;

/// Starts the clock of `engine` on a thread of its own, so that a blocked runtime cannot stop it.
///
/// The thread holds the engine weakly and ends with it.
pub fn spawn(engine: &Engine, every: Duration) -> io::Result<()> {
    let weak = engine.weak();
    std::thread::Builder::new().name("berth-epoch".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(every);
            match weak.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => break,
            }
        }
    })?;
    Ok(())
}
