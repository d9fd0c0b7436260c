//! What a berth plugin is written with.
//!
//! A *typed tool* is a WIT interface and a plain function for each of its functions ([`export_typed!`]). A *dynamic
//! tool* describes its tools when the host asks ([`Tool`], [`export_tool!`]). What the host offers stands in the
//! modules [`call`], [`progress`], [`capabilities`], [`endpoints`] and [`clock`].
//!
//! On any target that is not WebAssembly the host is a fake that a test can script ([`testing`]), so the logic of a
//! plugin is tested as plain Rust. On WebAssembly the crate brings an allocator that starts inside the memory a fresh
//! instance has, and a panic says what happened on standard error before it ends the call.

pub mod call;
pub mod capabilities;
pub mod clock;
pub mod endpoints;
pub mod progress;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

#[doc(hidden)]
pub mod bindings;
mod error;
mod export;
#[cfg(any(target_arch = "wasm32", test))]
mod heap;
#[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
mod panics;
mod tool;

pub use bindings::berth::plugin::types::Error;
pub use serde_json::{Value, json};
pub use tool::{Tool, ToolError, ToolSpec};

/// What the macros of this crate expand to; not for authors.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::exports::berth::plugin::tools;
    pub use crate::tool::{describe, invoke};
    pub use wit_bindgen::{generate, rt};
}
