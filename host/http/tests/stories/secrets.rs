//! Secrets: values come in and never go out.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Berth, request};

const CANARY: &str = "canary-7fd1e0c2";

#[tokio::test]
async fn a_value_goes_in_and_no_answer_has_it() {
    let berth = Berth::start().await;
    let body = json!({ "name": "token", "plugin_id": "notes", "value": CANARY });

    let set = berth.post("/operator/secrets", body.clone()).await;
    let again = berth.post("/operator/secrets", body).await;
    let list = berth.get("/operator/secrets").await;
    let removed = berth.delete("/operator/secrets/token?plugin_id=notes").await;

    assert_eq!((&set.ok()["version"], &again.ok()["version"]), (&json!(1), &json!(2)));
    assert_eq!(list.ok()[0]["plugin_id"], "notes");
    assert_eq!(list.ok()[0]["state"], "ok");
    assert_eq!(removed.ok(), json!({ "name": "token", "removed": true }));
    for answer in [&set, &again, &list, &removed] {
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
    }
    berth.delete("/operator/secrets/token?plugin_id=notes").await.refuses(404, "SECRET_NOT_FOUND");
}

#[tokio::test]
async fn bytes_come_as_base64_and_are_shared_by_those_that_are_named() {
    let berth = Berth::start().await;
    let body =
        json!({ "name": "key", "plugins": ["a", "b"], "workspace_id": "home", "value_base64": "AP8K" });

    let set = berth.post("/operator/secrets", body).await.ok();

    assert_eq!(set["plugins"], json!(["a", "b"]));
    assert_eq!((&set["plugin_id"], &set["workspace_id"]), (&json!(""), &json!("home")));
    assert_eq!(berth.safe.value("key").unwrap(), [0, 255, 10]);
}

#[tokio::test]
async fn a_refusal_does_not_repeat_the_value() {
    let berth = Berth::start().await;
    let post = |body: String| {
        let request = request(Method::POST, "/operator/secrets").header("content-type", "application/json");
        request.body(Body::from(body)).unwrap()
    };
    let number = 7_358_190_234_u64;
    for body in [
        json!({ "name": "a", "plugin_id": "p", "value": number }).to_string(),
        json!({ "name": "a", "plugin_id": "p", "value": [CANARY] }).to_string(),
        json!({ "name": "a", "plugin_id": "p", "value_base64": CANARY }).to_string(),
        json!({ "name": "a", "plugin_id": "p", "value": CANARY, "value_base64": "AA==" }).to_string(),
        json!({ "name": "a", "value": CANARY }).to_string(),
        json!({ "name": "a", "plugin_id": "p", "plugins": ["q"], "value": CANARY }).to_string(),
        json!({ "name": "a", "plugin_id": "p", "value": format!("{CANARY}\u{0}") }).to_string(),
        format!(r#"{{"name": "a", "plugin_id": "p", "value": "{CANARY}\x"}}"#),
        format!(r#"{{"name": "a", "plugin_id": "p", "value": {CANARY}}}"#),
    ] {
        let answer = berth.send(post(body.clone())).await;
        assert!((400..500).contains(&answer.status), "{body}: {}", answer.text);
        for seen in [CANARY, &number.to_string()] {
            assert!(!answer.text.contains(seen), "{body}: {}", answer.text);
        }
    }
    assert_eq!(berth.get("/operator/secrets").await.ok(), json!([]));
}

#[tokio::test]
async fn a_value_that_is_to_replace_another_wants_one() {
    let berth = Berth::start().await;
    let body =
        |must_exist: bool| json!({ "name": "a", "plugin_id": "p", "value": "x", "must_exist": must_exist });

    berth.post("/operator/secrets", body(true)).await.refuses(404, "SECRET_NOT_FOUND");
    berth.post("/operator/secrets", body(false)).await.ok();
    let rotated = berth.post("/operator/secrets", body(true)).await.ok();

    assert_eq!(rotated["version"], 2);
    assert_eq!(berth.post("/operator/secret-key/renew", Value::Null).await.ok(), json!({ "renewed": true }));
}

#[tokio::test]
async fn a_value_has_a_size() {
    let berth = Berth::start().await;
    let body = json!({ "name": "a", "plugin_id": "p", "value": "x".repeat(300 << 10) });

    berth.post("/operator/secrets", body).await.refuses(413, "body_too_large");
}
