#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::capability::grants::{Fixed, Granted, Request};

struct Epoch;

impl berth_core::port::clock::Clock for Epoch {
    fn now(&self) -> berth_model::Timestamp {
        berth_model::Timestamp::from_micros(0)
    }
}

fn target(text: &str) -> Target {
    Target::parse(text).unwrap()
}

fn view(asked: Value, grants: &[(GrantMode, Value)]) -> GrantView {
    let requests = vec![Request::new(Capability::Http, asked)];
    let granted = |(mode, scope): &(GrantMode, Value)| Granted {
        capability: Capability::Http,
        scope: scope.clone(),
        mode: *mode,
    };
    GrantView::new(1, "feishu", requests, grants.iter().map(granted).collect())
}

async fn decided(view: GrantView, method: &str, url: &str) -> Result<Permit, Denied> {
    let authority = GrantAuthority::new(Access::new(Arc::new(Fixed(Arc::new(view))), Arc::new(Epoch)));
    authority.authorize(Use { method, target: &target(url) }).await
}

#[tokio::test]
async fn a_request_goes_where_manifest_and_grant_both_let_it() {
    let asked = json!({ "hosts": ["https://*.example.com"], "paths": ["/v1/"], "methods": ["GET", "POST"] });
    let grants =
        [(GrantMode::Allow, json!({ "hosts": ["https://a.example.com"], "methods": ["GET", "DELETE"] }))];

    let url = "https://a.example.com/v1/x";
    assert!(decided(view(asked.clone(), &grants), "GET", url).await.is_ok());
    for (method, url) in [
        ("POST", url),
        ("DELETE", url),
        ("GET", "https://b.example.com/v1/x"),
        ("GET", "https://a.example.com/v2/x"),
        ("GET", "http://a.example.com/v1/x"),
    ] {
        assert!(decided(view(asked.clone(), &grants), method, url).await.is_err(), "{method} {url}");
    }
    let refused = [grants[0].clone(), (GrantMode::Deny, json!({ "hosts": ["https://*.example.com"] }))];
    assert!(decided(view(asked, &refused), "GET", url).await.is_err());
}

#[tokio::test]
async fn a_denial_names_the_grant_that_would_let_the_request_go() {
    let asked = json!({ "hosts": ["https://a.example"] });

    let denied = decided(view(asked, &[]), "POST", "https://a.example/x?secret=1").await.unwrap_err();

    let command = r#"berth plugin grant feishu http --scope '{"hosts":["https://a.example"],"paths":["/x"],"methods":["POST"]}'"#;
    assert!(denied.message.contains(command), "{denied}");
    assert!(!denied.message.contains("secret=1"));
}

#[tokio::test]
async fn only_a_grant_opens_an_address_off_the_public_internet() {
    let asked = json!({ "hosts": ["https://a.example"] });
    let ip = "10.0.0.1".parse().unwrap();
    let plain = (GrantMode::Allow, json!({ "hosts": ["https://a.example"] }));
    let listed = json!({ "hosts": ["https://a.example"], "addresses": ["10.0.0.1"] });
    let url = "https://a.example/";

    let closed = decided(view(asked.clone(), std::slice::from_ref(&plain)), "GET", url).await.unwrap();
    assert!(closed.closed(target(url).origin(), ip).is_some());
    let open =
        decided(view(asked.clone(), &[plain.clone(), (GrantMode::Allow, listed.clone())]), "GET", url).await;
    assert!(open.unwrap().closed(target(url).origin(), ip).is_none());
    // What a person has not been asked about opens nothing beside what needs no asking.
    let asks = decided(view(asked, &[plain, (GrantMode::Ask, listed)]), "GET", url).await.unwrap();
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
