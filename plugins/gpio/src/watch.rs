//! Waits for a level by asking again and again: boards do not call back.

use std::time::Duration;

use berth_plugin::{call, clock};

use crate::{Error, Watched};

const USUAL_MS: u32 = 10_000;
const MOST_MS: u32 = 60_000;
const PAUSE_MS: u32 = 250;
/// Left for the last question and the answer.
const RESERVE: Duration = Duration::from_millis(500);

/// Asks until the level is `until`, or another than at first, or time is up.
pub fn watch(
    until: Option<bool>,
    timeout_ms: Option<u32>,
    mut read: impl FnMut() -> Result<bool, Error>,
) -> Result<Watched, Error> {
    let timeout_ms = timeout_ms.unwrap_or(USUAL_MS).min(MOST_MS);
    let mut value = read()?;
    let awaited = until.unwrap_or(!value);
    let mut waited_ms = 0;
    while value != awaited && waited_ms < timeout_ms {
        let pause = PAUSE_MS.min(timeout_ms - waited_ms);
        if call::cancelled() || call::remaining() < RESERVE + Duration::from_millis(pause.into()) {
            break;
        }
        clock::wait(Duration::from_millis(pause.into()));
        waited_ms += pause;
        value = read()?;
    }
    Ok(Watched { happened: value == awaited, value, waited_ms })
}
