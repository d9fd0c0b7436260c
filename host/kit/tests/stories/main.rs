//! The kit at work: over every bundled plugin, and over stories that must fail.
#![allow(clippy::unwrap_used)]

mod bundled;
mod cassettes;
mod channels;
mod errors;
mod faults;
mod imports;
mod page;
mod reports;
mod support;
