//! The endpoint socket as clients meet it, over a real loopback socket.
//!
//! The numbers in the names of stories are those of the conformance vectors of MeetYou V4's gateway, as far as a story
//! is one of them.

#![allow(clippy::unwrap_used)]

mod connecting;
mod deliveries;
mod endpoints;
mod frames;
mod subscriptions;
mod support;
mod tools;
