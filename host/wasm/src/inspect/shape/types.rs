//! How deep types are nested.
//!
//! The parser reads a type inside of a type by calling itself: some hundred kilobytes of nested types would use up the
//! stack of the thread, which ends the process. Hence they are walked here first, with a stack of our own.

use std::ops::Range;

use wasmparser::{BinaryReader, ComponentType, ComponentTypeDeclaration, Error, InstanceTypeDeclaration};

use crate::limits::component::TYPE_NESTING;

const COMPONENT: u8 = 0x41;
const INSTANCE: u8 = 0x42;
/// A declaration that is a type.
const TYPE: u8 = 0x01;

pub(super) enum Bad {
    TooDeep(usize),
    Broken(Error),
}

impl From<Error> for Bad {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Section,
    Component,
    Instance,
}

/// Checks the type section of a component that lies at `range`.
pub(super) fn check_nesting(bytes: &[u8], range: Range<usize>) -> Result<(), Bad> {
    let Some(section) = bytes.get(range.clone()) else { return Ok(()) };
    let mut reader = BinaryReader::new(section, range.start);
    let mut open = vec![(Inside::Section, reader.read_var_u32()?)];
    while let Some((inside, left)) = open.last_mut() {
        let Some(rest) = left.checked_sub(1) else {
            open.pop();
            continue;
        };
        *left = rest;
        let inside = *inside;
        if inside != Inside::Section {
            if peek(&reader)? != TYPE {
                // No other declaration holds types of components or instances.
                match inside {
                    Inside::Component => drop(reader.read::<ComponentTypeDeclaration<'_>>()?),
                    _ => drop(reader.read::<InstanceTypeDeclaration<'_>>()?),
                }
                continue;
            }
            reader.read_u8()?;
        }
        let inner = match peek(&reader)? {
            COMPONENT => Inside::Component,
            INSTANCE => Inside::Instance,
            _ => {
                reader.read::<ComponentType<'_>>()?;
                continue;
            }
        };
        reader.read_u8()?;
        if open.len() > TYPE_NESTING {
            return Err(Bad::TooDeep(open.len()));
        }
        open.push((inner, reader.read_var_u32()?));
    }
    Ok(())
}

fn peek(reader: &BinaryReader<'_>) -> Result<u8, Error> {
    reader.clone().read_u8()
}
