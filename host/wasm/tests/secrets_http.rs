//! Secrets in requests: where they may go, what comes back of them, and what they are exchanged for.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use berth_broker::Finder;
use serde_json::{Value, json};
use support::echo::{ENCODINGS, Echo, encoded};
use support::host::Harness;
use support::memory::Watched;
use support::vault;

/// What must be in no guest.
const TOKEN: &str = "canary-3f7a91c2d40b";

/// Counts guests that had one of `values` in their memory.
fn watched(values: &[&str]) -> (Arc<Watched>, Arc<Mutex<usize>>) {
    let bytes: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    let finder = Finder::new(&bytes).unwrap();
    let hits = Arc::new(Mutex::new(0));
    let counted = hits.clone();
    let look = move |memory: &[u8]| {
        if finder.is_in(memory) {
            *counted.lock().unwrap() += 1;
        }
    };
    (Arc::new(Watched::new(look)), hits)
}

fn asks(echo: &Echo, secret: Value) -> String {
    let list =
        |key: &str| secret[key].as_array().map(|_| format!(", {key} = {}", secret[key])).unwrap_or_default();
    let scope = format!("id = {}{}{}{}", secret["id"], list("audience"), list("place"), list("operations"));
    format!(
        "[[capability]]\nname = \"http\"\nscope = {{ hosts = [\"{}\"] }}\n[[capability]]\nname = \"secret\"\nscope = {{ {scope} }}\n",
        echo.url("")
    )
}

fn placed(echo: &Echo) -> Value {
    json!({ "id": "token", "audience": [echo.url("")], "place": ["header:authorization", "json:/key"] })
}

/// A host with the guest that sends requests, which may send `token` to the server.
async fn sending(echo: &Echo) -> (Harness, Arc<Watched>, Arc<Mutex<usize>>) {
    let (memories, hits) = watched(&[TOKEN]);
    let berth = Harness::looking(memories.clone()).await;
    berth.grant("http", "http", json!({ "hosts": [echo.url("")] })).await;
    berth.install_fixture("http", &asks(echo, placed(echo))).await.unwrap();
    berth.grant("http", "secret", placed(echo)).await;
    vault::keep(&berth.desk, "http", "token", TOKEN.as_bytes()).await;
    (berth, memories, hits)
}

fn with_token(url: String) -> Value {
    json!({ "url": url, "headers": { "authorization": "{{secret:token}}" } })
}

#[tokio::test]
async fn a_server_that_repeats_a_secret_in_any_encoding_tells_no_guest() {
    let echo = Echo::start().await;
    let (berth, memories, hits) = sending(&echo).await;
    let finder = Finder::new(&[TOKEN.as_bytes()]).unwrap();

    for encoding in ENCODINGS {
        let answer = berth.answer("http_send", with_token(echo.url(&format!("/{encoding}")))).await;

        assert!(echo.heard()[0].contains(TOKEN), "{encoding}: the server got the secret");
        assert!(!finder.is_in(answer.to_string().as_bytes()), "{encoding}: {answer}");
        assert_eq!(*hits.lock().unwrap(), 0, "{encoding}");
    }
    assert!(memories.seen() >= ENCODINGS.len());

    // The same bytes of the guest's own are found, so the search works.
    let plain =
        json!({ "url": echo.url("/raw"), "headers": { "authorization": encoded("hex", "another value") } });
    berth.answer("http_send", plain).await;
    assert_eq!(*hits.lock().unwrap(), 0);
    let own = json!({ "url": echo.url("/none"), "headers": { "x-own": encoded("hex", TOKEN) } });
    drop(berth.call("http_send", own).await);
    assert!(*hits.lock().unwrap() > 0);
}

#[tokio::test]
async fn a_secret_goes_only_to_its_audience_and_only_in_its_place() {
    let (echo, other) = (Echo::start().await, Echo::start().await);
    let (berth, _, hits) = sending(&echo).await;
    berth.grant("http", "http", json!({ "hosts": [other.url("")] })).await;

    for refused in [
        with_token(other.url("/raw")),
        json!({ "url": echo.url("/raw?key=%7B%7Bsecret:token%7D%7D") }),
        json!({ "url": echo.url("/raw"), "headers": { "x-key": "{{secret:token}}" } }),
        json!({ "url": echo.url("/raw"), "headers": { "authorization": "{{secret:another}}" } }),
    ] {
        let answer = berth.answer("http_send", refused.clone()).await;
        assert_eq!(answer, json!({ "error": "ErrorCode::HttpRequestDenied" }), "{refused}");
    }
    assert!(echo.heard().is_empty() && other.heard().is_empty());
    assert_eq!(*hits.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_secret_that_is_revoked_is_placed_no_more() {
    let echo = Echo::start().await;
    let berth = Harness::start().await;
    berth.grant("http", "http", json!({ "hosts": [echo.url("")] })).await;
    berth.install_fixture("http", &asks(&echo, placed(&echo))).await.unwrap();
    vault::keep(&berth.desk, "http", "token", TOKEN.as_bytes()).await;
    let grant = berth.grant("http", "secret", placed(&echo)).await;
    berth.answer("http_send", with_token(echo.url("/raw"))).await;
    assert_eq!(echo.heard().len(), 1);

    berth.host.revoke(grant).await.unwrap();

    let denied = berth.answer("http_send", with_token(echo.url("/raw"))).await;
    assert_eq!(denied, json!({ "error": "ErrorCode::HttpRequestDenied" }));
    assert!(echo.heard().is_empty());
}

const YIELD: &str = "canary-t-90b1e5f77a";

/// A host whose `secrets` guest may exchange `app_secret` for `tenant_token` at the server.
async fn exchanging(echo: &Echo) -> (Harness, Arc<Mutex<usize>>) {
    let (memories, hits) = watched(&[TOKEN, YIELD]);
    let berth = Harness::looking(memories).await;
    let app = json!({
        "id": "app_secret", "audience": [echo.url("")], "place": ["json:/app_secret"],
        "operations": ["exchange", "hmac-sha256"],
    });
    let tenant =
        json!({ "id": "tenant_token", "audience": [echo.url("")], "place": ["header:authorization"] });
    let more =
        asks(echo, tenant.clone()).split_once("[[capability]]\nname = \"secret\"").unwrap().1.to_owned();
    berth.grant("secrets", "http", json!({ "hosts": [echo.url("")] })).await;
    let manifest = format!("{}[[capability]]\nname = \"secret\"{more}", asks(echo, app.clone()));
    let manifest = manifest + "[[capability]]\nname = \"endpoint\"\n";
    berth.install_fixture("secrets", &manifest).await.unwrap();
    vault::keep(&berth.desk, "secrets", "app_secret", TOKEN.as_bytes()).await;
    berth.grant("secrets", "secret", app).await;
    berth.grant("secrets", "secret", tenant).await;
    (berth, hits)
}

fn recipe(echo: &Echo) -> Value {
    json!({
        "name": "app_secret", "yields": "tenant_token", "method": "POST", "url": echo.url("/token"),
        "body": r#"{"app_id": "cli_1", "app_secret": "{{secret:app_secret}}"}"#,
        "token": "/tenant_access_token", "expires": "/expire",
    })
}

#[tokio::test]
async fn an_exchange_yields_a_secret_that_no_guest_sees() {
    let echo = Echo::start().await;
    let (berth, hits) = exchanging(&echo).await;
    echo.set_token(json!({ "code": 0, "tenant_access_token": YIELD, "expire": 7200 }));

    let exchanged = berth.answer("secrets_exchange", recipe(&echo)).await;
    let mac = berth.answer("secrets_hmac", json!({ "name": "tenant_token", "data": "x" })).await;

    assert!(echo.heard()[0].contains(&format!(r#""app_secret": "{TOKEN}""#)));
    assert_eq!(exchanged["name"], "tenant_token");
    let rest: Value = serde_json::from_str(exchanged["answer"].as_str().unwrap()).unwrap();
    assert_eq!(rest, json!({ "code": 0, "tenant_access_token": null, "expire": 7200 }));
    assert_eq!(exchanged["expires_in_ms"], 7_200_000);
    let value = berth_secrets::SecretValue::new(YIELD.as_bytes().to_vec()).unwrap();
    let wanted = berth_secrets::operation::digest::hmac_sha256(&value, b"x").unwrap();
    assert_eq!(mac, hex::encode(wanted));
    assert_eq!(*hits.lock().unwrap(), 0);
}

#[tokio::test]
async fn what_an_exchange_yields_ends_with_the_grant_that_paid_for_it() {
    let echo = Echo::start().await;
    let (berth, _) = exchanging(&echo).await;
    echo.set_token(json!({ "tenant_access_token": YIELD, "expire": 7200 }));
    berth.answer("secrets_exchange", recipe(&echo)).await;
    let hmac = json!({ "name": "tenant_token", "data": "x" });
    berth.answer("secrets_hmac", hmac.clone()).await.as_str().unwrap();

    let deny = json!({ "id": "app_secret", "operations": ["exchange"], "audience": [echo.url("")], "place": ["json:/app_secret"] });
    let deny = support::host::new_grant("secrets", "secret", deny, berth_model::plugin::GrantMode::Deny);
    berth.host.grant(deny).await.unwrap();

    assert_eq!(berth.answer("secrets_hmac", hmac).await["code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn an_exchange_that_is_not_right_is_refused_and_shows_no_token() {
    let echo = Echo::start().await;
    let (berth, hits) = exchanging(&echo).await;
    let with = |key: &str, value: Value| {
        let mut recipe = recipe(&echo);
        recipe[key] = value;
        recipe
    };
    for (recipe, answer, code) in [
        (with("body", json!("{}")), json!({}), "EXCHANGE_RECIPE_INVALID"),
        (with("yields", json!("another_name")), json!({}), "PERMISSION_DENIED"),
        (with("audience", json!(["https://elsewhere.example"])), json!({}), "PERMISSION_DENIED"),
        (recipe(&echo), json!({ "expire": 1 }), "EXCHANGE_NO_TOKEN"),
        (recipe(&echo), json!({ "tenant_access_token": YIELD, "again": YIELD }), "EXCHANGE_TOKEN_REPEATED"),
        (recipe(&echo), json!({ "tenant_access_token": YIELD, "app": TOKEN }), "HTTP_SECRET_ECHO"),
    ] {
        echo.set_token(answer.clone());

        let refused = berth.answer("secrets_exchange", recipe).await;

        assert_eq!(refused["code"], code, "{answer}: {refused}");
    }
    assert_eq!(*hits.lock().unwrap(), 0);
}
