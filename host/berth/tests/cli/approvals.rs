//! `berth approvals`.

use crate::support::{Host, Options, Process, plugin};

/// A host whose `echo_say` asks the owner before each call.
fn host() -> Host {
    let host = Host::start(Options::default());
    let folder = host.scratch().join("echo");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(plugin("echo").join("echo.wasm"), folder.join("echo.wasm")).unwrap();
    let manifest = std::fs::read_to_string(plugin("echo").join("plugin.toml")).unwrap();
    std::fs::write(folder.join("plugin.toml"), format!("{manifest}\n[tool.say]\nconfirm = true\n")).unwrap();
    host.cli(&["plugin", "install", folder.to_str().unwrap()]).ok();
    host
}

/// A message whose run waits for the owner, and the id of what it waits for.
fn waiting(host: &Host) -> (Process, String) {
    let send = host.spawn(&["send", "/call echo_say {\"text\": \"yes\"}"]);
    send.wait_for_error("berth approvals approve ");
    let pending = host.cli(&["approvals", "--json"]).json();
    (send, pending[0]["approval_id"].as_str().unwrap().to_owned())
}

#[test]
fn an_approved_call_goes_on() {
    let host = host();
    let (send, id) = waiting(&host);

    let listed = host.cli(&["approvals"]).ok();
    let done = host.cli(&["approvals", "approve", &id]).ok();
    let sent = send.finish();

    assert!(listed.contains(&id) && listed.contains("echo_say"), "{listed}");
    assert_eq!(done, format!("{id} is approved\n"));
    assert_eq!(sent.ok(), "echo_say: {\"text\":\"yes\"}\n");
    assert_eq!(host.cli(&["approvals"]).err, "(none)\n");
    let again = host.cli(&["approvals", "reject", &id]).failed(1);
    assert!(again.contains("approved"), "{again}");
}

#[test]
fn a_rejected_call_is_not_made_and_the_reason_is_kept() {
    let host = host();
    let (send, id) = waiting(&host);

    host.cli(&["approvals", "reject", &id, "--reason", "not today"]).ok();
    let sent = send.finish().ok();

    assert!(sent.contains("echo_say failed"), "{sent}");
    let all = host.cli(&["approvals", "--status", "all", "--json"]).json();
    assert_eq!((&all[0]["status"], &all[0]["reason"]), (&"rejected".into(), &"not today".into()));
}

#[test]
fn a_plugin_asks_first_and_a_yes_for_an_hour_becomes_a_grant_in_the_audit() {
    let host = Host::start(Options::default());
    host.cli(&["plugin", "install", plugin("files").to_str().unwrap()]).ok();
    let folder = host.scratch().join("notes");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("today.md"), "buy milk").unwrap();
    let place = folder.to_str().unwrap();
    let granted = host.cli(&[
        "plugin", "grant", "files", "files", "--folder", place, "--write", "--as", "/", "--mode", "ask",
    ]);
    assert!(granted.ok().starts_with("granted after a yes files "));
    let read = ["plugin", "call", "files_read", "{\"path\": \"/today.md\"}"];

    let asking = host.spawn(&read);
    let id = loop {
        let pending = host.cli(&["approvals", "--json"]).json();
        if let Some(id) = pending[0]["approval_id"].as_str() {
            break id.to_owned();
        }
    };
    let said = host.cli(&["approvals", "approve", &id, "--for", "1h", "--reason", "to try it"]).ok();
    let first = asking.finish().ok();
    let second = host.cli(&read).ok();

    assert!(first.contains("buy milk") && second.contains("buy milk"), "{first} {second}");
    assert!(said.contains("it became grant_"), "{said}");
    let shown = host.cli(&["plugin", "show", "files", "--json"]).json();
    let grants = shown["grants"].as_array().unwrap();
    let answer = grants.iter().find(|grant| grant["approval_id"] == id.as_str()).unwrap();
    assert!(answer["reason"].as_str().unwrap().ends_with(": to try it"), "{answer}");
    let audit = host.cli(&["plugin", "audit", "files", "--json"]).json();
    assert_eq!(audit.as_array().unwrap().len(), 2, "{audit}");
    assert_eq!((&audit[1]["approval_id"], &audit[1]["decision"]), (&id.as_str().into(), &"allowed".into()));
    let suggestion = host.cli(&["plugin", "suggest", "files"]).ok();
    assert!(suggestion.contains("name = \"files\"") && suggestion.contains("guest = \"/\""), "{suggestion}");
    let denied = host.cli(&["plugin", "audit", "files", "--decision", "denied"]);
    assert_eq!(denied.err, "(none)\n");
}
