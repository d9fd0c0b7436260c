//! Plugins that come, change and go while others call them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Host, Options, Output};

/// Two hundred calls a second, unless the machine is too busy for them.
const PACE: Duration = Duration::from_millis(5);
/// Calls at the same time: fewer than a plugin may have.
const CALLERS: usize = 6;

/// A version of the plugin `adder`, which adds its number.
fn adder(host: &Host, step: u32, more: &str) -> PathBuf {
    let folder = host.scratch().join(format!("adder-{step}"));
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!(
        r#"(component
            (core module $m (func (export "run") (param i32) (result i32) (i32.add (local.get 0) (i32.const {step}))))
            (core instance $i (instantiate $m))
            (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#
    );
    std::fs::write(folder.join("adder.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let manifest = format!(
        "[plugin]\nid = \"adder\"\nversion = \"{step}.0.0\"\n[component]\nfile = \"adder.wasm\"\n{more}"
    );
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    folder
}

fn plugin(host: &Host, words: &[&str]) -> Output {
    host.cli(&[&["plugin"], words].concat())
}

/// Calls a tool at a steady pace until it is told to stop; how often each answer came.
async fn calls(url: String, token: String, body: Value, stop: Arc<AtomicBool>) -> BTreeMap<String, usize> {
    let client = reqwest::Client::new();
    let pace = Arc::new(tokio::sync::Mutex::new(tokio::time::interval(PACE)));
    let caller = || async {
        let mut answers = BTreeMap::new();
        while !stop.load(Ordering::Relaxed) {
            pace.lock().await.tick().await;
            let request = client.post(format!("{url}/operator/plugins/call")).bearer_auth(&token).json(&body);
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            let said = if answer["error"].is_null() { &answer["result"] } else { &answer["error"] };
            *answers.entry(said.to_string()).or_insert(0) += 1;
        }
        answers
    };
    let mut all = BTreeMap::new();
    for answers in futures::future::join_all((0..CALLERS).map(|_| caller())).await {
        for (answer, times) in answers {
            *all.entry(answer).or_insert(0) += times;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_and_a_rollback_under_200_calls_a_second_fail_no_call() {
    let host = Host::start(Options::default());
    plugin(&host, &["install", adder(&host, 1, "").to_str().unwrap()]).ok();
    let stop = Arc::new(AtomicBool::new(false));
    let body = json!({ "tool": "adder_next", "arguments": { "number": 0 } });
    let calling = tokio::spawn(calls(host.url().to_owned(), host.token(), body, stop.clone()));

    tokio::task::block_in_place(|| {
        for step in 2..=4 {
            plugin(&host, &["upgrade", "adder", adder(&host, step, "").to_str().unwrap()]).ok();
        }
        plugin(&host, &["rollback", "adder", "--to", "3"]).ok();
        plugin(&host, &["upgrade", "adder", adder(&host, 5, "").to_str().unwrap()]).ok();
    });
    stop.store(true, Ordering::Relaxed);
    let answers = calling.await.unwrap();

    // Each answer is a number of one of the generations: an error would stand here as an object.
    let numbers: Vec<u32> =
        answers.keys().map(|answer| answer.parse().unwrap_or_else(|_| panic!("{answers:?}"))).collect();
    assert!(numbers.iter().all(|number| (1..=5).contains(number)), "{answers:?}");
    assert!(numbers.len() > 1, "calls were made beside the upgrades: {answers:?}");
    assert!(!host.output().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_come_and_go_while_another_is_called_and_none_of_its_calls_fails() {
    let host = Host::start(Options::bundled());
    let stop = Arc::new(AtomicBool::new(false));
    let body = json!({ "tool": "echo_shout", "arguments": { "text": "a" } });
    let calling = tokio::spawn(calls(host.url().to_owned(), host.token(), body, stop.clone()));

    tokio::task::block_in_place(|| {
        for step in 1..=2 {
            plugin(&host, &["install", adder(&host, step, "").to_str().unwrap()]).ok();
            let arguments = "{\"number\": 1}";
            assert_eq!(plugin(&host, &["call", "adder_next", arguments]).ok().trim(), (step + 1).to_string());
            plugin(&host, &["disable", "adder"]).ok();
            plugin(&host, &["enable", "adder"]).ok();
            plugin(&host, &["remove", "adder"]).ok();
        }
    });
    stop.store(true, Ordering::Relaxed);
    let answers = calling.await.unwrap();

    assert_eq!(answers.keys().collect::<Vec<_>>(), ["{\"text\":\"A\"}"]);
}

#[test]
fn an_upgrade_that_asks_for_more_is_shown_accepted_and_taken_back() {
    let host = Host::start(Options::default());
    let more = "[[capability]]\nname = \"endpoint\"\nrequired = false\nreason = \"to ask the pi\"\n";
    plugin(&host, &["install", adder(&host, 1, "").to_str().unwrap()]).ok();

    let waiting = plugin(&host, &["install", adder(&host, 2, more).to_str().unwrap()]).ok();
    let shown = plugin(&host, &["show", "adder"]).ok();
    let called = plugin(&host, &["call", "adder_next", "{\"number\": 1}"]).ok();
    let told = [&["show", "adder", "--json"][..], &["upgrade", "adder", "--accept", "--json"]]
        .map(|args| plugin(&host, args).json());
    let back = plugin(&host, &["rollback", "adder"]).ok();

    for text in [&waiting, &shown] {
        let asks = "beside the version in place it asks for\n  new: endpoint (anything): to ask the pi\n";
        assert!(text.contains(asks), "{text}");
        assert!(text.contains("    berth plugin upgrade adder --accept\n"), "{text}");
    }
    assert_eq!(called, "2\n");
    assert_eq!(told[0]["diff"], told[1]["diff"], "one form wherever it is told");
    assert_eq!(told[0]["diff"]["added"][0]["after"], json!({ "scope": {}, "limit": {} }));
    assert_eq!((&told[1]["outcome"], back.as_str()), (&json!("active"), "adder is back at 1.0.0\n"));
    let listed = plugin(&host, &["generations", "adder", "--json"]).json();
    let states: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| one["origin"].as_str().unwrap()).collect();
    assert_eq!(states, ["install", "upgrade", "rollback"]);
    assert!(plugin(&host, &["generations", "adder"]).ok().starts_with("GENERATION  VERSION  ORIGIN"));
    assert!(plugin(&host, &["resume", "adder"]).failed(1).contains("not quarantined"));
    assert!(plugin(&host, &["upgrade", "adder", "--decline"]).failed(1).contains("waits for consent"));
    assert!(plugin(&host, &["upgrade", "gone", "--accept"]).failed(1).contains("no plugin `gone`"));
}
