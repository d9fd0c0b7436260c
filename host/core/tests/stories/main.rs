//! Core told as stories: a real database, a model and plugins that do as they are told.

#![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

mod calls;
mod channels;
mod devices;
mod harness;
mod messages;
mod parking;
mod restart;
mod routing;
mod waiting;
