//! The parts of the bench, and what they share.

pub mod bare;
pub mod drift;
pub mod endpoint;
pub mod files;
pub mod fresh;
pub mod grants;
pub mod guests;
pub mod host;
pub mod kill;
pub mod load;
pub mod machine;
pub mod mcp;
pub mod measure;
pub mod messages;
pub mod outbound;
pub mod plugins;
pub mod ready;
pub mod report;
pub mod router;
pub mod start;
pub mod threads;
pub mod world;

use report::Report;

/// Callers beside each other.
const CALLERS: [usize; 3] = [1, 2, 4];

/// A part by its name.
pub type Part = (&'static str, fn(&mut Report));

/// In the order in which they run: what is short and quiet first.
pub const PARTS: [Part; 18] = [
    ("machine", machine::facts),
    ("typed", fresh::typed),
    ("dynamic", fresh::dynamic),
    ("foreign", fresh::foreign),
    ("ready", ready::prewarmed_and_pooled),
    ("threads", threads::rates),
    ("files", files::read),
    ("grants", grants::checks),
    ("outbound", outbound::decisions),
    ("kill", kill::loops),
    ("load", load::cached),
    ("router", router::operations),
    ("endpoint", endpoint::round_trips),
    ("messages", messages::replies),
    ("mcp", mcp::echo),
    ("drift", drift::memory),
    ("start", start::starts),
    ("aims", report::aims),
];
