//! Clients that come back.

use serde_json::Value;

use super::api::{Api, run_of};
use crate::support::{Host, Options};

#[tokio::test]
async fn a_second_client_that_resumes_by_cursor_sees_no_gap_and_no_repeat() {
    let host = Host::start(Options::bundled());
    let api = Api::of(&host);
    let thread = api.new_thread().await;
    let mut first = api.listen(&thread, 0).await;
    let mut runs = Vec::new();
    for index in 0..6 {
        let text = "/call clock_now {}\n/call files_list {\"path\":\".\"}\n/slow 3";
        runs.push(run_of(&api.message(&thread, &index.to_string(), text).await));
    }

    // It leaves after each third event, while the host goes on, and comes back with the last cursor that it saw.
    let mut seen = Vec::new();
    let mut cursor = 0;
    while !seen.iter().any(|event: &super::api::Told| event.run == runs[5] && event.ends_run()) {
        let mut second = api.listen(&thread, cursor).await;
        for _ in 0..3 {
            let event = second.stored().await.unwrap();
            cursor = event.cursor;
            let is_last = event.run == runs[5] && event.ends_run();
            seen.push(event);
            if is_last {
                break;
            }
        }
    }

    assert_eq!(seen, first.until_end(&runs[5]).await);
    assert_eq!(seen, api.history(&thread, &runs).await);
}

#[tokio::test]
async fn a_clean_stop_during_a_slow_run_ends_in_time_and_the_run_goes_on_at_the_next_start() {
    let mut host = Host::start(Options::default());
    let api = Api::of(&host);
    let thread = api.new_thread().await;
    let mut listener = api.listen(&thread, 0).await;
    let words = "w ".repeat(400);
    let run = run_of(&api.message(&thread, "1", &format!("/slow 60000\n/say {words}")).await);
    while listener.stored().await.unwrap().kind != "run.started" {}

    host.stop();
    while let Some(event) = listener.stored().await {
        assert!(!event.ends_run(), "a stop of the host is not the end of a run: {event:?}");
    }
    host.restart();

    let api = Api::of(&host);
    let mut listener = api.listen(&thread, 0).await;
    loop {
        let event = listener.stored().await.unwrap();
        assert!(!event.ends_run(), "nothing ended it: {event:?}");
        if event.kind == "run.started" && event.payload["attempt"] == 2 {
            break;
        }
    }
    let (status, stopped) = host.request("POST", &format!("/runtime/runs/{run}/stop"), Some(&Value::Null));
    assert_eq!((status, &stopped["accepted"]), (200, &Value::Bool(true)), "{stopped}");
    assert_eq!(listener.until_end(&run).await.last().unwrap().kind, "run.cancelled");
}
