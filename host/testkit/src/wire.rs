//! Answers and frames as snapshots hold them.

use serde_json::Value;

const PREFIXES: [&str; 11] =
    ["thr_", "msg_", "sess_", "run_", "evt_", "op_", "call_", "approval_", "conn_", "delivery_", "grant_"];

/// A value for a snapshot: ids become `run_1`, `run_2` … in the order they appear, times become `<time>`, places in
/// the order of events `<seq>`, other numbers of 32 hex digits `<hex>`.
pub fn tidy(value: &Value) -> String {
    let text = value.to_string();
    let mut seen: Vec<&str> = Vec::new();
    let mut out = String::new();
    let mut rest = text.as_str();
    let is_hex = |text: &str| text.len() >= 32 && text.as_bytes()[..32].iter().all(u8::is_ascii_hexdigit);
    while let Some(first) = rest.chars().next() {
        if let Some(prefix) = PREFIXES.iter().find(|prefix| rest.strip_prefix(**prefix).is_some_and(is_hex)) {
            let (id, behind) = rest.split_at(prefix.len() + 32);
            if !seen.contains(&id) {
                seen.push(id);
            }
            let mut of_kind = seen.iter().filter(|known| known.starts_with(prefix));
            let number = of_kind.position(|known| *known == id).unwrap() + 1;
            out.push_str(&format!("{prefix}{number}"));
            rest = behind;
        } else if is_hex(rest) {
            out.push_str("<hex>");
            rest = &rest[32..];
        } else if rest.starts_with("\"2026-") {
            out.push_str("\"<time>");
            rest = &rest[rest[1..].find('"').unwrap() + 1..];
        } else if let Some(behind) = rest.strip_prefix("\"seq\":") {
            out.push_str("\"seq\":<seq>");
            rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_times_and_places_are_counted_and_the_rest_stays() {
        let one = format!("run_{:032x}", 7);
        let two = format!("run_{:032x}", 9);
        let value = json!({ "a": one, "b": [two, one], "at": "2026-05-01T00:00:00Z", "seq": 12, "turn": "0".repeat(32) });

        assert_eq!(
            tidy(&value),
            r#"{"a":"run_1","b":["run_2","run_1"],"at":"<time>","seq":<seq>,"turn":"<hex>"}"#
        );
    }
}
