//! `file.list`: what is in a directory, one level deep.

use berth_provider::{CallError, Capability};
use cap_std::fs::FileType;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::roots::{Access, Roots};

/// Entries of an answer when nobody says.
const DEFAULT_ENTRIES: usize = 200;
/// Names that are looked at, so that a huge directory costs no more than this.
const MAX_SEEN: usize = 20_000;

pub fn capability(roots: &Roots) -> Capability {
    let max = roots.limits.max_list_entries;
    let description = format!("Lists a directory; its path starts with {roots}. Without a path: the roots");
    Capability::new("file.list", "List a directory", &description)
        .takes(json!({
            "type": "object",
            "properties": {
                "path": { "type": "string", "default": "" },
                "max_entries": {
                    "type": "integer", "minimum": 1, "maximum": max, "default": DEFAULT_ENTRIES.min(max),
                },
            },
            "additionalProperties": false,
        }))
        .answers(json!({ "type": "object", "required": ["summary", "path", "entries", "truncated"] }))
        .tags(&["edge", "file"])
        .parallel()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    #[serde(default)]
    path: String,
    max_entries: Option<usize>,
}

/// The entries of a directory, sorted by name: `{name, kind, size_bytes}`, the size of files only.
///
/// Links are named as links and not followed. Fails with `directory_not_found`, `path_not_allowed`, `file_denied`.
pub(crate) fn list(roots: &Roots, arguments: &Arguments) -> Result<Value, CallError> {
    let max = roots.limits.max_list_entries;
    let limit = arguments.max_entries.unwrap_or(DEFAULT_ENTRIES.min(max));
    if limit == 0 || limit > max {
        return Err(CallError::invalid_arguments(format!("`max_entries` must be 1 to {max}")));
    }
    if arguments.path.trim().is_empty() {
        return Ok(list_roots(roots));
    }
    let place = roots.place(&arguments.path)?;
    let failed = |error| place.failed("directory_not_found", &error);
    let dir = place.root.dir.open_dir(&place.below).map_err(failed)?;
    let mut names = Vec::new();
    let mut more = false;
    for entry in dir.entries().map_err(failed)? {
        if names.len() == MAX_SEEN {
            more = true;
            break;
        }
        names.push(entry.map_err(failed)?.file_name());
    }
    names.sort_unstable();
    let truncated = more || names.len() > limit;
    names.truncate(limit);
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        // An entry may go away while we look at it.
        let Ok(meta) = dir.symlink_metadata(&name) else { continue };
        let mut entry = json!({ "name": name.to_string_lossy(), "kind": kind(meta.file_type()) });
        if meta.is_file() {
            entry["size_bytes"] = meta.len().into();
        }
        entries.push(entry);
    }
    let path = place.shown();
    let and_more = if truncated { " and more" } else { "" };
    let summary = format!("{path}: {} entries{and_more}", entries.len());
    Ok(json!({ "summary": summary, "path": path, "entries": entries, "truncated": truncated }))
}

fn kind(file_type: FileType) -> &'static str {
    if file_type.is_dir() {
        "directory"
    } else if file_type.is_file() {
        "file"
    } else if file_type.is_symlink() {
        "link"
    } else {
        "other"
    }
}

fn list_roots(roots: &Roots) -> Value {
    let entries: Vec<Value> = roots
        .names()
        .map(|(name, access)| {
            json!({ "name": name, "kind": "directory", "writable": access == Access::ReadWrite })
        })
        .collect();
    let summary = format!("{} roots", entries.len());
    json!({ "summary": summary, "path": "", "entries": entries, "truncated": false })
}
