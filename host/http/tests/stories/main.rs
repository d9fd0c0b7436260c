//! The facade as its clients meet it: a real router over a real database, with the scripted model.
//!
//! A number in the name of a story is the number of the behaviour in MeetYou V4's HTTP facade that it shows.

#![allow(clippy::unwrap_used)]

mod access;
mod approvals;
mod bad_input;
mod contract;
mod events;
mod generations;
mod health;
mod messages;
mod openapi;
mod operations;
mod page;
mod plugins;
mod safe;
mod secrets;
mod serving;
mod sessions;
mod shelf;
mod support;
mod threads;
