//! Finds what was written to, by the times of the files: nothing has to watch them.

use std::fs;
use std::time::UNIX_EPOCH;

use crate::failure::{Access, io_failure};
use crate::place::Place;
use crate::walk::{self, Walk};
use crate::{Change, Changes, Error, Kind};

const USUAL_FILES: u32 = 100;
const MOST_FILES: u32 = 1000;

pub fn changed(path: &str, since_ms: u64, limit: Option<u32>) -> Result<Changes, Error> {
    let place = Place::new(path)?;
    let limit = limit.unwrap_or(USUAL_FILES).min(MOST_FILES) as usize;
    let mut walk = Walk::new(&place).map_err(|error| io_failure(Access::Read, &place, &error))?;
    let mut changes = Changes { files: Vec::new(), truncated: false, seen_ms: since_ms };
    while let Some(step) = walk.step() {
        if walk::is_late() {
            changes.truncated = true;
            break;
        }
        match step.kind {
            Kind::Folder => {
                walk.enter(&step);
            }
            Kind::File => {
                // A file that went away meanwhile is none.
                let Ok(metadata) = fs::metadata(&step.place.real) else { continue };
                let since_epoch =
                    metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let changed_ms =
                    since_epoch.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                if changed_ms > since_ms {
                    changes.seen_ms = changes.seen_ms.max(changed_ms);
                    changes.files.push(Change { path: step.place.path, changed_ms, size: metadata.len() });
                }
            }
            Kind::Link | Kind::Other => {}
        }
    }
    changes.files.sort_by(|a, b| b.changed_ms.cmp(&a.changed_ms).then_with(|| a.path.cmp(&b.path)));
    changes.truncated |= changes.files.len() > limit;
    changes.files.truncate(limit);
    Ok(changes)
}
