//! What a component may consist of. Counted over everything inside it, before the compiler sees a byte.
//!
//! A few kilobytes can describe gigabytes of work: nested types, instances of instances, functions by the ten
//! thousand. Each number is far above what toolchains make; the largest known guests are language runtimes with about
//! 40 core instances, 40 000 functions and 20 MiB of data.

/// Components inside components.
pub const NESTING: usize = 16;
/// Types of components and instances inside each other.
pub const TYPE_NESTING: usize = 16;
/// Instances that one instantiation makes, counted through nested components.
pub const INSTANCES: u64 = 4096;
/// Core modules.
pub const MODULES: u64 = 256;
/// Components, the outermost among them.
pub const COMPONENTS: u64 = 1024;
/// Functions with a body.
pub const FUNCTIONS: u64 = 100_000;
/// Functions that cross the border of the component: each is compiled as well.
pub const CROSSINGS: u64 = 20_000;
/// Types, those inside of other types not counted.
pub const TYPES: u64 = 200_000;
/// Imports and exports of components and modules.
pub const NAMES: u64 = 100_000;
/// Sections, those of nested modules among them.
pub const SECTIONS: u64 = 20_000;
/// Custom sections.
pub const CUSTOM_SECTIONS: u64 = 2_000;
/// Content of custom sections, such as names and debug data.
pub const CUSTOM_BYTES: u64 = 16 << 20;
/// Initial content of memories.
pub const DATA_BYTES: u64 = 28 << 20;
/// Pieces of that content.
pub const DATA_SEGMENTS: u64 = 50_000;
/// Initial content of tables, in bytes of the component.
pub const ELEMENT_BYTES: u64 = 4 << 20;
/// Globals that modules define.
pub const GLOBALS: u64 = 100_000;
/// Memories that modules define; an instance gets fewer, see [`super::MEMORIES`].
pub const MEMORIES: u64 = 256;
/// Tables that modules define; an instance gets fewer, see [`super::TABLES`].
pub const TABLES: u64 = 512;
/// The code of one function.
pub const BODY_BYTES: u64 = 4 << 20;
/// Local variables of all functions together.
pub const LOCALS: u64 = 4_000_000;
