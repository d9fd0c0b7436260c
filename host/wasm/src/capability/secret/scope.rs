//! The scope of `secret`: which one, where it may be sent, and what may be done with it.

use berth_broker::Place;
use berth_broker::scope::OriginPattern;
use berth_broker::target::Target;
use berth_secrets::SecretName;
use serde_json::{Value, json};

use crate::capability::is_left_open;

/// Operations that a scope without `operations` covers: those whose answers tell nothing that helps against the secret
/// or what it protects.
pub const DEFAULT_OPERATIONS: [&str; 5] =
    ["hmac-sha256", "sign-ed25519", "sha256-joined", "sha1-sorted", "equals"];
/// Operations that a scope must name: they read and write what the secret protects, or send it away.
pub const NAMED_OPERATIONS: [&str; 5] =
    ["aes-cbc-decrypt", "aes-cbc-encrypt", "aes-ecb-decrypt", "aes-ecb-encrypt", "exchange"];

/// The most entries of a list in a scope.
const ENTRIES: usize = 64;

/// The scope that a use of `operation` on a secret needs.
pub fn wanted_operation(name: &SecretName, operation: &str) -> Value {
    json!({ "id": name.as_str(), "operations": [operation] })
}

/// The scope that knowing of a secret needs.
pub fn wanted_name(name: &SecretName) -> Value {
    json!({ "id": name.as_str() })
}

/// The scope that sending a secret to an origin in a place needs.
pub fn wanted_placement(name: &SecretName, origin: &str, place: &str) -> Value {
    json!({ "id": name.as_str(), "audience": [origin], "place": [place] })
}

/// Whether a scope of a manifest or a grant covers `wanted`, which names a secret and what is to be done with it.
///
/// A list that is left out covers nothing, but for `operations`, which then are [`DEFAULT_OPERATIONS`]. An empty scope,
/// which only a manifest has, covers everything.
pub fn covers(scope: &Value, wanted: &Value) -> bool {
    if is_left_open(scope) {
        return true;
    }
    let id = scope.get("id").and_then(Value::as_str);
    if id.is_none() || id != wanted.get("id").and_then(Value::as_str) {
        return false;
    }
    let each = |key: &str, fits: &dyn Fn(&str) -> bool| match wanted.get(key) {
        None => true,
        Some(Value::Array(words)) => words.iter().all(|word| word.as_str().is_some_and(fits)),
        Some(_) => false,
    };
    each("audience", &|origin| has(scope, "audience", |pattern| fits_origin(pattern, origin)))
        && each("place", &|place| has(scope, "place", |own| same_place(own, place)))
        && each("operations", &|operation| match scope.get("operations") {
            None => DEFAULT_OPERATIONS.contains(&operation),
            Some(_) => has(scope, "operations", |own| own == operation),
        })
}

fn has(scope: &Value, key: &str, fits: impl Fn(&str) -> bool) -> bool {
    scope
        .get(key)
        .and_then(Value::as_array)
        .is_some_and(|words| words.iter().filter_map(Value::as_str).any(fits))
}

/// Whether `pattern`, an origin whose host may begin with `*.`, names `origin`, in the normal form of the broker.
fn fits_origin(pattern: &str, origin: &str) -> bool {
    match (OriginPattern::parse(pattern), Target::parse(origin)) {
        (Ok(pattern), Ok(target)) => pattern.covers(target.origin()),
        // A grant may name what another does, word for word.
        (Ok(_), Err(_)) => pattern == origin,
        (Err(_), _) => false,
    }
}

/// Whether both texts name one place of a request, in the normal form of the broker.
fn same_place(own: &str, wanted: &str) -> bool {
    Place::parse(own).is_ok_and(|own| Place::parse(wanted).is_ok_and(|wanted| own == wanted))
}

/// Checks the scope of a manifest; an empty one leaves the secrets to the operator.
pub fn check_request(scope: &Value) -> Result<(), String> {
    if is_left_open(scope) { Ok(()) } else { check_scope(scope) }
}

/// Checks the scope of a grant, and of a manifest that names a secret:
/// `{ id = "app_secret", audience = ["https://open.feishu.cn"], place = ["json:/app_secret"], operations = [..] }`.
pub fn check_scope(scope: &Value) -> Result<(), String> {
    let object = scope.as_object().ok_or("the scope must be a table")?;
    const KEYS: [&str; 4] = ["id", "audience", "place", "operations"];
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("`{key}` is no key of the scope of `secret`: it has `{}`", KEYS.join("`, `")));
    }
    let id = object.get("id").and_then(Value::as_str).ok_or("`id` must name the secret")?;
    id.parse::<SecretName>().map_err(|error| format!("`id`: {error}"))?;
    list(scope, "audience", check_origin)?;
    list(scope, "place", check_place)?;
    list(scope, "operations", |word| {
        if DEFAULT_OPERATIONS.contains(&word) || NAMED_OPERATIONS.contains(&word) {
            return Ok(());
        }
        let known = [&DEFAULT_OPERATIONS[..], &NAMED_OPERATIONS[..]].concat().join(", ");
        Err(format!("`{word}` is no operation: known are {known}"))
    })?;
    if object.contains_key("audience") != object.contains_key("place") {
        return Err(
            "`audience` and `place` go together: where the secret may be sent, and where it stands then"
                .to_owned(),
        );
    }
    Ok(())
}

fn list(scope: &Value, key: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<(), String> {
    let Some(value) = scope.get(key) else { return Ok(()) };
    let words = value.as_array().filter(|words| (1..=ENTRIES).contains(&words.len()));
    let words = words.ok_or_else(|| format!("`{key}` must be a list of 1 to {ENTRIES} texts"))?;
    for word in words {
        let word = word.as_str().ok_or_else(|| format!("`{key}` must be a list of texts"))?;
        check(word).map_err(|message| format!("`{key}`: {message}"))?;
    }
    Ok(())
}

/// An origin and no more.
fn check_origin(origin: &str) -> Result<(), String> {
    OriginPattern::parse(origin).map(drop).map_err(|error| error.to_string())
}

/// A place of a request.
fn check_place(place: &str) -> Result<(), String> {
    Place::parse(place).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn name() -> SecretName {
        "app_secret".parse().unwrap()
    }

    #[test]
    fn a_secret_goes_to_its_audience_in_its_place_and_nowhere_else() {
        let scope = json!({
            "id": "app_secret", "audience": ["https://open.feishu.cn", "https://*.example.org:8443"],
            "place": ["json:/app_secret", "header:authorization"],
        });
        let to = |origin: &str, place: &str| covers(&scope, &wanted_placement(&name(), origin, place));

        assert!(to("https://open.feishu.cn", "json:/app_secret"));
        assert!(to("https://OPEN.feishu.cn:443", "header:Authorization"));
        assert!(to("https://a.b.example.org:8443", "json:/app_secret"));
        for elsewhere in [
            "http://open.feishu.cn",
            "https://open.feishu.cn:8443",
            "https://open.feishu.cn.evil.org",
            "https://evil-open.feishu.cn",
            "https://feishu.cn",
            "https://example.org:8443",
            "https://evilexample.org:8443",
            "https://a.example.org",
        ] {
            assert!(!to(elsewhere, "json:/app_secret"), "{elsewhere}");
        }
        for place in ["json:/other", "query:app_secret", "path", "header:cookie", "json:/app_secret/0"] {
            assert!(!to("https://open.feishu.cn", place), "{place}");
        }
        let other = "other".parse().unwrap();
        assert!(!covers(&scope, &wanted_placement(&other, "https://open.feishu.cn", "json:/app_secret")));
    }

    #[test]
    fn a_scope_that_names_no_audience_sends_nothing() {
        let wanted = wanted_placement(&name(), "https://open.feishu.cn", "json:/app_secret");
        for scope in [
            json!({ "id": "app_secret" }),
            json!({ "id": "app_secret", "audience": ["https://open.feishu.cn"] }),
            json!({ "id": "app_secret", "place": ["json:/app_secret"] }),
            json!({ "audience": ["https://open.feishu.cn"], "place": ["json:/app_secret"] }),
        ] {
            assert!(!covers(&scope, &wanted), "{scope}");
        }
    }

    #[test]
    fn what_reads_and_writes_for_the_guest_must_be_named() {
        let plain = json!({ "id": "app_secret" });
        let named = json!({ "id": "app_secret", "operations": ["aes-cbc-decrypt"] });
        for operation in DEFAULT_OPERATIONS {
            assert!(covers(&plain, &wanted_operation(&name(), operation)), "{operation}");
        }
        for operation in NAMED_OPERATIONS {
            assert!(!covers(&plain, &wanted_operation(&name(), operation)), "{operation}");
            let is_named = operation == "aes-cbc-decrypt";
            assert_eq!(covers(&named, &wanted_operation(&name(), operation)), is_named, "{operation}");
        }
    }

    #[test]
    fn a_manifest_may_leave_the_secrets_to_the_operator_and_a_grant_must_name_one() {
        let wanted = wanted_placement(&name(), "https://x.org", "path");

        assert!(covers(&json!({}), &wanted));
        assert_eq!(check_request(&json!({})), Ok(()));
        assert!(check_scope(&json!({})).is_err());
        assert!(check_request(&json!({ "place": ["path"] })).is_err());
    }

    #[test]
    fn scopes_are_checked() {
        for good in [
            json!({ "id": "a" }),
            json!({ "id": "a", "audience": ["https://x.org"], "place": ["path"] }),
            json!({ "id": "a", "audience": ["http://[::1]:8080", "http://127.0.0.1:1"], "place": ["form:x"] }),
            json!({ "id": "a", "operations": ["exchange", "equals"] }),
        ] {
            assert_eq!(check_scope(&good), Ok(()), "{good}");
        }
        for (bad, word) in [
            (json!([]), "table"),
            (json!({}), "`id`"),
            (json!({ "id": "A" }), "`id`"),
            (json!({ "id": "a", "audiences": [] }), "`audiences`"),
            (json!({ "id": "a", "audience": ["https://x.org"] }), "go together"),
            (json!({ "id": "a", "place": ["path"] }), "go together"),
            (json!({ "id": "a", "audience": [], "place": ["path"] }), "1 to 64"),
            (json!({ "id": "a", "audience": ["x.org"], "place": ["path"] }), "origin"),
            (json!({ "id": "a", "audience": ["https://x.org/a"], "place": ["path"] }), "origin"),
            (json!({ "id": "a", "audience": ["https://u@x.org"], "place": ["path"] }), "origin"),
            (json!({ "id": "a", "audience": ["https://*"], "place": ["path"] }), "`*`"),
            (json!({ "id": "a", "audience": ["https://*.org"], "place": ["path"] }), "top-level"),
            (json!({ "id": "a", "audience": ["https://a.*.org"], "place": ["path"] }), "leading label"),
            (json!({ "id": "a", "audience": ["https://x.org"], "place": ["body"] }), "place"),
            (json!({ "id": "a", "audience": ["https://x.org"], "place": ["json:x"] }), "place"),
            (json!({ "id": "a", "audience": ["https://x.org"], "place": ["header:a b"] }), "place"),
            (json!({ "id": "a", "audience": ["https://x.org"], "place": ["query:"] }), "place"),
            (
                json!({ "id": "a", "audience": ["https://x.org"], "place": [format!("form:{}", "a".repeat(257))] }),
                "place",
            ),
            (json!({ "id": "a", "operations": ["reveal"] }), "no operation"),
        ] {
            let message = check_scope(&bad).unwrap_err();
            assert!(message.contains(word), "{bad}: {message}");
        }
    }
}
