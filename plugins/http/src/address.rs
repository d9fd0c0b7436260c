//! Names and values as an address and a form have them. Placeholders of secrets stay readable for the host.

use crate::Pair;

/// The address with more in its query.
pub fn with_query(url: &str, query: &[Pair]) -> String {
    if query.is_empty() {
        return url.to_owned();
    }
    let (before, _) = url.split_once('#').unwrap_or((url, ""));
    let sign = match before.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{before}{sign}{}", form(query))
}

/// `name=value&…`, escaped.
pub fn form(fields: &[Pair]) -> String {
    let field = |pair: &Pair| format!("{}={}", escaped(&pair.name), value(&pair.value));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

fn value(text: &str) -> String {
    let is_placeholder = text.starts_with("{{secret:")
        && text.strip_suffix("}}").is_some_and(|name| !name[2..].contains(['{', '}', '&', '#', ' ']));
    if is_placeholder { text.to_owned() } else { escaped(text) }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
