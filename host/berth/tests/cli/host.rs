//! A host that starts, stops and starts again.

use serde_json::json;

use crate::support::{Host, Options};

#[test]
fn what_was_said_is_there_after_a_clean_stop_and_after_a_kill() {
    let mut host = Host::start(Options::bundled());
    host.cli(&["send", "/say first"]).ok();

    host.restart();
    host.cli(&["send", "/say second"]).ok();
    host.kill9();
    host.restart();

    let threads = host.cli(&["threads", "--json"]).json();
    assert_eq!(threads.as_array().unwrap().len(), 1);
    let messages = host.cli(&["threads", "show", "--json", threads[0]["thread_id"].as_str().unwrap()]).json();
    let said: Vec<_> =
        messages.as_array().unwrap().iter().map(|message| message["content"].clone()).collect();
    assert_eq!(said, [json!("/say first"), json!("first"), json!("/say second"), json!("second")]);
    let ended = host.stop();
    assert!(ended.err.contains("stopped"), "{}", ended.err);
}
