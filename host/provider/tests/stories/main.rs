//! A provider as a Core meets it: a real hub over a loopback socket, and a Core that says whatever a story wants.

#![allow(clippy::unwrap_used)]

mod codes;
mod device;
mod hostile;
mod hub;
mod life;
mod log;
mod puppet;
#[path = "../../../hub/tests/stories/support.rs"]
#[allow(dead_code, reason = "the hub's own stories need more of it")]
mod support;
