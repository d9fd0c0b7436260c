//! Counts over a whole component, each against its limit.

use crate::error::InstallError;
use crate::limits::component as limits;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Modules,
    Components,
    Functions,
    Crossings,
    Types,
    Names,
    Sections,
    CustomSections,
    CustomBytes,
    DataBytes,
    DataSegments,
    ElementBytes,
    Globals,
    Memories,
    Tables,
    Locals,
}

impl Counted {
    fn limit(self) -> (&'static str, u64) {
        match self {
            Self::Modules => ("core modules", limits::MODULES),
            Self::Components => ("nested components", limits::COMPONENTS),
            Self::Functions => ("functions", limits::FUNCTIONS),
            Self::Crossings => ("functions that cross its border", limits::CROSSINGS),
            Self::Types => ("types", limits::TYPES),
            Self::Names => ("imports and exports", limits::NAMES),
            Self::Sections => ("sections", limits::SECTIONS),
            Self::CustomSections => ("custom sections", limits::CUSTOM_SECTIONS),
            Self::CustomBytes => ("bytes in custom sections", limits::CUSTOM_BYTES),
            Self::DataBytes => ("bytes of data", limits::DATA_BYTES),
            Self::DataSegments => ("pieces of data", limits::DATA_SEGMENTS),
            Self::ElementBytes => ("bytes of table content", limits::ELEMENT_BYTES),
            Self::Globals => ("globals", limits::GLOBALS),
            Self::Memories => ("memories", limits::MEMORIES),
            Self::Tables => ("tables", limits::TABLES),
            Self::Locals => ("local variables", limits::LOCALS),
        }
    }
}

/// The counts so far.
#[derive(Default)]
pub(super) struct Totals([u64; 16]);

impl Totals {
    /// Refuses what goes above its limit.
    pub fn add(&mut self, counted: Counted, more: u64) -> Result<(), InstallError> {
        let (what, limit) = counted.limit();
        let total = &mut self.0[counted as usize];
        *total = total.saturating_add(more);
        if *total > limit { Err(InstallError::TooMany { what, count: *total, limit }) } else { Ok(()) }
    }
}
