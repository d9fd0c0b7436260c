//! The edge provider: a machine's folders, and a few plain tools, as capabilities of a Core.
//!
//! Paths are `ROOT/rest`, where the operator has named the root. Every access goes through a directory handle of that
//! root (cap-std), so neither `..` nor a symbolic link leads out of it, whatever happens on the disk meanwhile.
//! A new tool is one function in a file of its subject and one line in [`fn@tools`].

pub mod config;
pub mod list;
pub mod plain;
pub mod read;
pub mod roots;
pub mod tools;
pub mod write;

pub use config::Config;
pub use roots::{Access, Limits, Roots};
pub use tools::tools;
