//! Stories of the command line: the real binary against a real host.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod approvals;
mod components;
mod consent;
mod dev;
mod guide;
mod host;
mod json;
mod languages;
mod local;
mod output;
mod packages;
mod plugins;
mod registry;
mod runs;
mod secrets;
mod services;
mod strangers;
mod talk;
mod terminal;
mod words;
