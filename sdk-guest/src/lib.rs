//! What a berth plugin is written with.
//!
//! A *typed tool* is a WIT interface and a plain function for each of its functions ([`export_typed!`]). A *dynamic
//! tool* describes its tools when the host asks ([`export_tools!`], or [`Tool`] with [`export_tool!`] when even their
//! number is not known before). What the host offers stands in the modules [`call`], [`progress`], [`capabilities`],
//! [`endpoints`], [`http`], [`keyvalue`], [`secrets`], [`mod@process`], [`approval`], [`config`], [`log`] and [`clock`].
//!
//! On any target that is not WebAssembly the host is a fake that a test can script ([`testing`]), so the logic of a
//! plugin is tested as plain Rust. On WebAssembly without the C library of WASI 0.2 the crate brings an allocator that
//! starts inside the memory a fresh instance has (that library's own does so when the linker leaves room), and a panic
//! says what happened on standard error before it ends the call. The host tells those words as the failure of the call.

#![warn(missing_docs)]

pub mod approval;
pub mod call;
pub mod capabilities;
pub mod channel;
pub mod clock;
pub mod config;
pub mod endpoints;
pub mod http;
pub mod keyvalue;
pub mod log;
pub mod process;
pub mod progress;
pub mod secrets;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

mod argument;
#[doc(hidden)]
pub mod bindings;
mod error;
mod export;
// The C library of WASI 0.2 frees what the host hands over, so there its heap is the only one: a second one for Rust
// would get and give blocks that the other does not know.
#[cfg(any(all(target_arch = "wasm32", not(target_env = "p2")), test))]
mod heap;
#[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
mod panics;
mod tool;

// What the derived code names is the crate from outside.
#[cfg(test)]
extern crate self as berth_plugin;

pub use argument::{Argument, Mismatch};
pub use berth_plugin_derive::Argument;
pub use bindings::berth::plugin::types::Error;
pub use serde_json::{Value, json};
pub use tool::{Tool, ToolError, ToolSpec};

/// What the macros of this crate expand to; not for authors.
#[doc(hidden)]
pub mod __private {
    pub use crate::argument::{Property, Taken, no_word, object, property, word};
    pub use crate::bindings::exports::berth::plugin::tools;
    pub use crate::tool::{describe, invoke, spec, taken};
    pub use wit_bindgen::{generate, rt};
}
