//! What a component is, found without compiling or running any of it.

pub mod docs;
pub mod shape;
mod typed;

use serde::Serialize;

pub use docs::Docs;

use crate::capability::{Capability, ImportKind, classify};
use crate::error::InstallError;
use crate::limits;
use crate::manifest::{Instances, Kind, Manifest};
use crate::plugin::CHANNEL_INTERFACE;
use crate::tool::{self, ToolDescription};

/// The report of an inspection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Lower-case hex SHA-256 of the component.
    pub digest: String,
    pub bytes: usize,
    /// Imported interfaces and functions, in order.
    pub imports: Vec<Import>,
    /// Exported interfaces and functions, in order.
    pub exports: Vec<String>,
    /// The typed tools. Dynamic ones are told by [`crate::LoadedPlugin::describe`].
    pub tools: Vec<ToolDescription>,
    /// Whether the component exports `berth:plugin/tools`.
    pub is_dynamic: bool,
    /// Whether it is a channel: the manifest says so, and the component exports `berth:plugin/channel`.
    pub is_channel: bool,
    /// Exported functions that are no tools, and why.
    pub skipped: Vec<Skipped>,
    /// Capabilities that the imports can use.
    pub capabilities: Vec<&'static str>,
    pub warnings: Vec<String>,
}

/// An imported interface, or a function that the world imports itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Import {
    pub name: String,
    /// `base`, `wall`, `types`, or the capability that it needs.
    pub kind: &'static str,
}

/// An export that is no tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub export: String,
    pub reason: String,
}

/// Inspects a component for the plugin of `manifest`.
///
/// Refuses what is no component, is too large or too complex, needs WebAssembly features or imports that the host
/// does not offer, or uses a capability that the manifest does not ask for. Takes milliseconds for each megabyte:
/// call it on a blocking thread.
pub fn inspect(bytes: &[u8], manifest: &Manifest, docs: &Docs) -> Result<Inspection, InstallError> {
    shape::check(bytes, limits::MAX_COMPONENT_BYTES)?;
    let (mut resolve, world) = docs::decode(bytes)?;
    let mut docs = docs.clone();
    docs.add_sections(bytes);
    docs.inject(&mut resolve, world);
    let mut report = Inspection {
        digest: crate::digest(bytes),
        bytes: bytes.len(),
        imports: Vec::new(),
        exports: Vec::new(),
        tools: Vec::new(),
        is_dynamic: false,
        is_channel: false,
        skipped: Vec::new(),
        capabilities: Vec::new(),
        warnings: Vec::new(),
    };
    check_imports(&resolve, world, manifest, &mut report)?;
    typed::collect(&resolve, world, manifest, &mut report)?;
    check_channel(manifest, &mut report)?;
    check_wishes(manifest, &mut report)?;
    if report.tools.is_empty() && !report.is_dynamic && !report.is_channel {
        let reason = match report.skipped.as_slice() {
            [] => "it exports no function".to_owned(),
            skipped => skipped
                .iter()
                .map(|skipped| format!("{}: {}", skipped.export, skipped.reason))
                .collect::<Vec<_>>()
                .join("; "),
        };
        return Err(InstallError::NoTools { reason });
    }
    if !report.is_dynamic {
        tool::check_names(manifest, &report.tools)?;
    }
    Ok(report)
}

fn check_imports(
    resolve: &wit_parser::Resolve,
    world: wit_parser::WorldId,
    manifest: &Manifest,
    report: &mut Inspection,
) -> Result<(), InstallError> {
    for (key, item) in &resolve.worlds[world].imports {
        let name = resolve.name_world_key(key);
        let kind = match item {
            wit_parser::WorldItem::Type { .. } => continue,
            wit_parser::WorldItem::Function(_) => return Err(InstallError::ImportUnknown { import: name }),
            wit_parser::WorldItem::Interface { id, .. } => {
                let types_only = {
                    let interface = &resolve.interfaces[*id];
                    interface.functions.is_empty()
                        && !interface
                            .types
                            .values()
                            .any(|id| matches!(resolve.types[*id].kind, wit_parser::TypeDefKind::Resource))
                };
                match classify(&name) {
                    ImportKind::Base => "base",
                    ImportKind::Wall => "wall",
                    _ if types_only => "types",
                    ImportKind::Needs(capability) => {
                        check_capability(capability, &name, manifest)?;
                        if !report.capabilities.contains(&capability.as_str()) {
                            report.capabilities.push(capability.as_str());
                        }
                        capability.as_str()
                    }
                    ImportKind::Unknown => return Err(InstallError::ImportUnknown { import: name }),
                }
            }
        };
        report.imports.push(Import { name, kind });
    }
    report.warnings.extend(walled(&report.imports));
    Ok(())
}

/// One line for all the sockets of a runtime, which are several interfaces.
fn walled(imports: &[Import]) -> Option<String> {
    let walled = imports.iter().filter(|import| import.kind == "wall");
    let mut names: Vec<&str> =
        walled.filter_map(|import| import.name.rsplit('/').next()?.split('@').next()).collect();
    names.sort_unstable();
    let names = names.join(", ");
    (!names.is_empty()).then(|| format!("it imports wasi:sockets ({names}): every call of them is refused"))
}

fn check_capability(capability: Capability, import: &str, manifest: &Manifest) -> Result<(), InstallError> {
    let capability_name = capability.as_str().to_owned();
    if manifest.requests.iter().any(|request| request.capability == capability) {
        Ok(())
    } else {
        Err(InstallError::CapabilityNotRequested { capability: capability_name, import: import.to_owned() })
    }
}

/// What the manifest calls a channel exports one, and asks for what a channel needs.
fn check_channel(manifest: &Manifest, report: &mut Inspection) -> Result<(), InstallError> {
    let exported = report.exports.iter().any(|export| export.split('@').next() == Some(CHANNEL_INTERFACE));
    match manifest.kind {
        Kind::Channel if !exported => return Err(InstallError::NoChannel),
        Kind::Channel => {}
        Kind::Tool if exported => {
            let warning =
                "it exports a channel, which is not called: plugin.toml does not say kind = \"channel\"";
            report.warnings.push(warning.to_owned());
            return Ok(());
        }
        Kind::Tool => return Ok(()),
    }
    report.is_channel = true;
    check_capability(Capability::Channel, "kind = \"channel\"", manifest)?;
    // Its web addresses need the grant, whether or not it imports anything.
    if !report.capabilities.contains(&Capability::Channel.as_str()) {
        report.capabilities.push(Capability::Channel.as_str());
    }
    Ok(())
}

fn check_wishes(manifest: &Manifest, report: &mut Inspection) -> Result<(), InstallError> {
    let imports_files = report.imports.iter().any(|import| import.name.starts_with("wasi:filesystem/types"));
    if imports_files && manifest.requests.iter().any(|request| request.capability == Capability::Files) {
        report.capabilities.push(Capability::Files.as_str());
    }
    if report.imports.iter().any(|import| import.name.starts_with("wasi:config/")) {
        report.capabilities.push(Capability::Config.as_str());
    }
    for request in &manifest.requests {
        let name = request.capability.as_str();
        // Requests name secrets by placeholder, programs work in folders, and a channel wishes polls and sockets: none of
        // it needs an import of its own.
        let through = match request.capability {
            Capability::Http | Capability::Websocket | Capability::Secret if report.is_channel => continue,
            Capability::Secret => Some(Capability::Http.as_str()),
            Capability::Files => Some(Capability::Process.as_str()),
            _ => None,
        };
        let is_used = |name: &str| report.capabilities.contains(&name);
        if !is_used(name) && !through.is_some_and(is_used) {
            report
                .warnings
                .push(format!("the manifest asks for `{name}`, which the component does not import"));
        }
    }
    if manifest.instances == Instances::Actor && !report.is_channel {
        report
            .warnings
            .push("`instances = \"actor\"` is for channels: every call gets a fresh instance".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
