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
