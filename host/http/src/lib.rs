//! The HTTP facade: `/runtime/*`, `/operator/*`, `/health` and `/openapi.json`.
//!
//! A route reads the request, calls one use case of core and writes its answer; nothing is decided here. Every failure
//! leaves in one envelope, and [`error`] is the one place that says which status a failure has.
//!
//! A new resource is one more file in `route/`, merged in [`router()`]; its handlers are described by `utoipa` where they
//! stand, so `/openapi.json` cannot forget one. Source: MeetYou V4, HTTP facade.
//!
//! **Invariant:** this crate knows no database, no plugin engine and no socket of a provider; of the hub it takes who may
//! connect, and nothing else.

pub mod admin;
pub mod channels;
pub mod config;
pub mod diff;
pub mod error;
mod event_view;
mod extract;
mod layer;
mod openapi;
mod route;
mod router;
pub mod secrets;
mod serve;
mod state;
mod streams;
pub mod token;

pub use admin::{
    AdminError, Installed, NewGrant, PackageAt, Pinned, PluginAdmin, PluginHealth, PluginLogLine,
    PluginRemoved, PluginUsage, PluginView, Suggestion, Upgraded, Wish,
};
pub use channels::{AdmittedHook, ChannelDoor, ChannelView, HookAnswer, HookError, HookRequest, PollView};
pub use config::{BodyLimits, BuildInfo, HttpConfig};
pub use diff::{CapabilityDiff, DiffEntry, Extent, PublisherChange};
pub use router::router;
pub use secrets::{NewSecret, SecretAdmin, SecretView, Which};
pub use serve::{ServeConfig, serve};
pub use state::HttpState;
pub use token::AccessToken;
