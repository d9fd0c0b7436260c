//! Values of WIT types as JSON, and back.
//!
//! [`Shape`] is what both sides know of a type. It is read from WIT at install, where it carries the doc comments
//! and yields the JSON Schema, and from the compiled component at load, where it drives the conversions.

pub mod decode;
pub mod encode;
pub mod schema;
pub mod shape;

pub use decode::{BadValue, Decoder};
pub use encode::{EncodeError, Encoder};
pub use shape::{Field, FunctionShape, Int, Shape, Unsupported};

#[cfg(test)]
mod tests;
