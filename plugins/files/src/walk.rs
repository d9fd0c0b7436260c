//! Walks through a folder and all below it, in the order of names, within the time of the call. Links are not followed.

use std::time::Duration;

use berth_plugin::call;

use crate::Kind;
use crate::list;
use crate::place::Place;

/// A walk stops so long before the host would end the call.
const RESERVE: Duration = Duration::from_millis(300);

/// Whether there is no time for another step.
pub fn is_late() -> bool {
    call::cancelled() || call::remaining() < RESERVE
}

/// Something on the way.
pub struct Step {
    pub place: Place,
    pub kind: Kind,
    /// How deep it lies; what is in the folder itself has 0.
    pub depth: u32,
}

/// The entries of a folder and of those below it.
pub struct Walk {
    /// The next one is the last.
    pending: Vec<Step>,
}

impl Walk {
    /// Begins with the entries of `folder`.
    pub fn new(folder: &Place) -> std::io::Result<Self> {
        let mut walk = Self { pending: Vec::new() };
        walk.add(folder, 0)?;
        Ok(walk)
    }

    /// The next entry; `None` at the end. A folder is gone into only by [`Walk::enter`].
    pub fn step(&mut self) -> Option<Step> {
        self.pending.pop()
    }

    /// Goes into the folder that the last step came to; one that cannot be read is passed over.
    pub fn enter(&mut self, folder: &Step) -> bool {
        self.add(&folder.place, folder.depth + 1).is_ok()
    }

    fn add(&mut self, folder: &Place, depth: u32) -> std::io::Result<()> {
        let entries = list::names(folder)?.into_iter().rev();
        self.pending.extend(entries.map(|(name, kind)| Step { place: folder.join(&name), kind, depth }));
        Ok(())
    }
}
