//! Exported functions as tools.

use serde_json::Value;
use wit_parser::{Function, FunctionKind, Resolve, WorldId, WorldItem, WorldKey};

use super::{Inspection, Skipped};
use crate::error::InstallError;
use crate::manifest::Manifest;
use crate::plugin::{CHANNEL_INTERFACE, TOOLS_INTERFACE, is_optional_export};
use crate::tool::{Declared, ToolDescription, ToolExport};
use crate::value::{FunctionShape, Shape, schema};

/// Adds the tools, the dynamic interface and everything that is neither to the report.
pub(super) fn collect(
    resolve: &Resolve,
    world: WorldId,
    manifest: &Manifest,
    report: &mut Inspection,
) -> Result<(), InstallError> {
    for (key, item) in &resolve.worlds[world].exports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Type { .. } => continue,
            WorldItem::Function(function) => {
                if is_compiler_function(&function.name) {
                    skip(report, &name, "a language runtime adds it");
                } else {
                    add(resolve, None, "", function, manifest, report)?;
                }
            }
            WorldItem::Interface { id, .. } => {
                let bare = name.split('@').next().unwrap_or(&name);
                if bare == TOOLS_INTERFACE {
                    report.is_dynamic = true;
                } else if bare == CHANNEL_INTERFACE || is_optional_export(bare) {
                    // Called by the host alone.
                } else if bare.starts_with("berth:plugin/") {
                    skip(report, &name, "this version does not call it");
                } else if bare.starts_with("wasi:") {
                    skip(report, &name, "it is an entry point of WASI, not a tool");
                } else {
                    let interface = &resolve.interfaces[*id];
                    for function in interface.functions.values() {
                        let inline = matches!(key, WorldKey::Name(_));
                        if inline && name == "exports" && is_runtime_function(&function.name) {
                            skip(report, &format!("{name}#{}", function.name), "a language runtime adds it");
                        } else {
                            add(resolve, Some(&name), said(&interface.docs), function, manifest, report)?;
                        }
                    }
                }
            }
        }
        report.exports.push(name);
    }
    Ok(())
}

fn add(
    resolve: &Resolve,
    interface: Option<&str>,
    shared: &str,
    function: &Function,
    manifest: &Manifest,
    report: &mut Inspection,
) -> Result<(), InstallError> {
    let export =
        ToolExport::Typed { interface: interface.map(str::to_owned), function: function.name.clone() };
    let key = export.key();
    match function.kind {
        FunctionKind::Freestanding => {}
        FunctionKind::AsyncFreestanding | FunctionKind::AsyncMethod(_) | FunctionKind::AsyncStatic(_) => {
            skip(report, &key, "it is an async function");
            return Ok(());
        }
        _ => {
            skip(report, &key, "it belongs to a resource");
            return Ok(());
        }
    }
    let shape = match FunctionShape::from_wit(resolve, function) {
        Ok(shape) => shape,
        Err(unsupported) => {
            skip(report, &key, &unsupported.to_string());
            return Ok(());
        }
    };
    let own = said(&function.docs);
    // What is true for all tools of an interface, such as how paths are written, stands behind what each says of itself.
    let description =
        [own, shared].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n");
    let tool = ToolDescription::build(
        manifest,
        export,
        Declared {
            title: None,
            description,
            input_schema: schema::object(&shape.params),
            output_schema: output(&shape),
            risk: None,
        },
    )?;
    let has_hint = manifest.hints(interface, &function.name).is_some_and(|hints| hints.description.is_some());
    if own.is_empty() && !has_hint {
        report.warnings.push(format!("`{key}` has no doc comment: a model has only its name to go by"));
    }
    report.tools.push(tool);
    Ok(())
}

fn said(docs: &wit_parser::Docs) -> &str {
    docs.contents.as_deref().map(str::trim).unwrap_or_default()
}

/// The schema of what a good call answers.
fn output(shape: &FunctionShape) -> Value {
    match &shape.result {
        Some(Shape::Result { ok: Some(ok), .. }) => schema::of(ok),
        Some(Shape::Result { ok: None, .. }) | None => serde_json::json!({ "type": "null" }),
        Some(other) => schema::of(other),
    }
}

/// Functions that compilers export for themselves.
fn is_compiler_function(name: &str) -> bool {
    name.starts_with("cabi-") || name.starts_with("cabi_") || name.starts_with('_')
}

/// Functions in the interface `exports` that a language runtime starts itself with; Python's is `init`.
fn is_runtime_function(name: &str) -> bool {
    matches!(name, "init" | "initialize") || is_compiler_function(name)
}

fn skip(report: &mut Inspection, export: &str, reason: &str) {
    report.skipped.push(Skipped { export: export.to_owned(), reason: reason.to_owned() });
}
