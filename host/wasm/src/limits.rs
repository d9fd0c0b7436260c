//! What plugins may use at most: defaults, the ceilings of wishes, and what the operator sets instead.
//!
//! To add a limit of a call: its constants and its line in `limits!`, its key in `manifest/file.rs`, the place that
//! enforces it, and a guest that trips it in `tests/limits.rs`.

pub mod compile;
pub mod component;
pub mod instances;

use std::num::NonZeroU64;
use std::time::Duration;

use serde::Deserialize;

/// Linear memory of all core instances of one call together.
pub const MEMORY_BYTES: usize = 64 << 20;
/// Guest time of one call, counted in ticks of the epoch clock.
pub const CPU: Duration = Duration::from_secs(2);
/// Time of the whole call, instantiation and waits included.
pub const WALL: Duration = Duration::from_secs(30);
/// Bytes that one crossing may carry from the guest to the host.
pub const HOSTCALL_BYTES: usize = 8 << 20;
/// Handles of resources that a call may hold.
pub const HANDLES: usize = 4096;
/// Elements of one table.
pub const TABLE_ELEMENTS: usize = 20_000;
/// Core instances of one component; a Python guest has about 40.
pub const CORE_INSTANCES: usize = 64;
/// Tables of one component.
pub const TABLES: usize = 64;
/// Memories of one component.
pub const MEMORIES: usize = 8;
/// Stack of the guest.
pub const STACK_BYTES: usize = 512 << 10;
/// Stack of the host functions that a guest calls.
pub const HOST_STACK_BYTES: usize = 512 << 10;
/// The JSON text of an answer.
pub const OUTPUT_BYTES: usize = 1 << 20;
/// The texts in the arguments of a call, together.
pub const INPUT_BYTES: usize = 4 << 20;
/// Values in the arguments or the answer of one call.
pub const VALUES: usize = 200_000;
/// Lines of standard output and error that are kept of one call.
pub const LOG_LINES: usize = 256;
/// The longest kept line.
pub const LOG_LINE_BYTES: usize = 4096;
/// What one call may write into the granted folders.
pub const WRITTEN_BYTES: u64 = 256 << 20;
/// Files, folders and links that one call may make in the granted folders.
pub const CREATED_FILES: u64 = 1000;
/// The largest random block that a guest gets at once.
pub const RANDOM_BYTES: u64 = 1 << 20;
/// Calls of one plugin beside each other.
pub const CALLS_PER_PLUGIN: usize = 8;
/// Calls of all plugins beside each other.
pub const CALLS_PER_HOST: usize = 64;
/// Memory that all running calls together may grow to.
pub const MEMORY_PER_HOST: u64 = 4 << 30;
/// The file of a component.
pub const COMPONENT_BYTES: usize = 32 << 20;
/// The largest file that an operator can allow; more is never read.
pub const MAX_COMPONENT_BYTES: usize = 256 << 20;
/// How long the calls of a replaced generation may still take.
pub const DRAIN: Duration = Duration::from_secs(30);
/// How long a cancelled guest may take to return.
pub const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// A quantity that files give as a whole number above 0.
trait Quantity {
    fn read(number: NonZeroU64) -> Self;
    fn number(&self) -> u64;
}

impl Quantity for usize {
    fn read(number: NonZeroU64) -> Self {
        Self::try_from(number.get()).unwrap_or(Self::MAX)
    }

    fn number(&self) -> u64 {
        *self as u64
    }
}

impl Quantity for u64 {
    fn read(number: NonZeroU64) -> Self {
        number.get()
    }

    fn number(&self) -> u64 {
        *self
    }
}

/// In milliseconds.
impl Quantity for Duration {
    fn read(number: NonZeroU64) -> Self {
        Self::from_millis(number.get())
    }

    fn number(&self) -> u64 {
        u64::try_from(self.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A limit as manifests and `berth.toml` name it.
pub struct Key {
    pub name: &'static str,
    pub about: &'static str,
    /// As the files spell it: bytes, milliseconds or a count.
    pub value: fn(&Limits) -> u64,
    pub wish: fn(&Wishes) -> Option<u64>,
}

macro_rules! limits {
    ($($name:literal $field:ident: $type:ty, $about:literal, $default:expr, most $most:expr;)*) => {
        /// The limits of the calls of one plugin: its wishes, cut to the operator's ceilings.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $about] pub $field: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Limits {
            /// The highest limits that a manifest gets when the operator sets none.
            pub fn ceilings() -> Self {
                Self { $($field: $most,)* }
            }

            /// Each limit, or the ceiling where that is lower.
            #[must_use]
            pub fn clamped(&self, ceilings: &Self) -> Self {
                Self { $($field: self.$field.min(ceilings.$field),)* }
            }
        }

        /// Limits that somebody names: a manifest that wishes, an operator who sets. The rest stays as it is.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Wishes {
            $(#[serde(rename = $name)] pub $field: Option<NonZeroU64>,)*
        }

        impl Wishes {
            /// The limits with what is named here in their place.
            #[must_use]
            pub fn over(&self, base: &Limits) -> Limits {
                Limits { $($field: self.$field.map_or(base.$field, Quantity::read),)* }
            }
        }

        /// Every limit that can be named, in the order of the files.
        pub const KEYS: &[Key] = &[$(Key {
            name: $name,
            about: $about,
            value: |limits| limits.$field.number(),
            wish: |wishes| wishes.$field.map(NonZeroU64::get),
        },)*];
    };
}

limits! {
    "memory_bytes" memory_bytes: usize, "memory of one call", MEMORY_BYTES, most 256 << 20;
    "cpu_ms" cpu: Duration, "computing time of one call", CPU, most Duration::from_secs(60);
    "timeout_ms" wall: Duration, "whole time of one call, waits included", WALL, most Duration::from_secs(600);
    "output_bytes" output_bytes: usize, "JSON text of the answer", OUTPUT_BYTES, most 4 << 20;
    "hostcall_bytes" hostcall_bytes: usize, "data of one crossing to the host", HOSTCALL_BYTES, most 64 << 20;
    "handles" handles: usize, "handles of resources at once", HANDLES, most 65_536;
    "table_elements" table_elements: usize, "elements of one table", TABLE_ELEMENTS, most 100_000;
    "core_instances" core_instances: usize, "core instances of the component", CORE_INSTANCES, most 128;
    "log_lines" log_lines: usize, "kept lines of the log of one call", LOG_LINES, most 4096;
    "log_line_bytes" log_line_bytes: usize, "longest kept line", LOG_LINE_BYTES, most 64 << 10;
    "written_bytes" written_bytes: u64, "bytes that one call writes into folders", WRITTEN_BYTES, most 4 << 30;
    "created_files" created_files: u64, "files, folders and links that one call makes", CREATED_FILES, most 100_000;
    "random_bytes" random_bytes: u64, "random bytes that a guest gets at once", RANDOM_BYTES, most 8 << 20;
    "concurrent" concurrent_calls: usize, "calls of one plugin at once", CALLS_PER_PLUGIN, most 32;
}

#[cfg(test)]
mod defaults;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_replaces_a_default_and_ends_at_the_ceiling() {
        let wishes: Wishes = toml::from_str("memory_bytes = 1048576\ncpu_ms = 99999999\n").unwrap();

        let limits = wishes.over(&Limits::default()).clamped(&Limits::ceilings());

        assert_eq!(limits.memory_bytes, 1 << 20);
        assert_eq!(limits.cpu, Limits::ceilings().cpu);
        assert_eq!(limits.wall, WALL);
    }

    #[test]
    fn every_key_is_read_and_told_under_its_name() {
        for key in KEYS {
            let wishes: Wishes = toml::from_str(&format!("{} = 7", key.name)).unwrap();

            assert_eq!((key.wish)(&wishes), Some(7), "{}", key.name);
            assert_eq!((key.value)(&wishes.over(&Limits::default())), 7, "{}", key.name);
            assert!((key.value)(&Limits::default()) <= (key.value)(&Limits::ceilings()), "{}", key.name);
        }
    }

    #[test]
    fn nothing_and_what_nobody_knows_are_refused() {
        let zero = toml::from_str::<Wishes>("memory_bytes = 0").unwrap_err();
        let unknown = toml::from_str::<Wishes>("memory = 1").unwrap_err();

        assert!(zero.message().contains("nonzero"), "{zero}");
        assert!(unknown.message().starts_with("unknown field `memory`"), "{unknown}");
    }
}
