//! What the readers of foreign input promise, as functions of bytes: each panics when a promise is broken.
//!
//! The fuzz targets feed them what the fuzzer finds, `host/berth/tests/properties.rs` the seeds and random bytes.

mod shapes;

use berth_broker::{Asker, Host, OriginPattern, Scope, Target};
use berth_wasm::inspect::inspect;
use berth_wasm::limits::{self, Limits};
use berth_wasm::value::{BadValue, Decoder, Encoder};
use berth_wasm::{Docs, Manifest};
use serde_json::{Value, json};

use shapes::Bytes;

/// Values of one document at most, as for a call.
const VALUES: usize = 10_000;
const TEXT_BYTES: usize = 1 << 18;

/// A manifest is read or refused; a refusal names a place in the text, what is read is within its bounds.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Manifest::parse(text) {
        Err(error) => {
            let lines = text.matches('\n').count() + 1;
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error}");
            if let Some(span) = &error.span {
                assert!(span.start <= span.end && span.end <= text.len(), "{error}");
            }
            assert!(!error.message.is_empty());
        }
        Ok(manifest) => {
            assert!((1..=40).contains(&manifest.id.len()));
            assert!(!manifest.id.contains(['/', '.', '\\']), "an id is a name of files: {}", manifest.id);
            if let Some(file) = &manifest.component {
                assert!(file.ends_with(".wasm") && !file.contains(['/', '\\', '\0']), "{file}");
            }
            let limits = manifest.wishes.over(&Limits::default()).clamped(&Limits::ceilings());
            for key in limits::KEYS {
                let value = (key.value)(&limits);
                assert!(value > 0 && value <= (key.value)(&Limits::ceilings()), "{}", key.name);
            }
            assert_eq!(Manifest::parse(text).as_ref(), Ok(&manifest), "the same text, another manifest");
        }
    }
}

/// Lines: patterns of hosts first, then `-`, then URLs. What a URL is read as is stable, and a pattern covers no other
/// host than it names.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (patterns, urls) = text.split_once("\n-\n").unwrap_or(("https://*.example.com", text));
    let patterns: Vec<OriginPattern> =
        patterns.lines().take(8).filter_map(|line| OriginPattern::parse(line).ok()).collect();
    for pattern in &patterns {
        let again = OriginPattern::parse(&pattern.to_string());
        assert_eq!(again.as_ref(), Ok(pattern), "{pattern} is not read as what it is");
    }
    for line in urls.lines().take(8) {
        let Ok(target) = Target::parse(line) else { continue };
        let written = format!("{}{}", target.origin(), target.path_and_query());
        assert_eq!(Target::parse(&written).as_ref(), Ok(&target), "{line} became {written}");
        assert!(target.path().starts_with('/'), "{written}");
        assert!(!target.path().split('/').any(|segment| segment == "." || segment == ".."), "{written}");
        assert!(!written.contains(['\\', ' ', '\n', '\r', '\t', '\0', '#']), "{written}");
        if let Host::Name(name) = &target.origin().host {
            assert_eq!(name.to_ascii_lowercase(), *name, "{written}");
            assert!(name.is_ascii() && !name.ends_with('.'), "{written}");
            assert!(name.parse::<std::net::IpAddr>().is_err(), "{written} hides an address");
        }
        for pattern in patterns.iter().filter(|pattern| pattern.covers(target.origin())) {
            covered(pattern, &target);
        }
    }
}

fn covered(pattern: &OriginPattern, target: &Target) {
    let (pattern_text, origin) = (pattern.to_string(), target.origin().to_string());
    match pattern_text.split_once("*.") {
        None => assert_eq!(pattern_text, origin),
        Some((scheme, domain)) => {
            let rest = origin.strip_prefix(scheme).and_then(|rest| rest.strip_suffix(domain));
            assert!(
                rest.is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
                "{pattern_text} covers {origin}"
            );
            assert!(matches!(target.origin().host, Host::Name(_)));
        }
    }
    let scope = json!({ "hosts": [pattern_text], "paths": ["/v1/"], "methods": ["GET"] });
    let Ok(scope) = Scope::read(&scope, Asker::Operator) else {
        panic!("{pattern_text} is a pattern and no host of a scope")
    };
    assert_eq!(scope.covers("GET", target), target.path().starts_with("/v1/"));
    assert!(!scope.covers("POST", target));
}

/// First bytes that make a type, then JSON: it is refused with a pointer into it, or is a value that comes back as JSON
/// that says the same.
pub fn json_to_wit(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let shape = shapes::shape(&mut bytes, 0);
    let Ok(value) = serde_json::from_slice::<Value>(bytes.rest()) else { return };
    match Decoder::new(VALUES, TEXT_BYTES).value(&shape, value.clone()) {
        Err(bad) => points_into(&bad, &value),
        Ok(val) => {
            let Ok(written) = Encoder::new(usize::MAX).value(&shape, val) else {
                panic!("{value} was taken as {shape:?} and cannot be written")
            };
            let val = match Decoder::new(VALUES, TEXT_BYTES * 2).value(&shape, written.clone()) {
                Ok(val) => val,
                Err(bad) => panic!("{written} is what the host writes and does not take: {bad}"),
            };
            assert_eq!(Encoder::new(usize::MAX).value(&shape, val), Ok(written));
        }
    }
}

/// The pointer leads to a value, or to a member that should be there.
fn points_into(bad: &BadValue, value: &Value) {
    let parent = bad.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    assert!(
        value.pointer(&bad.pointer).is_some() || value.pointer(parent).is_some(),
        "`{}` is not in {value}",
        bad.pointer
    );
}

/// Bytes that make a type and a value of it: written as JSON within the limit, it is read as the same value.
pub fn wit_to_json(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let limit = usize::from(bytes.next()) * 64;
    let shape = shapes::shape(&mut bytes, 0);
    let val = shapes::val(&mut bytes, &shape);
    let Ok(written) = Encoder::new(usize::MAX).value(&shape, val.clone()) else {
        panic!("{val:?} is a {shape:?} and cannot be written")
    };
    let text = written.to_string();
    if Encoder::new(limit).value(&shape, val).is_ok() {
        assert!(text.len() <= limit, "{} bytes within a limit of {limit}", text.len());
    }
    // Through the value and not through the text, whose reader may be off by the last bit of a float.
    assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text} is no JSON");
    let val = match Decoder::new(VALUES * 10, TEXT_BYTES * 8).value(&shape, written.clone()) {
        Ok(val) => val,
        Err(bad) => panic!("{text} is not read as what it was: {bad}"),
    };
    assert_eq!(Encoder::new(usize::MAX).value(&shape, val), Ok(written));
}

/// A component is inspected or refused with a code; what is taken has tools with names that a model may see.
pub fn component(data: &[u8]) {
    let manifest = Manifest::parse(
        "[plugin]\nid = \"fuzz\"\nversion = \"0.1.0\"\n[[capability]]\nname = \"files\"\nrequired = false\n\
         scope = { guest = \"/data\" }\n[[capability]]\nname = \"endpoint\"\nrequired = false\n",
    );
    let Ok(manifest) = manifest else { panic!("the manifest of this test is not right") };
    match inspect(data, &manifest, &Docs::default()) {
        Err(error) => assert!(!error.code().is_empty() && !error.to_string().is_empty()),
        Ok(report) => {
            assert_eq!(report.digest, berth_wasm::digest(data));
            assert!(report.is_dynamic || !report.tools.is_empty());
            for tool in &report.tools {
                let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
                assert!((1..=64).contains(&tool.name.len()) && tool.name.bytes().all(plain), "{}", tool.name);
                assert!(tool.input_schema.is_object());
            }
        }
    }
}
