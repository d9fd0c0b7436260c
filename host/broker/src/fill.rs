//! Puts secrets where a request names them: `{{secret:NAME}}` in a header, the path, the query, JSON or a form.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde_json::Value;

use crate::error::BrokerError;
use crate::secret::{Place, SecretValue};
use crate::target::Target;

const OPEN: &str = "{{secret:";
const CLOSE: &str = "}}";
/// The longest name of a secret.
const NAME_BYTES: usize = 128;

/// The secrets of a request by name.
pub(crate) type Values = HashMap<String, Arc<SecretValue>>;

/// What a body is, as far as secrets can stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyKind {
    Json,
    Form,
    Other,
}

impl BodyKind {
    /// Reads the content type.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = text.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind == "application/json" || kind.ends_with("+json") {
            Self::Json
        } else if kind == "application/x-www-form-urlencoded" {
            Self::Form
        } else {
            Self::Other
        }
    }
}

/// A placeholder in a text: where it stands, and the name in it.
fn placeholders(text: &str) -> Vec<(Range<usize>, &str)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(OPEN).map(|at| at + from) {
        let name = at + OPEN.len();
        from = name;
        let Some(length) = text[name..].find(CLOSE) else { break };
        let inner = &text[name..name + length];
        let is_name = inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if is_name && (1..=NAME_BYTES).contains(&inner.len()) {
            from = name + length + CLOSE.len();
            found.push((at..from, inner));
        }
    }
    found
}

/// Whether a body that was not looked at as a whole names a secret.
pub(crate) fn names_a_secret(bytes: &[u8]) -> bool {
    bytes.windows(OPEN.len()).any(|window| window == OPEN.as_bytes())
}

/// The text with each placeholder replaced.
fn replaced(
    text: &str,
    values: &Values,
    literal: impl Fn(&str) -> String,
    secret: impl Fn(&[u8]) -> Result<String, BrokerError>,
) -> Result<String, BrokerError> {
    let mut out = String::new();
    let mut from = 0;
    for (range, name) in placeholders(text) {
        out.push_str(&literal(&text[from..range.start]));
        let value = values.get(name).ok_or_else(|| BrokerError::SecretRefused {
            name: name.to_owned(),
            message: "nobody looked it up".to_owned(),
        })?;
        out.push_str(&secret(value.bytes())?);
        from = range.end;
    }
    out.push_str(&literal(&text[from..]));
    Ok(out)
}

fn encoded(bytes: &[u8]) -> String {
    percent_encode(bytes, NON_ALPHANUMERIC).to_string()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn place_error(message: impl Into<String>) -> BrokerError {
    BrokerError::SecretPlace { message: message.into() }
}

/// Every secret that a URL names, and where.
pub(crate) fn in_target(target: &Target) -> Vec<(String, Place)> {
    let mut wanted = Vec::new();
    for segment in target.path().split('/') {
        let text = decoded(segment);
        wanted.extend(placeholders(&text).into_iter().map(|(_, name)| (name.to_owned(), Place::Path)));
    }
    for (key, value) in pairs(target.query().unwrap_or_default(), false) {
        let place = Place::Query(key);
        wanted.extend(placeholders(&value).into_iter().map(|(_, name)| (name.to_owned(), place.clone())));
    }
    wanted
}

/// The URL with its secrets. A secret is one segment or part of one; it cannot make others.
pub(crate) fn fill_target(target: &Target, values: &Values) -> Result<Target, BrokerError> {
    let in_path = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        if text.contains(['/', '\\']) || text.chars().any(char::is_control) {
            return Err(place_error(
                "its value has a slash or a control character, and cannot be part of a path",
            ));
        }
        Ok(encoded(bytes))
    };
    let segments: Vec<String> = target
        .path()
        .split('/')
        .map(|segment| {
            let text = decoded(segment);
            if placeholders(&text).is_empty() {
                return Ok(segment.to_owned());
            }
            replaced(&text, values, |literal| encoded(literal.as_bytes()), in_path)
        })
        .collect::<Result<_, BrokerError>>()?;
    let mut url = format!("{}{}", target.origin(), segments.join("/"));
    if let Some(query) = target.query() {
        url.push('?');
        url.push_str(&fill_pairs(query, values)?);
    }
    let filled = Target::parse(&url)?;
    if filled.origin() != target.origin() || filled.path().split('/').count() != segments.len() {
        return Err(place_error("its value changes where the request goes"));
    }
    Ok(filled)
}

/// Every secret that the headers name, and where.
pub(crate) fn in_headers(headers: &HeaderMap) -> Vec<(String, Place)> {
    let mut wanted = Vec::new();
    for (name, value) in headers {
        if let Ok(text) = value.to_str() {
            let place = Place::Header(name.as_str().to_owned());
            wanted.extend(placeholders(text).into_iter().map(|(_, name)| (name.to_owned(), place.clone())));
        }
    }
    wanted
}

/// The headers with their secrets, which are marked as sensitive.
pub(crate) fn fill_headers(headers: &HeaderMap, values: &Values) -> Result<HeaderMap, BrokerError> {
    let mut filled = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let mut value = value.clone();
        if let Ok(text) = value.to_str()
            && !placeholders(text).is_empty()
        {
            let secret = |bytes: &[u8]| {
                String::from_utf8(bytes.to_vec())
                    .map_err(|_| place_error("its value is no text, and cannot stand in a header"))
            };
            let text = replaced(text, values, str::to_owned, secret)?;
            value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
                place_error("its value has a control character, and cannot stand in a header")
            })?;
            value.set_sensitive(true);
        }
        filled.append(name.clone(), value);
    }
    Ok(filled)
}

/// Takes away the headers that name a secret.
pub(crate) fn strip_headers(headers: &mut HeaderMap) {
    let named: Vec<_> = headers
        .iter()
        .filter(|(_, value)| value.to_str().is_ok_and(|text| !placeholders(text).is_empty()))
        .map(|(name, _)| name.clone())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Every secret that a body names, and where.
pub(crate) fn in_body(kind: BodyKind, body: &[u8]) -> Result<Vec<(String, Place)>, BrokerError> {
    let mut wanted = Vec::new();
    match kind {
        BodyKind::Other => {}
        BodyKind::Form => {
            let text = String::from_utf8_lossy(body);
            for (key, value) in pairs(&text, true) {
                let place = Place::Form(key);
                wanted.extend(
                    placeholders(&value).into_iter().map(|(_, name)| (name.to_owned(), place.clone())),
                );
            }
        }
        BodyKind::Json if names_a_secret(body) => {
            let value: Value = serde_json::from_slice(body)
                .map_err(|error| place_error(format!("the body is no JSON: {error}")))?;
            walk(&value, &mut String::new(), &mut wanted);
            // What is replaced is the text, so every placeholder in it must be one that was found.
            let text = std::str::from_utf8(body).map_err(|_| place_error("the body is no UTF-8"))?;
            if placeholders(text).len() != wanted.len() {
                return Err(place_error("a key of the JSON names it, or an escaped string does"));
            }
        }
        BodyKind::Json => {}
    }
    Ok(wanted)
}

fn walk(value: &Value, pointer: &mut String, wanted: &mut Vec<(String, Place)>) {
    let length = pointer.len();
    match value {
        Value::String(text) => {
            for (_, name) in placeholders(text) {
                wanted.push((name.to_owned(), Place::Json(pointer.clone())));
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{at}"));
                walk(item, pointer, wanted);
                pointer.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                walk(field, pointer, wanted);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

/// The body with its secrets; everything else of it stays as it is, byte for byte in JSON.
pub(crate) fn fill_body(kind: BodyKind, body: &Bytes, values: &Values) -> Result<Bytes, BrokerError> {
    match kind {
        BodyKind::Json if names_a_secret(body) => {
            let text = std::str::from_utf8(body).map_err(|_| place_error("the body is no UTF-8"))?;
            let secret = |bytes: &[u8]| {
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| place_error("its value is no text, and cannot stand in JSON"))?;
                let quoted = Value::from(text).to_string();
                Ok(quoted[1..quoted.len() - 1].to_owned())
            };
            Ok(replaced(text, values, str::to_owned, secret)?.into())
        }
        BodyKind::Form => {
            let text = String::from_utf8_lossy(body);
            if pairs(&text, true).iter().all(|(_, value)| placeholders(value).is_empty()) {
                return Ok(body.clone());
            }
            Ok(fill_pairs(&text, values)?.into())
        }
        _ => Ok(body.clone()),
    }
}

/// Keys and values, decoded.
fn pairs(text: &str, is_form: bool) -> Vec<(String, String)> {
    let read = |text: &str| if is_form { decoded(&text.replace('+', " ")) } else { decoded(text) };
    text.split('&')
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (read(key), read(value))
        })
        .collect()
}

/// `a=b&c=d` with the secrets in its values; pairs without one stay as they are.
fn fill_pairs(text: &str, values: &Values) -> Result<String, BrokerError> {
    let filled: Vec<String> = text
        .split('&')
        .map(|pair| {
            let Some((key, value)) = pair.split_once('=') else { return Ok(pair.to_owned()) };
            let plain = decoded(value);
            if placeholders(&plain).is_empty() {
                return Ok(pair.to_owned());
            }
            let literal = |literal: &str| encoded(literal.as_bytes());
            let value = replaced(&plain, values, literal, |bytes| Ok(encoded(bytes)))?;
            Ok(format!("{key}={value}"))
        })
        .collect::<Result<_, BrokerError>>()?;
    Ok(filled.join("&"))
}

#[cfg(test)]
mod tests;
