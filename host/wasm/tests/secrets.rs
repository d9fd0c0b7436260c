//! Secrets: a plugin uses what it never holds.
#![allow(clippy::unwrap_used)]

mod support;

use berth_model::plugin::{GrantMode, NewGrant};
use berth_secrets::SecretValue;
use berth_secrets::operation::digest;
use serde_json::{Value, json};
use support::host::{Harness, new_grant};
use support::vault;

/// Asks for every operation on `token`, and for the endpoint that it waits for.
const ASKS: &str = r#"
[[capability]]
name = "secret"
scope = { id = "token", operations = ["hmac-sha256", "sign-ed25519", "sha256-joined", "sha1-sorted", "equals",
    "aes-cbc-decrypt", "aes-cbc-encrypt", "aes-ecb-decrypt", "aes-ecb-encrypt"] }
[[capability]]
name = "endpoint"
"#;

const ALL: [&str; 9] = [
    "hmac-sha256",
    "sign-ed25519",
    "sha256-joined",
    "sha1-sorted",
    "equals",
    "aes-cbc-decrypt",
    "aes-cbc-encrypt",
    "aes-ecb-decrypt",
    "aes-ecb-encrypt",
];

const FEISHU_SEALED: &str = concat!(
    "000102030405060708090a0b0c0d0e0f63a0874907400b16ac46ad61e991335196133d69ba31fcab",
    "f2ac567a6d8c46b863c0813a4827c0f33320349ddced37b746e9b60d9dcb731600f146bda9469ea1"
);
const WECOM_SEALED: &str = "e23fc0b91c7bd64425c559736e9b0c58d8bb98d958f14fb7e04b089836d88da7";

/// A host with the plugin that uses secrets, and `value` as its `token`.
async fn with_token(value: &str) -> Harness {
    let berth = Harness::start().await;
    berth.install_fixture("secrets", ASKS).await.unwrap();
    vault::keep(&berth.desk, "secrets", "token", value.as_bytes()).await;
    berth
}

async fn granted(value: &str) -> Harness {
    let berth = with_token(value).await;
    berth.grant("secrets", "secret", json!({ "id": "token", "operations": ALL })).await;
    berth
}

fn named(more: Value) -> Value {
    let mut arguments = json!({ "name": "token" });
    for (key, value) in more.as_object().unwrap() {
        arguments[key] = value.clone();
    }
    arguments
}

#[tokio::test]
async fn a_plugin_has_the_host_sign_with_what_it_does_not_hold() {
    let berth = granted("a good secret").await;

    let mac = berth.answer("secrets_hmac", named(json!({ "data": "what is signed" }))).await;
    let opened = berth.answer("secrets_open", named(json!({}))).await;

    let value = SecretValue::new(b"a good secret".to_vec()).unwrap();
    assert_eq!(mac, hex::encode(digest::hmac_sha256(&value, b"what is signed").unwrap()));
    assert_eq!(opened, "token");
}

#[tokio::test]
async fn feishus_and_wecoms_calls_are_checked_and_read() {
    let berth = granted("berth-test-key").await;
    let feishu = named(json!({ "decrypt": FEISHU_SEALED, "key": "sha256", "iv": "prefix" }));
    let text = berth.answer("secrets_cbc", feishu).await;
    assert_eq!(
        hex::decode(text.as_str().unwrap()).unwrap(),
        br#"{"challenge":"c1","token":"vt","type":"url_verification"}"#
    );

    let wecom = granted("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").await;
    let arguments =
        json!({ "decrypt": WECOM_SEALED, "key": "base64", "iv": "from-key", "padding": "pkcs7-wide" });
    let text = wecom.answer("secrets_cbc", named(arguments)).await;
    assert_eq!(hex::decode(text.as_str().unwrap()).unwrap(), b"\0\0\0\x05hellowwcorp");
}

#[tokio::test]
async fn a_signature_of_wechat_is_checked_and_one_is_made() {
    let berth = granted("tok").await;
    let sealed = "4j/AuRx71kQlxVlzbpsMWNi7mNlY8U+34EsImDbYjac=";
    let texts = json!(["1700000000", "nonce1", sealed]);
    let check = |signature: &str| named(json!({ "texts": texts, "signature": signature }));

    let right = berth.answer("secrets_check_sorted", check("b32cc9530122f00f34b4bb6a1b41bbbe38b8f403")).await;
    let wrong = berth.answer("secrets_check_sorted", check("b32cc9530122f00f34b4bb6a1b41bbbe38b8f404")).await;
    let signed = berth.answer("secrets_sorted", named(json!({ "texts": [sealed] }))).await;

    assert_eq!((right, wrong), (json!(true), json!(false)));
    assert_eq!(signed["timestamp"], "1777593600");
    assert_eq!(signed["signature"].as_str().unwrap().len(), 40);
}

#[tokio::test]
async fn without_a_grant_nothing_is_told_not_even_which_secrets_there_are() {
    let berth = with_token("a good secret").await;
    let open = |name: &str| json!({ "name": name });

    for name in ["token", "none-of-this-name"] {
        let denied = berth.answer("secrets_open", open(name)).await;
        assert_eq!(denied["code"], "PERMISSION_DENIED", "{name}");
    }
    let denied = berth.answer("secrets_open", open("token")).await;
    let hint = r#"berth plugin grant secrets secret --scope '{"id":"token"}'"#;
    assert!(denied["message"].as_str().unwrap().contains(hint), "{denied}");

    berth.grant("secrets", "secret", json!({ "id": "none-of-this-name" })).await;
    assert_eq!(berth.answer("secrets_open", open("none-of-this-name")).await["code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_secret_that_is_granted_and_not_set_is_named_with_the_command_that_sets_it() {
    let berth = granted("x").await;
    berth.desk.vault().remove(&vault::id("secrets", "token")).await.unwrap();

    let missing = berth.answer("secrets_open", named(json!({}))).await;

    assert_eq!(missing["code"], "SECRET_NOT_FOUND");
    assert!(
        missing["message"].as_str().unwrap().contains("berth secret set token --plugin secrets"),
        "{missing}"
    );
}

#[tokio::test]
async fn the_secret_of_another_plugin_is_not_there() {
    let berth = Harness::start().await;
    berth.install_fixture("secrets", ASKS).await.unwrap();
    berth.grant("secrets", "secret", json!({ "id": "token", "operations": ALL })).await;
    vault::keep(&berth.desk, "files", "token", b"of another").await;

    assert_eq!(berth.answer("secrets_open", named(json!({}))).await["code"], "SECRET_NOT_FOUND");
}

#[tokio::test]
async fn what_reads_and_writes_for_the_guest_is_done_only_where_the_grant_names_it() {
    let berth = with_token("0123456789abcdef").await;
    berth.grant("secrets", "secret", json!({ "id": "token" })).await;
    let ended = berth.answer("secrets_everything", named(json!({}))).await;
    for operation in ["hmac-sha256", "sha256-joined", "sha1-sorted", "check-sha1-sorted", "equals"] {
        assert_eq!(ended[operation], "ok", "{operation}");
    }
    for operation in [
        "aes-cbc-decrypt raw given",
        "aes-cbc-encrypt raw from-key",
        "aes-ecb-decrypt raw",
        "aes-ecb-encrypt raw",
    ] {
        assert_eq!(ended[operation], "PERMISSION_DENIED", "{operation}");
    }

    berth.grant("secrets", "secret", json!({ "id": "token", "operations": ["aes-ecb-decrypt"] })).await;
    let ended = berth.answer("secrets_everything", named(json!({}))).await;

    assert_eq!(ended["aes-ecb-decrypt raw"], "ok");
    assert_eq!(ended["aes-ecb-encrypt raw"], "PERMISSION_DENIED");
    assert_eq!(ended["aes-cbc-decrypt raw given"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn an_open_handle_ends_with_its_grant_at_the_next_use() {
    let berth = with_token("a good secret").await;
    berth.grant("secrets", "endpoint", json!({})).await;
    let grant = berth.grant("secrets", "secret", json!({ "id": "token" })).await;

    let call = berth.spawn("secrets_twice", named(json!({})));
    berth.until_the_pi_hears().await;
    berth.host.revoke(grant).await.unwrap();
    berth.open_the_gate();
    let ended = call.await.unwrap().unwrap().content;

    assert_eq!(ended, json!({ "first": "ok", "waited": true, "second": "PERMISSION_DENIED" }));
}

#[tokio::test]
async fn an_open_handle_ends_with_its_secret_at_the_next_use() {
    let berth = with_token("a good secret").await;
    berth.grant("secrets", "endpoint", json!({})).await;
    berth.grant("secrets", "secret", json!({ "id": "token" })).await;

    let call = berth.spawn("secrets_twice", named(json!({})));
    berth.until_the_pi_hears().await;
    berth.desk.vault().remove(&vault::id("secrets", "token")).await.unwrap();
    berth.open_the_gate();
    let ended = call.await.unwrap().unwrap().content;

    assert_eq!(ended, json!({ "first": "ok", "waited": true, "second": "SECRET_NOT_FOUND" }));
}

#[tokio::test]
async fn guessing_in_a_loop_is_stopped_and_stays_stopped_in_the_next_call() {
    let berth = granted("a good secret").await;

    let first = berth.answer("secrets_guess", named(json!({}))).await;
    let right = berth.answer("secrets_equals", named(json!({ "guess": "a good secret" }))).await;

    assert_eq!(first["code"], "SECRET_RATE_LIMITED");
    assert!(first["answered"].as_u64().unwrap() <= 70, "{first}");
    assert!(first["retry_after_ms"].as_u64().unwrap() > 0, "{first}");
    assert_eq!(right["code"], "SECRET_RATE_LIMITED", "a right guess is not told apart from a wrong one");
}

#[tokio::test]
async fn comparing_signatures_does_not_tell_where_a_secret_sorts() {
    for token in ["!first", "middle", "~last"] {
        let berth = granted(token).await;

        assert_eq!(berth.answer("secrets_halve", named(json!({}))).await, json!({ "learned": 0 }));
    }
}

#[tokio::test]
async fn mixing_what_aes_answers_does_not_tell_the_start_of_a_key() {
    for token in [
        "0123456789abcdef",
        "0123456789abcdef0123456789abcdef",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    ] {
        let berth = granted(token).await;
        let mut keys = vec![token.as_bytes()[..16].to_vec()];
        keys.extend(hex::decode(token).ok().filter(|key| key.len() >= 16).map(|key| key[..16].to_vec()));
        keys.push((0..16).collect());

        let found = berth.answer("secrets_start_of_key", named(json!({}))).await["found"].clone();

        let found = found.as_array().unwrap();
        assert!(found.len() > 20, "{found:?}");
        for key in keys {
            assert!(!found.contains(&json!(hex::encode(&key))), "{key:?}");
        }
    }
}

#[tokio::test]
async fn no_error_tells_anything_of_a_value() {
    let value = "canary-71f0c9e25a";
    let berth = granted(value).await;

    let errors = berth.answer("secrets_errors", named(json!({}))).await;

    assert!(errors.as_array().unwrap().len() >= 14, "{errors}");
    for form in [value.to_owned(), hex::encode(value), value.chars().rev().collect()] {
        assert!(!errors.to_string().contains(&form), "{errors}");
    }
}

#[tokio::test]
async fn handles_and_uses_are_bounded() {
    let berth = granted("a good secret").await;

    let held = berth.answer("secrets_hold", named(json!({ "times": 1000 }))).await;

    assert_eq!(held["code"], "SECRET_RATE_LIMITED");
    assert!(held["held"].as_u64().unwrap() < 200, "{held}");
}

#[tokio::test]
async fn a_field_of_the_settings_that_is_a_secret_is_asked_for_like_every_other() {
    let berth = Harness::start().await;
    let manifest = "[config]\nschema_file = \"config.schema.json\"\n[[capability]]\nname = \"endpoint\"\n";
    let schema = r#"{"properties": {"token": {"type": "string", "x-secret": true}}}"#;
    let mut package = support::host::fixture("secrets", manifest);
    package.config_schema = Some(schema.to_owned());
    berth.host.install(package).await.unwrap();
    vault::keep(&berth.desk, "secrets", "token", b"a good secret").await;
    assert_eq!(berth.answer("secrets_open", named(json!({}))).await["code"], "PERMISSION_DENIED");

    berth.grant("secrets", "secret", json!({ "id": "token" })).await;

    assert_eq!(berth.answer("secrets_open", named(json!({}))).await, "token");
    berth.restarted().await;
    assert_eq!(berth.answer("secrets_open", named(json!({}))).await, "token");
}

#[tokio::test]
async fn a_scope_that_makes_no_sense_is_refused_in_manifest_and_grant() {
    let berth = Harness::start().await;
    let manifest = "[[capability]]\nname = \"secret\"\nscope = { id = \"token\", audience = [\"https://*\"], place = [\"path\"] }\n";

    let refused = berth.install_fixture("secrets", manifest).await.unwrap_err();
    let grant = support::host::new_grant(
        "secrets",
        "secret",
        json!({ "audience": [] }),
        berth_model::plugin::GrantMode::Allow,
    );
    let scope = berth.host.grant(grant).await.unwrap_err();

    assert_eq!(refused.code(), "MANIFEST_SCOPE");
    assert_eq!(scope.code(), "GRANT_SCOPE_INVALID");
}

#[tokio::test]
async fn a_secret_is_used_as_often_in_a_minute_as_its_grant_says() {
    let berth = with_token("a good secret").await;
    let scope = json!({ "id": "token", "operations": ALL });
    let new = new_grant("secrets", "secret", scope, GrantMode::Allow);
    berth.host.grant(NewGrant { limit: json!({ "per_minute": 2 }), ..new }).await.unwrap();
    let sign = || berth.answer("secrets_hmac", named(json!({ "data": "x" })));

    let (first, second, third) = (sign().await, sign().await, sign().await);

    assert!(first.is_string() && first == second, "{first} {second}");
    assert_eq!(third["code"], "CAPABILITY_RATE_LIMITED");
}
