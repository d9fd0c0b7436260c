//! The outer shape of a component: that it is one, and that compiling it is affordable.
//!
//! Compiling is an attack surface: a few kilobytes can describe gigabytes of work. Everything is counted here before
//! the compiler sees a byte.

mod totals;
mod types;

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, Encoding, Instance,
    Parser, Payload, Validator, WasmFeatures,
};

use crate::error::InstallError;
use crate::limits::component as limits;
use totals::{Counted, Totals};

/// What guests may use; the engine is set up to refuse the rest as well.
pub fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::FLOATS
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::GC_TYPES
}

/// Checks that `bytes` are a valid component of at most `limit` bytes that is affordable to compile.
pub fn check(bytes: &[u8], limit: usize) -> Result<(), InstallError> {
    kind(bytes, limit)?;
    count(bytes)?;
    Validator::new_with_features(features()).validate_all(bytes).map_err(|error| refusal(bytes, &error))?;
    Ok(())
}

fn kind(bytes: &[u8], limit: usize) -> Result<(), InstallError> {
    if bytes.is_empty() {
        return Err(InstallError::Empty);
    }
    if bytes.len() > limit {
        return Err(InstallError::TooLarge { bytes: bytes.len(), limit });
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() || bytes.starts_with(b"\x7fELF") {
        return Err(InstallError::Precompiled);
    }
    if !bytes.starts_with(b"\0asm") {
        let start = bytes.trim_ascii_start();
        let text = start.starts_with(b"(") || start.starts_with(b";;");
        return Err(if text { InstallError::Text } else { InstallError::NotWasm });
    }
    match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => Ok(()),
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => Err(InstallError::CoreModule),
        Some(Err(error)) => Err(broken(bytes, &error)),
        _ => Err(InstallError::NotWasm),
    }
}

/// A component that is being read: how many instances each of its components makes.
#[derive(Default)]
struct Level {
    is_component: bool,
    /// By component index.
    costs: Vec<u64>,
    /// Instances that one instantiation of this component makes.
    cost: u64,
}

fn count(bytes: &[u8]) -> Result<(), InstallError> {
    let mut levels: Vec<Level> = Vec::new();
    let mut totals = Totals::default();
    // A component that comes from elsewhere is one that was defined before: at worst the dearest of them.
    let mut dearest = 1;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| broken(bytes, &error))?;
        let section = |error: wasmparser::Error| broken(bytes, &error);
        if payload.as_section().is_some() {
            totals.add(Counted::Sections, 1)?;
        }
        match payload {
            Payload::Version { encoding, .. } => {
                if levels.len() >= limits::NESTING {
                    return Err(InstallError::TooDeep { depth: levels.len() + 1, limit: limits::NESTING });
                }
                let is_component = encoding == Encoding::Component;
                totals.add(if is_component { Counted::Components } else { Counted::Modules }, 1)?;
                levels.push(Level { is_component, cost: 1, costs: Vec::new() });
            }
            Payload::End(_) => {
                let Some(done) = levels.pop() else { continue };
                if done.is_component {
                    dearest = dearest.max(done.cost);
                    if let Some(outer) = levels.last_mut() {
                        outer.costs.push(done.cost);
                    }
                }
            }
            Payload::ComponentInstanceSection(reader) => {
                for instance in reader {
                    let cost = match instance.map_err(section)? {
                        ComponentInstance::Instantiate { component_index, .. } => levels
                            .last()
                            .and_then(|level| level.costs.get(component_index as usize).copied())
                            .unwrap_or(dearest),
                        ComponentInstance::FromExports(_) => 1,
                    };
                    spend(&mut levels, cost)?;
                }
            }
            Payload::InstanceSection(reader) => {
                for instance in reader {
                    if let Instance::Instantiate { .. } = instance.map_err(section)? {
                        spend(&mut levels, 1)?;
                    }
                }
            }
            Payload::ComponentAliasSection(reader) => {
                for alias in reader {
                    let cost = match alias.map_err(section)? {
                        ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                            levels
                                .iter()
                                .rev()
                                .nth(count as usize)
                                .and_then(|level| level.costs.get(index as usize).copied())
                                .unwrap_or(dearest)
                        }
                        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                            dearest
                        }
                        _ => continue,
                    };
                    if let Some(level) = levels.last_mut() {
                        level.costs.push(cost);
                    }
                }
            }
            Payload::ComponentImportSection(reader) => {
                totals.add(Counted::Names, reader.count().into())?;
                for import in reader {
                    if matches!(import.map_err(section)?.ty, wasmparser::ComponentTypeRef::Component(_))
                        && let Some(level) = levels.last_mut()
                    {
                        level.costs.push(dearest);
                    }
                }
            }
            Payload::ComponentExportSection(reader) => {
                totals.add(Counted::Names, reader.count().into())?;
                for export in reader {
                    // An exported component gets an index of its own.
                    let export = export.map_err(section)?;
                    if export.kind == ComponentExternalKind::Component
                        && let Some(level) = levels.last_mut()
                    {
                        let cost = level.costs.get(export.index as usize).copied().unwrap_or(dearest);
                        level.costs.push(cost);
                    }
                }
            }
            Payload::FunctionSection(reader) => totals.add(Counted::Functions, reader.count().into())?,
            Payload::ComponentCanonicalSection(reader) => {
                totals.add(Counted::Crossings, reader.count().into())?;
            }
            Payload::TypeSection(reader) => totals.add(Counted::Types, reader.count().into())?,
            Payload::ComponentTypeSection(reader) => {
                totals.add(Counted::Types, reader.count().into())?;
                types::check_nesting(bytes, reader.range()).map_err(|bad| match bad {
                    types::Bad::TooDeep(depth) => {
                        InstallError::TooDeep { depth, limit: limits::TYPE_NESTING }
                    }
                    types::Bad::Broken(error) => broken(bytes, &error),
                })?;
            }
            Payload::CoreTypeSection(reader) => totals.add(Counted::Types, reader.count().into())?,
            Payload::ImportSection(reader) => totals.add(Counted::Names, reader.count().into())?,
            Payload::ExportSection(reader) => totals.add(Counted::Names, reader.count().into())?,
            Payload::GlobalSection(reader) => totals.add(Counted::Globals, reader.count().into())?,
            Payload::MemorySection(reader) => totals.add(Counted::Memories, reader.count().into())?,
            Payload::TableSection(reader) => totals.add(Counted::Tables, reader.count().into())?,
            Payload::ElementSection(reader) => {
                totals.add(Counted::ElementBytes, reader.range().len() as u64)?;
            }
            Payload::DataSection(reader) => {
                totals.add(Counted::DataSegments, reader.count().into())?;
                totals.add(Counted::DataBytes, reader.range().len() as u64)?;
            }
            Payload::CustomSection(reader) => {
                totals.add(Counted::CustomSections, 1)?;
                totals.add(Counted::CustomBytes, reader.range().len() as u64)?;
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len() as u64;
                if size > limits::BODY_BYTES {
                    return Err(InstallError::TooMany {
                        what: "bytes in one function",
                        count: size,
                        limit: limits::BODY_BYTES,
                    });
                }
                for group in body.get_locals_reader().map_err(section)? {
                    let (count, _) = group.map_err(section)?;
                    totals.add(Counted::Locals, count.into())?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn spend(levels: &mut [Level], cost: u64) -> Result<(), InstallError> {
    let Some(level) = levels.last_mut() else { return Ok(()) };
    level.cost = level.cost.saturating_add(cost);
    if level.cost > limits::INSTANCES {
        return Err(InstallError::TooMany { what: "instances", count: level.cost, limit: limits::INSTANCES });
    }
    Ok(())
}

fn broken(bytes: &[u8], error: &wasmparser::Error) -> InstallError {
    let message = error.message().to_owned();
    let at_end = message.contains("unexpected end") || message.contains("end-of-file");
    if at_end || error.offset() >= bytes.len() {
        InstallError::Truncated { message }
    } else {
        InstallError::Invalid { message }
    }
}

/// What is valid with every feature is refused for a feature, not for being broken.
fn refusal(bytes: &[u8], error: &wasmparser::Error) -> InstallError {
    if Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).is_ok() {
        return InstallError::Feature { message: error.message().to_owned() };
    }
    broken(bytes, error)
}

#[cfg(test)]
mod tests;
