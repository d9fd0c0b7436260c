//! Language models behind core's port: one file per provider dialect.
//!
//! A new provider is one more module that implements [`berth_core::port::model::Model`] and one more arm where the
//! binary reads `[model] provider`.

pub mod openai;
pub mod scripted;
pub mod secret;

pub use openai::OpenAi;
pub use scripted::Scripted;
pub use secret::ApiKey;
