//! `file.write`: a whole file, replaced in one step.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use berth_provider::{CallError, Capability, RiskLevel};
use cap_std::fs::{Dir, OpenOptions};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::read::start_of;
use crate::roots::{Place, Roots};

pub fn capability(roots: &Roots) -> Capability {
    let max = roots.limits.max_write_bytes;
    let description = format!("Writes a text file of at most {max} bytes; its path starts with {roots}");
    Capability::new("file.write", "Write a file", &description)
        .takes(json!({
            "type": "object",
            "properties": {
                "path": { "type": "string" },
                "content": { "type": "string" },
                "mode": {
                    "type": "string",
                    "enum": ["overwrite", "append", "create_if_missing"],
                    "default": "overwrite",
                },
            },
            "required": ["path"],
            "additionalProperties": false,
        }))
        .answers(json!({ "type": "object", "required": ["summary", "path", "mode", "bytes_written"] }))
        .tags(&["edge", "file"])
        .risk(RiskLevel::LocalWrite)
        .confirmed(true)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    #[serde(default)]
    path: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Overwrite,
    Append,
    CreateIfMissing,
}

impl Mode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Append => "append",
            Self::CreateIfMissing => "create_if_missing",
        }
    }
}

/// Writes a file: readers see the old content or the new one, never a part, and a crash leaves one of both.
///
/// `bytes_written` counts `content`. A link at the path is replaced, not followed. Fails with `already_exists`,
/// `directory_not_found`, `file_too_large`, `path_not_allowed`, `file_denied`, `file_failed`, and
/// `tool_call_cancelled` while nothing has changed.
pub(crate) fn write(
    roots: &Roots,
    arguments: &Arguments,
    cancelled: &CancellationToken,
) -> Result<Value, CallError> {
    let place = roots.place(&arguments.path)?;
    place.writable()?;
    let Arguments { content, mode, .. } = arguments;
    let max = roots.limits.max_write_bytes;
    let name = match place.below.file_name() {
        Some(name) => PathBuf::from(name),
        None => return Err(CallError::new("path_required", format!("`{}` names no file", place.shown()))),
    };
    let parent = place.below.parent().filter(|parent| !parent.as_os_str().is_empty());
    let dir = place.root.dir.open_dir(parent.unwrap_or(Path::new(".")));
    let dir = dir.map_err(|error| place.failed("directory_not_found", &error))?;
    if dir.symlink_metadata(&name).is_ok_and(|meta| meta.is_dir()) {
        return Err(CallError::new("file_not_found", format!("`{}` is a directory", place.shown())));
    }
    let mut bytes = if *mode == Mode::Append { old_content(&place, max)? } else { Vec::new() };
    bytes.extend_from_slice(content.as_bytes());
    if bytes.len() > max {
        let message = format!("`{}` would have {} bytes, {max} is the limit", place.shown(), bytes.len());
        return Err(CallError::new("file_too_large", message));
    }
    let fresh = Fresh::write(&dir, &bytes).map_err(|error| place.failed("directory_not_found", &error))?;
    if cancelled.is_cancelled() {
        return Err(CallError::cancelled());
    }
    fresh.settle(&name, *mode).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CallError::new("already_exists", format!("`{}` exists already", place.shown()))
        }
        _ => place.failed("directory_not_found", &error),
    })?;
    let path = place.shown();
    Ok(json!({
        "summary": format!("Wrote {} bytes to {path}", content.len()),
        "path": path,
        "mode": mode.as_str(),
        "bytes_written": content.len(),
    }))
}

/// What stands in the file already; nothing when there is none.
fn old_content(place: &Place<'_>, max: usize) -> Result<Vec<u8>, CallError> {
    // One byte more than allowed makes the sum too large, whatever is appended.
    match start_of(place, max.saturating_add(1)) {
        Ok((bytes, _)) => Ok(bytes),
        Err(error) if error.code == "file_not_found" => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A finished file under a name that nobody knows; gone again unless it settles.
struct Fresh<'a> {
    dir: &'a Dir,
    name: PathBuf,
}

impl<'a> Fresh<'a> {
    fn write(dir: &'a Dir, bytes: &[u8]) -> std::io::Result<Self> {
        let name = PathBuf::from(format!(".berth-{:016x}.tmp", rand::random::<u64>()));
        let mut file = dir.open_with(&name, OpenOptions::new().write(true).create_new(true))?;
        let fresh = Self { dir, name };
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(fresh)
    }

    fn settle(self, name: &Path, mode: Mode) -> std::io::Result<()> {
        match mode {
            // A link to an existing name fails, where a rename would replace it. Dropping removes the other name.
            Mode::CreateIfMissing => self.dir.hard_link(&self.name, self.dir, name)?,
            Mode::Overwrite | Mode::Append => {
                if let Ok(old) = self.dir.symlink_metadata(name)
                    && old.is_file()
                {
                    self.dir.set_permissions(&self.name, old.permissions())?;
                }
                self.dir.rename(&self.name, self.dir, name)?;
            }
        }
        // The new name shall survive a power cut as well; not every file system can promise that.
        if let Ok(dir) = self.dir.open(".") {
            let _ = dir.sync_all();
        }
        Ok(())
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing left under this name.
        if let Err(error) = self.dir.remove_file(&self.name)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(file = %self.name.display(), %error, "a temporary file stays behind");
        }
    }
}
