#![allow(clippy::unwrap_used)]

use super::*;
use crate::capability::grants::{Granted, PermissionDenied, Request};

fn target(text: &str) -> Target {
    Target::parse(text).unwrap()
}

fn view(asked: Value, grants: &[(GrantMode, Value)]) -> GrantView {
    let requests = vec![Request::new(Capability::Http, asked)];
    let granted = |(mode, scope): &(GrantMode, Value)| Granted {
        capability: Capability::Http,
        scope: scope.clone().into(),
        mode: *mode,
    };
    GrantView::new(1, "feishu", requests, grants.iter().map(granted).collect())
}

/// What the grants of `view` say to a request, and which addresses they open.
fn decided(view: GrantView, method: &str, url: &str) -> Result<Permit, PermissionDenied> {
    let target = target(url);
    view.decide(Capability::Http, wanted(method, &target), |scope| covers(scope, method, &target))?;
    Ok(Permit::new(covering(&view, method, &target)))
}

#[test]
fn a_request_goes_where_manifest_and_grant_both_let_it() {
    let asked = json!({ "hosts": ["https://*.example.com"], "paths": ["/v1/"], "methods": ["GET", "POST"] });
    let grants =
        [(GrantMode::Allow, json!({ "hosts": ["https://a.example.com"], "methods": ["GET", "DELETE"] }))];

    let url = "https://a.example.com/v1/x";
    assert!(decided(view(asked.clone(), &grants), "GET", url).is_ok());
    for (method, url) in [
        ("POST", url),
        ("DELETE", url),
        ("GET", "https://b.example.com/v1/x"),
        ("GET", "https://a.example.com/v2/x"),
        ("GET", "http://a.example.com/v1/x"),
    ] {
        assert!(decided(view(asked.clone(), &grants), method, url).is_err(), "{method} {url}");
    }
    let refused = [grants[0].clone(), (GrantMode::Deny, json!({ "hosts": ["https://*.example.com"] }))];
    assert!(decided(view(asked, &refused), "GET", url).is_err());
}

#[test]
fn a_denial_names_the_grant_that_would_let_the_request_go() {
    let asked = json!({ "hosts": ["https://a.example"] });

    let denied = decided(view(asked, &[]), "POST", "https://a.example/x?secret=1").unwrap_err();

    let command = r#"berth plugin grant feishu http --scope '{"hosts":["https://a.example"],"paths":["/x"],"methods":["POST"]}'"#;
    assert!(denied.to_string().contains(command), "{denied}");
    assert!(!denied.to_string().contains("secret=1"));
}

#[test]
fn only_a_grant_opens_an_address_off_the_public_internet() {
    let asked = json!({ "hosts": ["https://a.example"] });
    let ip = "10.0.0.1".parse().unwrap();
    let plain = (GrantMode::Allow, json!({ "hosts": ["https://a.example"] }));
    let listed = json!({ "hosts": ["https://a.example"], "addresses": ["10.0.0.1"] });
    let url = "https://a.example/";

    let closed = decided(view(asked.clone(), std::slice::from_ref(&plain)), "GET", url).unwrap();
    assert!(closed.closed(target(url).origin(), ip).is_some());
    let open = decided(view(asked.clone(), &[plain.clone(), (GrantMode::Allow, listed.clone())]), "GET", url);
    assert!(open.unwrap().closed(target(url).origin(), ip).is_none());
    // What a person has not been asked about opens nothing beside what needs no asking.
    let asks = decided(view(asked, &[plain, (GrantMode::Ask, listed)]), "GET", url).unwrap();
    assert!(asks.closed(target(url).origin(), ip).is_some());
}

#[test]
fn a_private_host_of_a_manifest_needs_a_grant_that_names_it() {
    let asked = json!({ "hosts": ["https://a.example", "http://127.0.0.1:8080", "http://nas.lan"] });

    assert_eq!(private(&asked, &[]), ["http://127.0.0.1:8080", "http://nas.lan"]);
    let granted = json!({ "hosts": ["http://127.0.0.1:8080"] });
    assert_eq!(private(&asked, &[&granted]), ["http://nas.lan"]);
    assert!(check_request(&json!({ "hosts": ["https://a.example"], "addresses": ["10.0.0.1"] })).is_err());
    assert!(check_grant(&json!({ "hosts": ["https://a.example"], "addresses": ["10.0.0.1"] })).is_ok());
}

#[test]
fn limits_are_read_by_name_and_cut_to_what_the_host_lets() {
    let limits = limits(|name| match name {
        "concurrent" => Some(1_000_000),
        "per_minute" => Some(5),
        _ => None,
    });

    assert_eq!((limits.concurrent, limits.per_minute), (Limits::CEILING.concurrent, 5));
    assert_eq!(limits.max_response_bytes, Limits::default().max_response_bytes);
}

#[test]
fn a_guest_may_ask_whether_a_scope_is_granted() {
    let asked = json!({ "hosts": ["https://a.example"] });
    let view =
        view(asked, &[(GrantMode::Allow, json!({ "hosts": ["https://a.example"], "methods": ["GET"] }))]);

    assert!(check(&view, &json!({ "hosts": ["https://a.example"], "methods": ["GET"], "paths": ["/x"] })));
    assert!(!check(&view, &json!({ "hosts": ["https://a.example"] })));
    assert!(!check(&view, &json!({ "hosts": ["https://b.example"], "methods": ["GET"] })));
    assert!(!check(&view, &json!({ "hosts": "https://a.example" })));
}

#[test]
fn a_manifest_may_leave_the_hosts_to_the_operator_and_a_grant_must_name_some() {
    let grant = json!({ "hosts": ["https://a.example"], "methods": ["GET"] });
    let open = |grants: &[(GrantMode, Value)]| view(json!({}), grants);
    let granted = [(GrantMode::Allow, grant.clone())];

    assert!(check_request(&json!({})).is_ok());
    assert!(check_grant(&json!({})).is_err());
    assert!(decided(open(&granted), "GET", "https://a.example/x").is_ok());
    assert!(check(&open(&granted), &grant));
    for (method, url) in
        [("POST", "https://a.example/x"), ("GET", "https://b.example/x"), ("GET", "http://a.example/x")]
    {
        assert!(decided(open(&granted), method, url).is_err(), "{method} {url}");
    }
    assert!(decided(open(&[]), "GET", "https://a.example/x").is_err(), "nothing is granted by asking");
    assert!(!check(&open(&[]), &grant));
}
