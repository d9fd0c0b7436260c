//! Guests that misbehave in a host that others use.

use std::path::PathBuf;

use super::api::{Api, run_of};
use crate::support::{Host, Options, fixture};

/// A plugin folder around a guest that was built for tests.
fn package(host: &Host, guest: &str, more: &str) -> PathBuf {
    let folder = host.scratch().join(guest);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(fixture(guest), folder.join(format!("{guest}.wasm"))).unwrap();
    let manifest = format!(
        "[plugin]\nid = \"{guest}\"\nversion = \"0.1.0\"\nkind = \"tool\"\nabi = \"berth:plugin@0.1\"\n\n[component]\nfile = \"{guest}.wasm\"\n\n{more}\n"
    );
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    folder
}

#[tokio::test]
async fn a_loop_a_memory_eater_and_a_host_wait_are_stopped_while_others_go_on() {
    let host = Host::start(Options::bundled());
    let guests = [
        ("spin", "[limits]\ncpu_ms = 500", "spin_spin", "PLUGIN_CPU_LIMIT"),
        ("memory-eater", "[limits]\nmemory_bytes = 16777216", "memory_eater_eat", "PLUGIN_MEMORY_LIMIT"),
        (
            "host-waiter",
            "[[capability]]\nname = \"endpoint\"\n\n[limits]\ntimeout_ms = 700",
            "host_waiter_wait_clock",
            "PLUGIN_TIMEOUT",
        ),
    ];
    for (guest, limits, ..) in guests {
        let folder = package(&host, guest, limits);
        host.cli(&["plugin", "install", folder.to_str().unwrap()]).ok();
    }
    let api = Api::of(&host);
    let mut runs = Vec::new();
    for (_, _, tool, code) in guests {
        let thread = api.new_thread().await;
        let listener = api.listen(&thread, 0).await;
        runs.push((run_of(&api.message(&thread, "1", &format!("/call {tool} {{}}")).await), listener, code));
    }

    // Another's calls, one after another, until the last of the three has been stopped.
    let neighbour = api.new_thread().await;
    let mut heard = api.listen(&neighbour, 0).await;
    for (run, mut listener, code) in runs {
        let mut stopping = std::pin::pin!(listener.until_end(&run));
        let mut calls = 0;
        let told = loop {
            calls += 1;
            let call = run_of(
                &api.message(&neighbour, &format!("{run}-{calls}"), "/call echo_say {\"text\":\"on\"}").await,
            );
            let events = heard.until_end(&call).await;
            assert!(events.iter().any(|event| event.kind == "tool.call.completed"), "{events:#?}");
            if let Some(told) = futures::FutureExt::now_or_never(stopping.as_mut()) {
                break told;
            }
        };
        let failed =
            told.iter().find(|event| event.kind == "tool.call.failed").unwrap_or_else(|| panic!("{told:#?}"));
        assert_eq!(failed.payload["error"]["code"], code, "{failed:#?}");
        assert_eq!(told.last().unwrap().kind, "run.completed", "a tool that fails is told to the model");
    }
    assert_eq!(host.request("GET", "/health", None).0, 200);
}
