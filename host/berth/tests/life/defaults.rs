//! What the plugins that come with berth are granted to begin with: by the code, by the pages, and as an owner meets it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::device::board;
use crate::support::{Host, Options, Process};

/// All that come with berth.
const BUNDLED: [&str; 9] = ["calc", "clock", "echo", "files", "gpio", "http", "notes", "shell", "web"];

/// The grants of a plugin, as they are after the first start.
fn grants(host: &Host, plugin: &str) -> Vec<Value> {
    let shown = host.cli(&["plugin", "show", plugin, "--json"]).json();
    shown["grants"].as_array().unwrap().clone()
}

/// The words that a page has to name for a grant: hosts and methods, programs, tools, a store, a folder.
fn words(grant: &Value) -> BTreeSet<String> {
    let scope = &grant["scope"];
    let texts = |key: &str| -> Vec<String> {
        let list = scope[key].as_array().into_iter().flatten();
        list.map(|text| text.as_str().unwrap().trim_start_matches('/').to_owned()).collect()
    };
    let mut words = BTreeSet::new();
    match grant["capability"].as_str().unwrap() {
        "files" => {
            let folder = Path::new(scope["host"].as_str().unwrap()).file_name().unwrap();
            words.insert(folder.to_str().unwrap().to_owned());
        }
        "keyvalue" => {
            words.insert(scope["store"].as_str().unwrap().to_owned());
        }
        "http" => words.extend(texts("hosts").into_iter().chain(texts("methods"))),
        "process" => words.extend(texts("programs").into_iter().chain(texts("folders"))),
        "endpoint" => words.extend(texts("tools")),
        other => panic!("no page says what `{other}` is: {scope}"),
    }
    words
}

/// The last cell of the plugin's row: what it is granted to begin with.
fn told(page: &str, plugin: &str) -> String {
    let row = page.lines().find(|line| line.starts_with(&format!("| [{plugin}]("))).unwrap();
    row.trim_end_matches(" |").rsplit(" | ").next().unwrap().to_owned()
}

#[test]
fn the_pages_name_each_grant_that_a_bundled_plugin_begins_with() {
    let host = Host::start(Options::bundled());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages =
        ["README.md", "docs/plugins/README.md"].map(|page| std::fs::read_to_string(root.join(page)).unwrap());

    for plugin in BUNDLED {
        let granted = grants(&host, plugin);
        let wanted: BTreeSet<String> = granted.iter().flat_map(words).collect();
        let files = granted.iter().find(|grant| grant["capability"] == "files");
        for page in &pages {
            let cell = told(page, plugin);
            let said: BTreeSet<String> = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            assert_eq!(said, wanted, "{plugin}: {cell}");
            assert_eq!(cell == "needs nothing", granted.is_empty(), "{plugin}: {cell}");
            if let Some(files) = files {
                let reads = files["scope"]["access"] == "ro";
                assert_eq!(cell.contains("reading only"), reads, "{plugin}: {cell}");
            }
        }
    }
    let installed = host.cli(&["plugin", "list", "--json"]).json();
    assert_eq!(installed.as_array().unwrap().len(), BUNDLED.len());
}

/// What the scripted model hears of the call of a tool.
fn call(host: &Host, tool: &str, arguments: &Value) -> String {
    host.cli(&["send", &format!("/call {tool} {arguments}")]).ok()
}

/// Whether `said` names what was refused, and the command of the operator for this plugin.
#[track_caller]
fn helps(said: &str, plugin: &str, refused: &str, command: &str) {
    assert!(said.starts_with(&format!("{plugin}_")) && said.contains(" failed: "), "{said}");
    assert!(said.contains(refused), "`{refused}` in {said}");
    assert!(said.contains(&format!("berth plugin {command}")), "`{command}` in {said}");
}

#[test]
fn every_bundled_plugin_answers_within_its_grant_and_says_beyond_it_what_to_grant() {
    let host = Host::start(Options::bundled());
    let pi = Process::spawn(&mut board(&host, &[]));
    pi.wait_for_error("core has the tools");
    std::fs::write(host.data().join("files/today.txt"), "bread").unwrap();

    for (tool, arguments, answer) in [
        ("calc_evaluate", json!({ "expression": "1299 * 1.19" }), "1545.81"),
        ("clock_add", json!({ "start": "2026-05-01", "duration": "2 days" }), "2026-05-03"),
        ("echo_shout", json!({ "text": "ahoy" }), "AHOY"),
        ("files_read", json!({ "path": "today.txt" }), "bread"),
        ("gpio_read", json!({ "pin": 17 }), "false"),
        ("notes_add", json!({ "text": "Bread is out" }), "Bread is out"),
        ("shell_run", json!({ "program": "ls", "argv": [], "folder": "/files" }), "today.txt"),
    ] {
        let said = call(&host, tool, &arguments);
        assert!(said.starts_with(&format!("{tool}: ")) && said.contains(answer), "{said}");
    }

    for (plugin, tool, arguments, refused, command) in [
        ("files", "files_read", json!({ "path": "/etc/hostname" }), "/etc", "grant files files --scope"),
        ("shell", "shell_run", json!({ "program": "curl", "argv": [] }), "curl", "grant shell process"),
        (
            "http",
            "http_read",
            json!({ "url": "https://api.example/x" }),
            "https://api.example",
            "grant http http --scope",
        ),
        (
            "http",
            "http_send",
            json!({ "method": "post", "url": "https://api.github.com/x" }),
            "POST",
            "grant http http --scope",
        ),
        (
            "web",
            "web_read",
            json!({ "url": "https://news.example/x" }),
            "https://news.example",
            "grant web http --scope",
        ),
    ] {
        helps(&call(&host, tool, &arguments), plugin, refused, command);
    }

    // What is granted whole is refused once the grant is taken back.
    for (plugin, tool, arguments, refused, command) in [
        ("gpio", "gpio_read", json!({ "pin": 17 }), "rpi.gpio.read", "grant gpio endpoint"),
        ("notes", "notes_list", json!({}), "notes", "grant notes keyvalue --scope"),
    ] {
        for grant in grants(&host, plugin) {
            host.cli(&["plugin", "revoke", grant["grant_id"].as_str().unwrap()]).ok();
        }
        helps(&call(&host, tool, &arguments), plugin, refused, command);
    }

    // The others ask for nothing, so there is nothing beyond their grant.
    for plugin in ["calc", "clock", "echo"] {
        let shown = host.cli(&["plugin", "show", plugin, "--json"]).json();
        assert_eq!(shown["capabilities"], json!([]), "{plugin}");
    }
}
