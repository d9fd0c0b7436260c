//! The standard interfaces that the host serves itself: pairs, settings, logs.
#![allow(clippy::unwrap_used)]

mod support;

use berth_model::plugin::{GrantMode, NewGrant};
use berth_wasm::capability::logs::{Level, Stream};
use berth_wasm::{HostError, LogLine};
use serde_json::{Value, json};
use support::host::{Harness, QUOTA, fixture, new_grant};

const ASKS: &str =
    "[[capability]]\nname = \"keyvalue\"\nscope = { access = \"rw\" }\n[[capability]]\nname = \"endpoint\"\n";

/// A host with the guest that does what it is told, which may do everything with its pairs.
async fn granted() -> Harness {
    let berth = Harness::start().await;
    berth.install_fixture("standards", ASKS).await.unwrap();
    berth.grant("standards", "keyvalue", json!({ "access": "rw" })).await;
    berth
}

async fn new_pairs(berth: &Harness, bucket: &str, steps: Value) -> Value {
    berth.answer("standards_pairs", json!({ "bucket": bucket, "steps": steps })).await
}

async fn old_pairs(berth: &Harness, bucket: &str, steps: Value) -> Value {
    berth.answer("standards_old_pairs", json!({ "bucket": bucket, "steps": steps })).await
}

#[tokio::test]
async fn pairs_are_kept_between_calls_and_restarts_in_both_drafts() {
    let berth = granted().await;

    let answers = new_pairs(
        &berth,
        "notes",
        json!([
            { "do": "get", "key": "a" },
            { "do": "set", "key": "a", "value": "one" },
            { "do": "get", "key": "a" },
            { "do": "exists", "key": "a" },
            { "do": "exists", "key": "b" },
            { "do": "set-many", "keys": ["b", "c"], "value": "two" },
            { "do": "get-many", "keys": ["a", "x", "c"] },
            { "do": "delete", "key": "a" },
            { "do": "delete", "key": "a" },
            { "do": "list" },
        ]),
    )
    .await;
    let wanted = json!([
        null,
        "ok",
        "one",
        true,
        false,
        "ok",
        [["a", "one"], ["x", null], ["c", "two"]],
        "ok",
        "ok",
        [2, null]
    ]);
    assert_eq!(answers, wanted);

    let answers = old_pairs(
        &berth,
        "notes",
        json!([
            { "do": "get", "key": "b" },
            { "do": "get-many", "keys": ["b", "x"] },
            { "do": "delete-many", "keys": ["b", "c", "x"] },
            { "do": "list" },
            { "do": "set", "key": "kept", "value": "three" },
        ]),
    )
    .await;
    assert_eq!(answers, json!(["two", [["b", "two"], null], "ok", [0, null], "ok"]));
    let restarted = berth.restarted().await;
    let kept = berth
        .answer_of(
            &restarted,
            "standards_pairs",
            json!({
                "bucket": "notes", "steps": [{ "do": "get", "key": "kept" }]
            }),
        )
        .await;
    assert_eq!(kept, json!(["three"]));
}

#[tokio::test]
async fn a_long_list_comes_in_pages_in_both_drafts() {
    let berth = granted().await;
    let keys: Vec<String> = (0..300).map(|number| format!("key-{number:03}")).collect();
    new_pairs(&berth, "", json!([{ "do": "set-many", "keys": keys, "value": "v" }])).await;

    let first = new_pairs(&berth, "", json!([{ "do": "list" }])).await;
    let behind = first[0][1].as_str().unwrap().to_owned();
    let second = new_pairs(&berth, "default", json!([{ "do": "list", "cursor": behind }])).await;
    let counted = old_pairs(&berth, "", json!([{ "do": "list" }, { "do": "list", "cursor": 256 }])).await;

    assert_eq!(first, json!([[256, "key-255"]]));
    assert_eq!(second, json!([[44, null]]));
    assert_eq!(counted, json!([[256, 256], [44, null]]));
}

#[tokio::test]
async fn numbers_are_added_to_within_their_range() {
    let berth = granted().await;

    let answers = new_pairs(
        &berth,
        "counts",
        json!([
            { "do": "increment", "key": "n", "by": 5 },
            { "do": "increment", "key": "n", "by": -7 },
            { "do": "get", "key": "n" },
            { "do": "set", "key": "word", "value": "five" },
            { "do": "increment", "key": "word" },
            { "do": "set", "key": "top", "value": "9223372036854775807" },
            { "do": "increment", "key": "top" },
        ]),
    )
    .await;
    assert_eq!((&answers[0], &answers[1], &answers[2]), (&json!(5), &json!(-2), &json!("-2")));
    assert_eq!(answers[4], json!({ "error": "the value of `word` is no whole number" }));
    assert_eq!(answers[6], json!({ "error": "the number of `top` would leave its range" }));

    let answers = old_pairs(
        &berth,
        "counts",
        json!([{ "do": "increment", "key": "top" }, { "do": "increment", "key": "n" }]),
    )
    .await;
    assert_eq!(answers[0], json!(9_223_372_036_854_775_808_u64));
    assert_eq!(answers[1], json!({ "error": "the number of `n` would leave its range" }));
}

#[tokio::test]
async fn a_swap_is_made_only_when_nobody_was_faster() {
    let berth = granted().await;

    let answers = new_pairs(
        &berth,
        "",
        json!([
            { "do": "swap", "key": "k", "value": "first" },
            { "do": "swap", "key": "k", "value": "second" },
            { "do": "swap", "key": "k", "value": "late", "meanwhile": "faster" },
            { "do": "swap", "key": "k", "value": "late", "meanwhile": "faster" },
            { "do": "get", "key": "k" },
        ]),
    )
    .await;

    assert_eq!(answers[0], json!({ "seen": null, "swapped": true }));
    assert_eq!(answers[1], json!({ "seen": "first", "swapped": true }));
    assert_eq!(answers[2], json!({ "seen": "second", "swapped": false, "now": "faster" }));
    // The same value written again is another write all the same.
    assert_eq!(answers[3], json!({ "seen": "faster", "swapped": false, "now": "faster" }));
    assert_eq!(answers[4], "faster");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_swap_of_many_guests_at_once_is_lost_on_either_database() {
    berth_testkit::on_each_database(async |url| {
        let berth = Harness::over(berth_store::SqlStore::open(&url).await.unwrap());
        berth.install_fixture("standards", ASKS).await.unwrap();
        berth.grant("standards", "keyvalue", json!({ "access": "rw" })).await;
        let count = json!({ "bucket": "", "steps": [{ "do": "count-up", "key": "n", "times": 5 }] });
        let add = json!({ "bucket": "", "steps": [{ "do": "increment", "key": "n", "by": 5 }] });

        let calls: Vec<_> = (0..3)
            .flat_map(|_| [count.clone(), add.clone()])
            .map(|arguments| berth.spawn("standards_pairs", arguments))
            .collect();
        for call in calls {
            assert!(!call.await.unwrap().unwrap().is_error);
        }

        assert_eq!(new_pairs(&berth, "", json!([{ "do": "get", "key": "n" }])).await, json!(["30"]));
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_has_a_quota_and_a_refused_batch_changes_nothing() {
    let berth = granted().await;
    let many: Vec<String> = (0..=QUOTA.pairs).map(|number| number.to_string()).collect();
    let fits = QUOTA.value_bytes - 1;

    let answers = new_pairs(
        &berth,
        "",
        json!([
            { "do": "set", "key": "big", "value": "x", "bytes": QUOTA.value_bytes + 1 },
            { "do": "set-many", "keys": many, "value": "v" },
            { "do": "list" },
            { "do": "set", "key": "1", "value": "x", "bytes": fits },
            { "do": "set", "key": "2", "value": "x", "bytes": fits },
            { "do": "set", "key": "3", "value": "x", "bytes": fits },
            { "do": "set", "key": "4", "value": "x", "bytes": fits },
            { "do": "set", "key": "5", "value": "x" },
            { "do": "delete", "key": "4" },
            { "do": "set", "key": "5", "value": "x" },
        ]),
    )
    .await;

    let large = format!("the value has {} bytes, the limit is {}", QUOTA.value_bytes + 1, QUOTA.value_bytes);
    assert_eq!(answers[0], json!({ "error": large }));
    assert_eq!(answers[1], json!({ "error": "the quota of 400 pairs is used up" }));
    assert_eq!(answers[2], json!([0, null]));
    assert_eq!(answers[6], "ok");
    assert_eq!(answers[7], json!({ "error": "the quota of 65536 bytes is used up" }));
    assert_eq!(answers[9], "ok");
    // Another bucket of the plugin shares the quota.
    let other =
        new_pairs(&berth, "other", json!([{ "do": "set", "key": "5", "value": "x", "bytes": fits }])).await;
    assert_eq!(other, json!([{ "error": "the quota of 65536 bytes is used up" }]));
}

#[tokio::test]
async fn bad_names_and_keys_are_values_for_the_guest() {
    let berth = granted().await;

    assert_eq!(new_pairs(&berth, "../other", json!([])).await, json!({ "error": "no-such-store" }));
    assert_eq!(old_pairs(&berth, "a b", json!([])).await, json!({ "error": "no-such-store" }));
    let answers = new_pairs(
        &berth,
        "",
        json!([
            { "do": "get", "key": "" },
            { "do": "set", "key": "a\u{0}b", "value": "v" },
            { "do": "get", "key": "k".repeat(513) },
            { "do": "get-many", "keys": vec!["k"; 1001] },
        ]),
    )
    .await;
    assert_eq!(answers[0], json!({ "error": "a key has 1 to 512 bytes and no NUL" }));
    assert_eq!(answers[1], answers[0]);
    assert_eq!(answers[2], answers[0]);
    assert_eq!(answers[3], json!({ "error": "a batch has at most 1000 keys" }));
}

#[tokio::test]
async fn a_bucket_is_read_or_written_only_as_granted_and_the_log_says_what_to_grant() {
    let berth = Harness::start().await;
    berth.install_fixture("standards", ASKS).await.unwrap();
    let steps = json!([{ "do": "get", "key": "k" }, { "do": "set", "key": "k", "value": "v" }]);

    let outcome =
        berth.call("standards_pairs", json!({ "bucket": "notes", "steps": steps.clone() })).await.unwrap();
    assert_eq!(outcome.content, json!({ "error": "access-denied" }));
    let said = outcome.receipt["logs"][0]["text"].as_str().unwrap();
    assert!(said.contains("berth plugin grant standards keyvalue --scope"), "{said}");

    berth.grant("standards", "keyvalue", json!({ "store": "notes", "access": "ro" })).await;
    let answers = new_pairs(&berth, "notes", steps.clone()).await;
    assert_eq!(answers, json!([null, { "error": "access-denied" }]));
    assert_eq!(new_pairs(&berth, "other", steps.clone()).await, json!({ "error": "access-denied" }));

    berth.grant("standards", "keyvalue", json!({ "store": "notes", "access": "rw" })).await;
    assert_eq!(new_pairs(&berth, "notes", steps).await, json!([null, "ok"]));
}

#[tokio::test]
async fn a_revoked_grant_takes_effect_on_an_open_bucket_and_an_open_swap() {
    let berth = Harness::start().await;
    berth.install_fixture("standards", ASKS).await.unwrap();
    berth.grant("standards", "endpoint", json!({})).await;
    let grant = berth.grant("standards", "keyvalue", json!({ "access": "rw" })).await;
    let steps = json!([
        { "do": "set", "key": "k", "value": "v" },
        { "do": "swap", "key": "k", "value": "w", "gate": true },
        { "do": "get", "key": "k" },
        { "do": "list" },
        { "do": "increment", "key": "k" },
    ]);

    let call = berth.spawn("standards_pairs", json!({ "bucket": "", "steps": steps }));
    berth.until_the_pi_hears().await;
    berth.host.revoke(grant).await.unwrap();
    berth.open_the_gate();
    let answers = call.await.unwrap().unwrap().content;

    let denied = json!({ "error": "access-denied" });
    assert_eq!(answers, json!(["ok", denied, denied, denied, denied]));
}

#[tokio::test]
async fn a_plugin_reads_its_own_settings_and_no_others() {
    let berth = Harness::start().await;
    berth.install_fixture("standards", ASKS).await.unwrap();

    assert_eq!(berth.answer("standards_config", json!({ "key": "greeting" })).await, "hello");
    assert_eq!(berth.answer("standards_config", json!({ "key": "gone" })).await, Value::Null);
    let all = berth.answer("standards_config", json!({})).await;
    assert_eq!(all, json!([["greeting", "hello"], ["proxy.port", "1"], ["retries", "5"]]));

    let mut other = fixture("standards", ASKS);
    other.manifest = other.manifest.replace("id = \"standards\"", "id = \"other\"");
    berth.host.install(other).await.unwrap();
    assert_eq!(berth.answer("other_config", json!({})).await, json!([]));
}

#[tokio::test]
async fn settings_are_checked_with_the_schema_of_the_plugin_now_and_after_a_restart() {
    let berth = Harness::start().await;
    let with_schema = |schema: Value| {
        let mut package = fixture("standards", &format!("{ASKS}[config]\nschema_file = \"s.json\"\n"));
        package.config_schema = Some(schema.to_string());
        package
    };
    let known = json!({ "greeting": { "type": "string" }, "proxy": {}, "retries": { "maximum": 3 },
        "key": { "type": "string", "x-secret": true }, "colour": { "default": "red" } });

    let installed = berth.host.install(with_schema(json!({ "properties": known.clone() }))).await.unwrap();
    let warning = installed.inspection.warnings.last().unwrap();
    assert!(
        warning.starts_with("[plugin.standards.config] of berth.toml is not right: /retries"),
        "{warning}"
    );
    let failed = berth.answer("standards_config", json!({ "key": "greeting" })).await;
    assert_eq!(failed, json!({ "error": warning }));
    let restarted = berth.restarted().await;
    let failed = berth.answer_of(&restarted, "standards_config", json!({})).await;
    assert_eq!(failed, json!({ "error": warning }));

    let mut wider = known;
    wider["retries"]["maximum"] = json!(9);
    berth.host.install(with_schema(json!({ "properties": wider, "required": ["key"] }))).await.unwrap();
    let all = berth.answer("standards_config", json!({})).await;
    assert_eq!(all, json!([["colour", "red"], ["greeting", "hello"], ["proxy.port", "1"], ["retries", "5"]]));

    let bad = berth.host.install(with_schema(json!({ "type": "tabel" }))).await.unwrap_err();
    assert_eq!(bad.code(), "CONFIG_SCHEMA_INVALID");
}

#[tokio::test]
async fn what_is_logged_and_printed_is_kept_with_its_level_and_cannot_reach_a_terminal() {
    let berth = Harness::start().await;
    berth.install_fixture("standards", ASKS).await.unwrap();
    let nasty = "\u{1b}]0;owned\u{7}\u{1b}[2Jhi\u{202e}\u{9b}31m there";

    let arguments = json!({
        "level": "warn", "context": format!("db{nasty}"), "message": format!("{nasty}\nsecond"),
        "out": format!("{nasty}\r\n"), "err": "plain",
    });
    let outcome = berth.call("standards_log", arguments).await.unwrap();

    let line = |stream, level, context: &str, text: &str| LogLine {
        stream,
        level,
        context: context.to_owned(),
        text: text.to_owned(),
    };
    let logs = berth.host.logs(&"standards".parse().unwrap()).unwrap();
    assert_eq!(
        logs,
        [
            line(Stream::Stdout, None, "", "hi there"),
            line(Stream::Log, Some(Level::Warn), "dbhi there", "hi there"),
            line(Stream::Log, Some(Level::Warn), "dbhi there", "second"),
            line(Stream::Stderr, None, "", "plain"),
        ]
    );
    assert_eq!(outcome.receipt["logs"][1]["level"], "warn");
}

#[tokio::test]
async fn a_flood_of_logged_lines_is_cut_and_counted() {
    let berth = Harness::start().await;
    berth.install_fixture("standards", ASKS).await.unwrap();

    let arguments = json!({ "level": "info", "message": "x".repeat(9000), "times": 1000 });
    let outcome = berth.call("standards_log", arguments).await.unwrap();

    let lines = outcome.receipt["logs"].as_array().unwrap();
    assert_eq!(lines.len(), 256);
    assert_eq!(lines[0]["text"].as_str().unwrap().len(), 4096);
    assert_eq!(outcome.receipt["dropped_log_lines"], 744);
}

#[tokio::test]
async fn another_version_of_a_draft_is_refused_by_its_name() {
    let berth = Harness::start().await;
    for import in [
        "wasi:keyvalue/store@0.2.0",
        "wasi:keyvalue/watcher@0.2.0-draft2",
        "wasi:config/store@0.3.0",
        "wasi:logging/logging@0.2.0-draft",
    ] {
        let text = format!(
            r#"(component
                (import "{import}" (instance $i (export "open" (func))))
                (core func $open (canon lower (func $i "open")))
                (core module $m (import "" "open" (func)) (func (export "run")))
                (core instance $c (instantiate $m (with "" (instance (export "open" (func $open))))))
                (func (export "run") (canon lift (core func $c "run"))))"#
        );
        let refused = berth.install_text(&text, ASKS).await.unwrap_err();

        assert!(matches!(refused, HostError::Install(_)), "{refused}");
        assert_eq!(refused.code(), "IMPORT_UNKNOWN");
        assert!(refused.to_string().contains(import), "{refused}");
    }
}

#[tokio::test]
async fn a_component_that_keeps_pairs_without_asking_for_it_is_refused() {
    let berth = Harness::start().await;

    let refused =
        berth.install_fixture("standards", "[[capability]]\nname = \"endpoint\"\n").await.unwrap_err();

    assert_eq!(refused.code(), "CAPABILITY_NOT_REQUESTED");
    assert!(refused.to_string().contains("wasi:keyvalue/"), "{refused}");
}

#[tokio::test]
async fn the_limits_of_a_grant_bound_the_pairs_within_the_quota_of_the_host() {
    let berth = Harness::start().await;
    let limit = "limit = { max_keys = 2, max_value_bytes = 4 }\n";
    let asks = format!(
        "[[capability]]\nname = \"keyvalue\"\nscope = {{ access = \"rw\" }}\n{limit}\
                        [[capability]]\nname = \"endpoint\"\n"
    );
    berth.install_fixture("standards", &asks).await.unwrap();
    let new = new_grant("standards", "keyvalue", json!({ "access": "rw" }), GrantMode::Allow);
    berth.host.grant(NewGrant { limit: json!({ "max_bytes": 8 }), ..new }).await.unwrap();

    let set = |key: &str, value: &str| json!({ "do": "set", "key": key, "value": value });
    let told = new_pairs(
        &berth,
        "notes",
        json!([set("a", "12345"), set("a", "1234"), set("b", "1234"), set("b", "1"), set("c", "")]),
    )
    .await;

    let said = |index: usize| told[index].to_string();
    assert!(said(0).contains("the value has 5 bytes, the limit is 4"), "{told}");
    assert_eq!(told[1], "ok");
    assert!(said(2).contains("the quota of 8 bytes is used up"), "{told}");
    assert_eq!(told[3], "ok");
    assert!(said(4).contains("the quota of 2 pairs is used up"), "{told}");
}
