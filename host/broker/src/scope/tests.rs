#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn scope(value: serde_json::Value) -> Scope {
    Scope::read(&value, Asker::Operator).unwrap()
}

fn target(text: &str) -> Target {
    Target::parse(text).unwrap()
}

#[test]
fn a_scope_covers_what_it_names_and_nothing_beside_it() {
    let feishu = scope(json!({
        "hosts": ["https://open.feishu.cn", "https://*.example.com", "http://plain.example:8080"],
        "paths": ["/open-apis/", "/v1"],
        "methods": ["GET", "POST"],
    }));

    for (method, url) in [
        ("GET", "https://open.feishu.cn/open-apis/im"),
        ("POST", "https://OPEN.feishu.cn.:443/open-apis/"),
        ("GET", "https://a.example.com/v1"),
        ("GET", "https://a.b.example.com/v1/x?y=/../z"),
        ("GET", "http://plain.example:8080/v1/"),
        ("GET", "https://open.feishu.cn/%6Fpen-apis/x"),
    ] {
        assert!(feishu.covers(method, &target(url)), "{method} {url}");
    }
    for (method, url) in [
        ("DELETE", "https://open.feishu.cn/open-apis/im"),
        ("get", "https://open.feishu.cn/open-apis/im"),
        ("GET", "http://open.feishu.cn/open-apis/im"),
        ("GET", "https://open.feishu.cn:8443/open-apis/im"),
        ("GET", "https://open.feishu.cn.evil.example/open-apis/im"),
        ("GET", "https://evilopen.feishu.cn/open-apis/im"),
        ("GET", "https://example.com/v1"),
        ("GET", "https://badexample.com/v1"),
        ("GET", "https://example.com.evil.example/v1"),
        ("GET", "https://plain.example:8080/v1"),
        ("GET", "http://plain.example/v1"),
        ("GET", "https://open.feishu.cn/open-apis"),
        ("GET", "https://open.feishu.cn/open-apisx/"),
        ("GET", "https://open.feishu.cn/Open-Apis/"),
        ("GET", "https://open.feishu.cn/v10"),
        ("GET", "https://open.feishu.cn//open-apis/"),
        ("GET", "https://open.feishu.cn/open-apis/../admin"),
        ("GET", "https://open.feishu.cn/open-apis%2Fx"),
        ("GET", "https://open.feishu.cn/?/open-apis/"),
    ] {
        assert!(!feishu.covers(method, &target(url)), "{method} {url}");
    }
}

#[test]
fn what_a_scope_leaves_out_it_does_not_narrow() {
    let all = scope(json!({ "hosts": ["https://a.example"] }));

    assert!(METHODS.into_iter().all(|method| all.covers(method, &target("https://a.example/any/path"))));
}

#[test]
fn a_scope_that_is_not_right_says_what_to_write() {
    for (value, says) in [
        (json!([]), "must be an object"),
        (json!({}), "needs `hosts`"),
        (json!({ "hosts": [] }), "`hosts` must be a list"),
        (json!({ "hosts": "https://a.example" }), "`hosts` must be a list"),
        (json!({ "host": ["https://a.example"] }), "`host` is no key"),
        (json!({ "hosts": ["*"] }), "`*` is everything"),
        (json!({ "hosts": ["a.example"] }), "write https://a.example"),
        (json!({ "hosts": ["https://*"] }), "not the whole leading label"),
        (json!({ "hosts": ["https://*.com"] }), "whole top-level domain"),
        (json!({ "hosts": ["https://a.*.example"] }), "not the whole leading label"),
        (json!({ "hosts": ["https://a*.example"] }), "not the whole leading label"),
        (json!({ "hosts": ["https://*.127.0.0.1"] }), "wildcard before an address"),
        (json!({ "hosts": ["https://a.example/v1"] }), "paths stand in `paths`"),
        (json!({ "hosts": ["ftp://a.example"] }), "is no origin"),
        (json!({ "hosts": ["https://u@a.example"] }), "is no origin"),
        (json!({ "hosts": ["http://0.0.0.0"] }), "no address of a server"),
        (json!({ "hosts": ["https://a.example"], "paths": ["v1"] }), "must begin with `/`"),
        (json!({ "hosts": ["https://a.example"], "paths": ["/v1/*"] }), "is a prefix"),
        (json!({ "hosts": ["https://a.example"], "paths": ["/a/../b"] }), "`..`"),
        (json!({ "hosts": ["https://a.example"], "paths": ["/a/%2e%2e%2fb"] }), "is no path"),
        (json!({ "hosts": ["https://a.example"], "methods": ["get"] }), "`get` is none of GET"),
        (json!({ "hosts": ["https://a.example"], "methods": ["CONNECT"] }), "`CONNECT` is none of"),
        (json!({ "hosts": ["https://a.example"], "addresses": ["0.0.0.0/0"] }), "wider than /8"),
        (json!({ "hosts": ["https://a.example"], "addresses": ["10.0.0.1/8"] }), "bits behind"),
        (json!({ "hosts": ["https://a.example"], "addresses": ["nas"] }), "is no address"),
    ] {
        let error = Scope::read(&value, Asker::Operator).unwrap_err().to_string();
        assert!(error.contains(says), "{value}: {error}");
    }
}

#[test]
fn what_is_private_stands_in_no_manifest_and_in_a_grant_of_the_operator() {
    for host in [
        "http://127.0.0.1:8080",
        "http://8.8.8.8",
        "http://[::1]",
        "http://2130706433",
        "http://localhost",
        "http://api.localhost",
        "http://nas",
        "https://nas.local",
        "https://wiki.corp",
        "https://router.lan",
        "https://x.home.arpa",
        "https://metadata.google.internal",
    ] {
        let value = json!({ "hosts": ["https://a.example", host] });
        let error = Scope::read(&value, Asker::Manifest).unwrap_err();
        assert!(matches!(error, ScopeError::Private { .. }), "{host}: {error}");
        assert_eq!(scope(value).private().len(), 1, "{host}");
    }
    let listed = json!({ "hosts": ["https://a.example"], "addresses": ["10.0.0.1"] });
    assert!(Scope::read(&listed, Asker::Manifest).is_err());
    assert!(scope(listed).private().is_empty());
}

#[test]
fn a_private_address_is_opened_by_a_grant_that_names_it_and_by_no_other() {
    let closed = |value: serde_json::Value, url: &str, ip: &str| {
        closed(&[scope(value)], target(url).origin(), ip.parse().unwrap())
    };
    let named = json!({ "hosts": ["http://127.0.0.1:8080"] });
    assert_eq!(closed(named.clone(), "http://127.0.0.1:8080/", "127.0.0.1"), None);
    assert_eq!(closed(named.clone(), "http://127.0.0.1:8081/", "127.0.0.1"), Some(Range::Loopback));
    assert_eq!(closed(named, "http://127.0.0.2:8080/", "127.0.0.2"), Some(Range::Loopback));

    // A public name that leads to a private address is what a rebinding looks like.
    let public = json!({ "hosts": ["https://a.example"] });
    assert_eq!(closed(public.clone(), "https://a.example/", "192.168.1.10"), Some(Range::Private));
    assert_eq!(closed(public, "https://a.example/", "93.184.215.14"), None);
    let listed = json!({ "hosts": ["https://a.example"], "addresses": ["192.168.1.0/24"] });
    assert_eq!(closed(listed.clone(), "https://a.example/", "192.168.1.10"), None);
    assert_eq!(closed(listed.clone(), "https://a.example/", "192.168.2.10"), Some(Range::Private));
    assert_eq!(closed(listed, "https://b.example/", "192.168.1.10"), Some(Range::Private));

    let house = json!({ "hosts": ["http://nas.lan"] });
    assert_eq!(closed(house.clone(), "http://nas.lan/", "192.168.1.10"), None);
    assert_eq!(closed(house.clone(), "http://nas.lan/", "127.0.0.1"), Some(Range::Loopback));
    assert_eq!(closed(house, "http://nas.lan/", "169.254.169.254"), Some(Range::Metadata));
    let local = json!({ "hosts": ["http://localhost"] });
    assert_eq!(closed(local.clone(), "http://localhost/", "127.0.0.1"), None);
    assert_eq!(closed(local, "http://localhost/", "10.0.0.1"), Some(Range::Private));
}

#[test]
fn metadata_is_opened_by_its_exact_address_alone() {
    let origin = target("http://a.example/").origin().clone();
    let ip = "169.254.169.254".parse().unwrap();
    let with = |net: &str| scope(json!({ "hosts": ["http://a.example"], "addresses": [net] }));

    assert_eq!(closed(&[with("169.254.0.0/16")], &origin, ip), Some(Range::Metadata));
    assert_eq!(closed(&[with("169.254.169.254")], &origin, ip), None);
}

fn host_pattern() -> impl Strategy<Value = String> {
    let name = "[ab](\\.[ab]){1,3}";
    ("https?", prop::bool::ANY, name, prop::option::of(80_u16..83)).prop_map(|(scheme, wild, name, port)| {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{}{name}{port}", if wild { "*." } else { "" })
    })
}

fn any_scope() -> impl Strategy<Value = serde_json::Value> {
    let paths = prop::option::of(prop::collection::vec("(/[ab]{1,2}){1,2}/?|/", 1..3));
    let methods = prop::option::of(prop::collection::vec(prop::sample::select(METHODS.to_vec()), 1..3));
    (prop::collection::vec(host_pattern(), 1..3), paths, methods).prop_map(|(hosts, paths, methods)| {
        let mut scope = json!({ "hosts": hosts });
        if let Some(paths) = paths {
            scope["paths"] = json!(paths);
        }
        if let Some(methods) = methods {
            scope["methods"] = json!(methods);
        }
        scope
    })
}

/// What a careless server makes of a path: decodes it until nothing changes, then resolves dots and double slashes.
fn careless(path: &str) -> String {
    let mut now = path.to_owned();
    loop {
        let decoded = percent_encoding::percent_decode_str(&now).decode_utf8_lossy().replace('\\', "/");
        if decoded == now {
            break;
        }
        now = decoded;
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in now.split('/') {
        match segment.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    format!("/{}/", segments.join("/"))
}

proptest! {
    #[test]
    fn no_path_gets_out_of_its_prefix(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "/", "..", ".", "%2e", "%2E", "%2f", "%5c", "%252e", "%252f", ";", "a", "open-apis", "%20", "\\", "%00", "%c0%ae",
        ]), 0..10),
    ) {
        let scope = scope(json!({ "hosts": ["https://a.example"], "paths": ["/open-apis/"] }));
        let url = format!("https://a.example/open-apis/{}", pieces.concat());

        if let Ok(target) = Target::parse(&url) && scope.covers("GET", &target) {
            prop_assert!(careless(target.path()).starts_with("/open-apis/"), "{}", target);
        }
    }

    #[test]
    fn a_narrower_scope_covers_nothing_that_the_wider_one_does_not(
        narrow in any_scope(), wide in any_scope(),
        host in "[ab](\\.[ab]){0,4}", port in prop::option::of(80_u16..83), tls: bool,
        path in "(/[ab]{0,2}){1,3}", method in prop::sample::select(METHODS.to_vec()),
    ) {
        let (narrow, wide) = (scope(narrow), scope(wide));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let target = target(&format!("{}://{host}{port}{path}", if tls { "https" } else { "http" }));

        prop_assert!(narrow.is_within(&narrow));
        if narrow.is_within(&wide) && narrow.covers(method, &target) {
            prop_assert!(wide.covers(method, &target));
        }
    }

    #[test]
    fn only_the_named_origin_is_covered(pattern in host_pattern(), host in "[ab](\\.[ab]){0,4}", tls: bool) {
        let named = scope(json!({ "hosts": [pattern.clone()] }));
        let target = target(&format!("{}://{host}/", if tls { "https" } else { "http" }));

        if named.covers("GET", &target) {
            let bare = pattern.split("://").nth(1).unwrap().split(':').next().unwrap();
            match bare.strip_prefix("*.") {
                Some(domain) => prop_assert!(host.ends_with(domain) && host.len() > domain.len()),
                None => prop_assert_eq!(bare, host.as_str()),
            }
            prop_assert_eq!(pattern.starts_with("https:"), tls);
        }
    }

    #[test]
    fn no_json_panics_the_reader(text in "\\PC{0,40}") {
        for key in ["hosts", "paths", "methods", "addresses"] {
            let mut value = json!({ "hosts": ["https://a.example"] });
            value[key] = json!([text]);
            let _ = Scope::read(&value, Asker::Operator);
            let _ = Scope::read(&value, Asker::Manifest);
        }
    }
}
