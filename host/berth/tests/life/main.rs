//! Stories of a host's life: how it starts, what a crash leaves, what hostile guests and a full disk do to it.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod api;
mod channel;
mod compile;
mod crash;
mod databases;
mod defaults;
mod device;
mod disk_full;
mod hostile;
mod plugins;
mod points;
mod polls;
mod programs;
mod resume;
mod starts;
mod tour;
mod upgrade;
mod waiting;
