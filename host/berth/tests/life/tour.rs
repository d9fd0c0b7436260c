//! The five minutes that the README shows.

use serde_json::Value;

use super::api::{Api, run_of};
use crate::support::{Host, Options};

#[test]
fn a_tool_answers_from_its_sandbox_and_says_what_to_grant_beyond_it() {
    let host = Host::start(Options::bundled());
    std::fs::write(host.data().join("files/hello.txt"), "hi").unwrap();

    let listed = host.cli(&["send", "/call files_list {\"path\":\".\"}"]).ok();
    let denied = host.cli(&["send", "/call files_read {\"path\":\"/etc/hostname\"}"]).ok();
    let above = host.cli(&["send", "/call files_read {\"path\":\"../berth.db\"}"]).ok();

    assert!(listed.starts_with("files_list: {"), "{listed}");
    assert!(listed.contains("\"hello.txt\""), "{listed}");
    for refused in [denied, above] {
        assert!(refused.starts_with("files_read failed: {\"code\":\"denied\""), "{refused}");
        assert!(
            refused.contains("berth plugin grant files files --scope"),
            "it says what to grant: {refused}"
        );
    }
}

#[tokio::test]
async fn the_events_of_a_run_tell_the_whole_story() {
    let host = Host::start(Options::bundled());
    let api = Api::of(&host);
    let thread = api.new_thread().await;
    let mut listener = api.listen(&thread, 0).await;

    let run = run_of(&api.message(&thread, "1", "/call clock_now {}").await);

    let told = listener.until_end(&run).await;
    let kinds: Vec<&str> = told.iter().map(|event| event.kind.as_str()).collect();
    insta::assert_snapshot!(kinds.join("\n"));
    let show = host.cli(&["runs", "show", &run]).ok();
    for kind in kinds {
        assert!(show.contains(kind), "{kind} is missing:\n{show}");
    }
}

#[tokio::test]
async fn the_reply_is_streamed_before_it_is_stored() {
    let host = Host::start(Options::default());
    let api = Api::of(&host);
    let thread = api.new_thread().await;
    let mut listener = api.listen(&thread, 0).await;
    let run = run_of(&api.message(&thread, "1", "/slow 1\n/say one two three").await);

    let (mut streamed, mut stored) = (String::new(), Value::Null);
    while stored.is_null() {
        let event: Value = serde_json::from_str(&listener.next().await.unwrap().data).unwrap();
        match event["type"].as_str().unwrap() {
            "message.delta" => streamed.push_str(event["payload"]["delta"].as_str().unwrap()),
            "message.completed" => stored = event["payload"]["message"]["content"].clone(),
            _ => {}
        }
    }

    assert_eq!((streamed.as_str(), stored), ("one two three", Value::from("one two three")));
    let kept = api.history(&thread, &[run]).await;
    assert!(kept.iter().all(|event| event.kind != "message.delta"), "deltas are not stored");
}
