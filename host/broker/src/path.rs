//! Paths in one form, so that a prefix means the same to us and to the server.

use percent_encoding::percent_decode;

/// How often a server may decode a path; one that decodes further is not believed.
const ROUNDS: usize = 4;

/// Why a path is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("has a `%` without two hex digits behind it")]
    Percent,
    #[error("hides `.` or `..` behind an encoding or a parameter")]
    Dots,
    #[error("hides a control character or bytes that are no UTF-8")]
    Bytes,
    #[error("is percent-encoded too many times over")]
    Encoded,
}

/// The normal form of the path of a parsed URL.
///
/// Characters that need no encoding stand for themselves, hex digits are upper case. A path that a server could read as one
/// with dot segments, after decoding it once more, taking `\` for `/` or cutting parameters off, is refused.
pub fn normal(path: &str) -> Result<String, PathError> {
    let mut normal = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        normal.push_str(&rest[..at]);
        let byte = rest
            .as_bytes()
            .get(at + 1..at + 3)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
            .ok_or(PathError::Percent)?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            normal.push(char::from(byte));
        } else {
            normal.push_str(&format!("%{byte:02X}"));
        }
        rest = &rest[at + 3..];
    }
    normal.push_str(rest);
    check(&normal)?;
    Ok(normal)
}

/// Refuses what reads differently after another round of decoding.
fn check(path: &str) -> Result<(), PathError> {
    let mut now = path.to_owned();
    for _ in 0..=ROUNDS {
        if now.chars().any(char::is_control) {
            return Err(PathError::Bytes);
        }
        if now.split(['/', '\\']).any(is_dots) {
            return Err(PathError::Dots);
        }
        let decoded = percent_decode(now.as_bytes()).decode_utf8().map_err(|_| PathError::Bytes)?;
        if decoded == now {
            return Ok(());
        }
        now = decoded.into_owned();
    }
    Err(PathError::Encoded)
}

/// Whether some server takes the segment for `.` or `..`.
fn is_dots(segment: &str) -> bool {
    let bare = segment.split(';').next().unwrap_or(segment).trim();
    bare == "." || bare == ".."
}

/// Whether `path` is `prefix` or below it. A prefix without a trailing `/` ends at the end of a segment.
pub fn is_below(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        None => false,
        Some(rest) => prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
    }
}
