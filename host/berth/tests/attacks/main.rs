//! Attacks on a running host: each ends as it should, and the other plugins answer during and after it.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod arena;
mod compute;
mod described;
mod files;
mod floods;
mod machine;
mod mixed;
mod packages;
mod raw;
