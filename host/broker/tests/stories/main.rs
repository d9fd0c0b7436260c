//! What the broker lets out, told against a resolver, a dialer and servers of our own. Nothing here dials beyond loopback.
#![allow(clippy::unwrap_used)]

mod bodies;
mod connect;
mod errors;
mod limits;
mod net;
mod redirects;
mod requests;
mod secrets;
mod server;
