//! The Raspberry Pi provider: pins, the devices on them, and facts about the board, as capabilities of a Core.
//!
//! The operator's allow-list decides which pins exist. Every output that was touched goes back to its safe level when
//! the provider ends, and a pulse ends off however its call ends. A new backend is one implementation of
//! [`GpioBackend`]; a new tool is one function in the file of its subject and one line in [`fn@tools`].
//! Source: MeetYou V4, Raspberry Pi provider.

pub mod argument;
pub mod board;
pub mod config;
mod config_keys;
pub mod device;
pub mod device_tools;
pub mod gpio;
pub mod info;
pub mod pin_tools;
pub mod shell;
pub mod shell_words;
pub mod tools;

pub use board::Board;
pub use config::Config;
pub use gpio::{GpioBackend, GpioError, Pull, SimulatedGpio};
pub use tools::tools;
