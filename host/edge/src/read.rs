//! `file.read`: a piece of a file, as text or as bytes.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_provider::{CallError, Capability};
use cap_std::fs::{OpenOptions, OpenOptionsExt};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::roots::{Place, Roots};

/// Characters of an answer when nobody says.
const DEFAULT_CHARS: usize = 6000;
/// The most bytes that one character takes.
const CHAR_BYTES: usize = 4;

pub fn capability(roots: &Roots) -> Capability {
    let max = roots.limits.max_read_bytes;
    Capability::new("file.read", "Read a file", &format!("Reads a file; its path starts with {roots}"))
        .takes(json!({
            "type": "object",
            "properties": {
                "path": { "type": "string" },
                "encoding": { "type": "string", "enum": ["utf-8", "base64"], "default": "utf-8" },
                "max_chars": { "type": "integer", "minimum": 1, "maximum": max, "default": DEFAULT_CHARS },
            },
            "required": ["path"],
            "additionalProperties": false,
        }))
        .answers(json!({
            "type": "object",
            "required": ["summary", "path", "content", "truncated", "size_bytes", "encoding"],
        }))
        .tags(&["edge", "file"])
        .parallel()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    #[serde(default)]
    path: String,
    #[serde(default)]
    encoding: Encoding,
    max_chars: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum Encoding {
    #[default]
    #[serde(rename = "utf-8", alias = "utf8", alias = "UTF-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

/// Reads the start of a file: `max_chars` characters, or as many bytes in base64.
///
/// Fails with `file_not_found`, `path_not_allowed`, `file_denied`, `not_text` or `file_failed`.
pub(crate) fn read(roots: &Roots, arguments: &Arguments) -> Result<Value, CallError> {
    let place = roots.place(&arguments.path)?;
    let max = roots.limits.max_read_bytes;
    let chars = arguments.max_chars.unwrap_or(DEFAULT_CHARS.min(max));
    if chars == 0 || chars > max {
        return Err(CallError::invalid_arguments(format!("`max_chars` must be 1 to {max}")));
    }
    let wanted = match arguments.encoding {
        // One more than asked for tells whether there is more.
        Encoding::Utf8 => chars.saturating_mul(CHAR_BYTES).min(max),
        Encoding::Base64 => chars,
    };
    let (bytes, size_bytes) = start_of(&place, wanted)?;
    let (content, truncated, encoding) = match arguments.encoding {
        Encoding::Utf8 => {
            let text = text_of(&place, &bytes, size_bytes)?;
            let cut = text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
            (text[..cut].to_owned(), (cut as u64) < size_bytes, "utf-8")
        }
        Encoding::Base64 => (STANDARD.encode(&bytes), (bytes.len() as u64) < size_bytes, "base64"),
    };
    let path = place.shown();
    let part = if truncated { "the start of " } else { "" };
    Ok(json!({
        "summary": format!("Read {part}{path} ({size_bytes} bytes)"),
        "path": path,
        "content": content,
        "truncated": truncated,
        "size_bytes": size_bytes,
        "encoding": encoding,
    }))
}

/// At most `wanted` bytes of the file, and how many it has.
pub(crate) fn start_of(place: &Place<'_>, wanted: usize) -> Result<(Vec<u8>, u64), CallError> {
    let failed = |error| place.failed("file_not_found", &error);
    let mut options = OpenOptions::new();
    // A pipe without a writer would hold the open for ever.
    options.read(true).custom_flags(nonblock());
    let mut file = place.root.dir.open_with(&place.below, &options).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(CallError::new("file_not_found", format!("`{}` is no file", place.shown())));
    }
    let mut bytes = Vec::new();
    (&mut file).take(wanted as u64).read_to_end(&mut bytes).map_err(failed)?;
    // The file may have grown or shrunk since.
    Ok((bytes, file.metadata().map_err(failed)?.len()))
}

fn nonblock() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
}

/// The bytes as text; a character that the read has cut off is left out.
fn text_of<'a>(place: &Place<'_>, bytes: &'a [u8], size_bytes: u64) -> Result<&'a str, CallError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() && (bytes.len() as u64) < size_bytes => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => Err(CallError::new(
            "not_text",
            format!(
                "`{}` is no UTF-8 at byte {}; read it with encoding base64",
                place.shown(),
                error.valid_up_to()
            ),
        )),
    }
}
