//! No secret is anywhere but in the host: each is a value of its own, and everything that a guest could read, say or
//! leave behind is searched for it in every encoding.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use berth_broker::Finder;
use berth_core::port::target::PluginTarget;
use berth_model::PluginId;
use serde_json::{Value, json};
use support::host::Harness;
use support::memory::Watched;
use support::vault;

/// A value that is nowhere else, for each run and each secret.
fn canary() -> String {
    format!("canary-{}", hex::encode(rand::random::<[u8; 16]>()))
}

/// The secrets of a run and where they were found.
struct Search {
    all: Finder,
    each: Vec<(String, Finder)>,
    hits: Mutex<Vec<String>>,
}

impl Search {
    fn new(secrets: &[(&str, &[u8])]) -> Arc<Self> {
        let finder = |(name, value): &(&str, &[u8])| ((*name).to_owned(), Finder::new(&[value]).unwrap());
        let values: Vec<&[u8]> = secrets.iter().map(|(_, value)| *value).collect();
        let all = Finder::new(&values).unwrap();
        Arc::new(Self { all, each: secrets.iter().map(finder).collect(), hits: Mutex::default() })
    }

    fn look(&self, place: &str, bytes: &[u8]) {
        if !self.all.is_in(bytes) {
            return;
        }
        for (name, finder) in &self.each {
            if finder.is_in(bytes) {
                self.hits.lock().unwrap().push(format!("{name} in {place}"));
            }
        }
    }

    /// Every file below `folder` but the key, which is no secret of a plugin.
    fn look_below(&self, folder: &Path) -> usize {
        let mut files = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files += self.look_below(&path);
            } else {
                self.look(&path.display().to_string(), &std::fs::read(&path).unwrap());
                files += 1;
            }
        }
        files
    }

    fn hits(&self) -> Vec<String> {
        std::mem::take(&mut self.hits.lock().unwrap())
    }
}

/// Everything that the host and its libraries trace.
#[derive(Clone, Default)]
struct Traces(Arc<Mutex<Vec<u8>>>);

impl Write for Traces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn traced() -> Traces {
    let traces = Traces::default();
    let writer = traces.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    traces
}

/// A host whose guests are searched when they are gone, with a database that is a file.
async fn looked_into(search: &Arc<Search>) -> (Harness, Arc<Watched>) {
    let looking = search.clone();
    let memories = Arc::new(Watched::new(move |bytes| looking.look("the memory of a guest", bytes)));
    let berth = Harness::looking(memories.clone()).await;
    (berth, memories)
}

const OPERATIONS: [&str; 9] = [
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

fn asks(names: &[&str]) -> String {
    let ask = |name: &&str| format!("[[capability]]\nname = \"secret\"\nscope = {}\n", scope(name, '='));
    names.iter().map(ask).collect::<String>() + "[[capability]]\nname = \"endpoint\"\n"
}

/// A scope in TOML or JSON.
fn scope(name: &str, is: char) -> String {
    let operations = serde_json::to_string(&OPERATIONS).unwrap();
    if is == '=' {
        format!("{{ id = \"{name}\", operations = {operations} }}")
    } else {
        format!(r#"{{"id": "{name}", "operations": {operations}}}"#)
    }
}

/// Runs every tool of every installed plugin, as well as it can be run, and gives back all that came of it.
async fn every_tool(berth: &Harness, names: &[&str]) -> String {
    let mut told = String::new();
    let tools: Vec<String> = berth.host.catalogue().iter().map(|spec| spec.name.to_string()).collect();
    for tool in tools {
        let names = if tool.starts_with("secrets_") { names } else { &names[..1] };
        for name in names {
            let arguments = match tool.as_str() {
                "secrets_twice" => {
                    berth.open_the_gate();
                    json!({ "name": name })
                }
                tool if tool.starts_with("secrets_") => json!({
                    "name": name, "data": "data", "before": "b", "after": "a", "texts": ["x", "y"], "signature": "00",
                    "guess": "guess", "times": 20, "text": "nothing", "encrypt": "00", "key": "sha256",
                }),
                "clock_now" => json!({ "zone": "Asia/Tokyo" }),
                "clock_parse" => json!({ "text": "2026-05-01T00:00:00Z" }),
                "echo_say" | "echo_reverse" | "echo_shout" => json!({ "text": "{{secret:token}}" }),
                tool if tool.starts_with("files_") => json!({
                    "path": "/a.md", "content": "{{secret:token}}", "query": "secret", "pattern": "*", "old": "a", "new": "b",
                }),
                _ => json!({ "pin": 17, "value": true, "ms": 1, "device": "led", "level": 1 }),
            };
            match berth.call(&tool, arguments).await {
                Ok(outcome) => told.push_str(&format!("{tool} {} {}\n", outcome.content, outcome.receipt)),
                Err(failure) => told.push_str(&format!("{tool} {failure:?}\n")),
            }
        }
    }
    told
}

#[tokio::test]
async fn no_secret_is_anywhere_but_in_the_host() {
    let traces = traced();
    let (text, raw) = (canary(), rand::random::<[u8; 32]>());
    let key = hex::encode(rand::random::<[u8; 16]>());
    let wide = STANDARD.encode(rand::random::<[u8; 32]>());
    let secrets: [(&str, &[u8]); 4] =
        [("token", text.as_bytes()), ("hex", key.as_bytes()), ("base64", wide.as_bytes()), ("raw", &raw)];
    let names = secrets.map(|(name, _)| name);
    let search = Search::new(&secrets);
    let (berth, memories) = looked_into(&search).await;
    berth.install_fixture("secrets", &asks(&names)).await.unwrap();
    for plugin in ["clock", "echo", "files", "gpio"] {
        berth.install(plugin).await;
    }
    let notes = berth.folder.path().join("files");
    std::fs::create_dir_all(&notes).unwrap();
    berth.grant("files", "files", json!({ "guest": "/", "host": notes, "access": "rw" })).await;
    berth.grant("gpio", "endpoint", json!({})).await;
    berth.grant("secrets", "endpoint", json!({})).await;
    for (name, value) in secrets {
        vault::keep(&berth.desk, "secrets", name, value).await;
        berth.grant("secrets", "secret", serde_json::from_str(&scope(name, ':')).unwrap()).await;
    }

    let told = every_tool(&berth, &names).await;

    assert!(told.matches("\"hmac-sha256\":\"ok\"").count() >= secrets.len(), "{told}");
    assert!(memories.seen() > 50, "{}", memories.seen());
    search.look("what tools answered", told.as_bytes());
    for plugin in ["secrets", "clock", "echo", "files", "gpio"] {
        let logs = berth.host.logs(&PluginId::new(plugin).unwrap()).unwrap();
        search.look("the log of a plugin", format!("{logs:?}").as_bytes());
    }
    let listed = berth.desk.vault().list().await.unwrap();
    assert_eq!(listed.len(), secrets.len());
    search.look("the list of secrets", format!("{listed:?}").as_bytes());
    assert!(search.look_below(berth.folder.path()) > 5, "the database, the components and the compiled ones");
    let traces = traces.0.lock().unwrap().clone();
    assert!(traces.len() > 1000, "{}", String::from_utf8_lossy(&traces));
    search.look("the traces", &traces);
    assert_eq!(search.hits(), Vec::<String>::new());
}

/// The value as a careless program writes it.
fn encodings(value: &str) -> [(&'static str, String); 9] {
    let each = |form: &dyn Fn(u8) -> String| value.bytes().map(form).collect::<String>();
    [
        ("as it is", value.to_owned()),
        ("hex", hex::encode(value)),
        ("upper-case hex", hex::encode_upper(value)),
        ("base64", STANDARD.encode(value)),
        ("base64 of URLs, behind something", URL_SAFE_NO_PAD.encode(format!("x{value}"))),
        ("percent", each(&|byte| format!("%{byte:02X}"))),
        ("escapes of JSON", each(&|byte| format!("\\u{byte:04x}"))),
        ("references of HTML", each(&|byte| format!("&#x{byte:x};"))),
        ("backwards", value.chars().rev().collect()),
    ]
}

#[tokio::test]
async fn the_search_finds_a_value_in_each_encoding_wherever_a_guest_has_it() {
    let planted = canary();
    let search = Search::new(&[("planted", planted.as_bytes())]);
    let (berth, _) = looked_into(&search).await;
    berth.install_fixture("secrets", &asks(&["token"])).await.unwrap();

    for (encoding, text) in encodings(&planted) {
        let answer = berth.answer("secrets_say", json!({ "text": text })).await;
        assert!(search.hits().contains(&"planted in the memory of a guest".to_owned()), "{encoding}");

        search.look("an answer", answer.as_str().unwrap().as_bytes());
        let logs = berth.host.logs(&PluginId::new("secrets").unwrap()).unwrap();
        search.look("a log", logs.last().unwrap().text.as_bytes());
        assert_eq!(search.hits(), ["planted in an answer", "planted in a log"], "{encoding}");
    }
    let harmless = berth.answer("secrets_say", json!({ "text": &planted[..12] })).await;
    assert_ne!(harmless, Value::Null);
    assert_eq!(search.hits(), Vec::<String>::new());
}
