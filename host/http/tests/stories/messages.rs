//! Messages and the runs that answer them.

use serde_json::{Value, json};

use crate::support::{Berth, tidy};

#[tokio::test]
async fn a_message_is_stored_answered_and_read_back() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let session = berth.session(&thread).await;
    let mut events = berth.events(&thread, None).await;
    let body = json!({
        "thread_id": thread, "session_id": session, "endpoint_id": "desktop.ui", "endpoint_type": "electron",
        "display_name": "Desk", "content": "/say Hello there.", "preferred_mode": "office",
        "endpoint_message_id": "m-1", "metadata": { "colour": "red", "run_id": "mine" }, "unknown": [],
    });

    let message = berth.post("/runtime/messages", body).await.ok();

    insta::assert_snapshot!("message", tidy(&message));
    events.until("run.completed").await;
    let messages = berth.get(&format!("/runtime/threads/{thread}/messages")).await.ok();
    assert_eq!(messages[0]["message_id"], message["message_id"]);
    insta::assert_snapshot!("message_of_the_assistant", tidy(&messages[1]));
    let run = message["run_id"].as_str().unwrap();
    insta::assert_snapshot!("run", tidy(&berth.get(&format!("/runtime/runs/{run}")).await.ok()));
    let events = berth.get(&format!("/runtime/runs/{run}/events")).await.ok();
    insta::assert_snapshot!(
        "run_events",
        events.as_array().unwrap().iter().map(tidy).collect::<Vec<_>>().join("\n")
    );
}

#[tokio::test]
async fn b3_a_message_that_is_sent_twice_is_stored_and_answered_once() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let body = json!({
        "thread_id": thread, "endpoint_id": "desktop.ui", "content": "/say one", "endpoint_message_id": "m-1",
    });
    let first = berth.post("/runtime/messages", body.clone()).await.ok();

    let second = berth.post("/runtime/messages", body.clone()).await.ok();

    assert_eq!((&first["idempotent_replay"], &second["idempotent_replay"]), (&json!(false), &json!(true)));
    assert_eq!((&first["message_id"], &first["run_id"]), (&second["message_id"], &second["run_id"]));
    let runs = berth.get(&format!("/runtime/runs?thread_id={thread}")).await.ok();
    assert_eq!(runs.as_array().unwrap().len(), 1);
    let mut other = body.clone();
    other["endpoint_id"] = json!("phone.ui");
    let other = berth.post("/runtime/messages", other).await.ok();
    assert_ne!(other["message_id"], first["message_id"], "the id belongs to its endpoint");
}

#[tokio::test]
async fn the_same_message_sent_by_many_at_once_is_stored_once() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let body =
        json!({ "thread_id": thread, "endpoint_id": "e", "content": "/say one", "endpoint_message_id": "m" });

    let answers =
        futures::future::join_all((0..12).map(|_| berth.post("/runtime/messages", body.clone()))).await;

    let answers: Vec<_> = answers.iter().map(|answer| answer.ok()).collect();
    let ids: std::collections::BTreeSet<_> =
        answers.iter().map(|one| one["message_id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|one| one["idempotent_replay"] == false).count(), 1);
}

#[tokio::test]
async fn another_text_under_a_used_id_is_a_conflict() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let body = |content: &str| json!({ "thread_id": thread, "endpoint_id": "e", "content": content, "endpoint_message_id": "m-1" });
    berth.post("/runtime/messages", body("/say one")).await.ok();

    let error = berth.post("/runtime/messages", body("/say two")).await.refuses(409, "message_conflict");

    assert!(error["message"].as_str().unwrap().contains("m-1"), "{error}");
    let messages = berth.get(&format!("/runtime/threads/{thread}/messages")).await.ok();
    assert!(messages.as_array().unwrap().iter().all(|message| message["content"] != "/say two"));
}

#[tokio::test]
async fn b5_a_message_to_a_thread_that_is_not_there_is_refused() {
    let berth = Berth::start().await;
    let deleted = berth.thread().await;
    berth.delete(&format!("/runtime/threads/{deleted}")).await.ok();
    for thread in [deleted, format!("thr_{:032x}", 0xdead), "nonsense".to_owned()] {
        let body = json!({ "thread_id": thread, "endpoint_id": "e", "content": "hi" });
        let error = berth.post("/runtime/messages", body).await.refuses(404, "thread_not_found");
        assert_eq!(error["message"], format!("unknown thread: {thread}"));
    }
}

#[tokio::test]
async fn a_message_names_only_what_there_is() {
    let berth = Berth::start().await;
    let (thread, other) = (berth.thread().await, berth.thread().await);
    let stranger = berth.session(&other).await;
    let unknown = format!("sess_{:032x}", 0xdead);
    for (change, status, code) in [
        (json!({ "session_id": stranger }), 404, "session_not_found"),
        (json!({ "session_id": unknown }), 404, "session_not_found"),
        (json!({ "active_workspace_id": "nowhere" }), 404, "workspace_not_found"),
        (json!({ "workspace_id": "nowhere" }), 404, "workspace_not_found"),
        (json!({ "role": "king" }), 422, "invalid_request"),
        (json!({ "content": " \n" }), 422, "invalid_request"),
        (json!({ "endpoint_id": "x".repeat(256) }), 422, "invalid_request"),
        (json!({ "endpoint_message_id": "x".repeat(256) }), 422, "invalid_request"),
        (json!({ "display_name": "x".repeat(256) }), 422, "invalid_request"),
    ] {
        let mut body = json!({ "thread_id": thread, "endpoint_id": "e", "content": "hi" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        berth.post("/runtime/messages", body).await.refuses(status, code);
    }
    assert_eq!(berth.get(&format!("/runtime/threads/{thread}/messages")).await.ok(), json!([]));
}

#[tokio::test]
async fn a_message_is_in_its_sessions_workspace_unless_it_names_one() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let session = berth.session(&thread).await;
    berth
        .patch(
            &format!("/runtime/sessions/{session}/active-workspace"),
            json!({ "active_workspace_id": "study" }),
        )
        .await
        .ok();
    let place = async |change: Value| {
        let mut body = json!({ "thread_id": thread, "endpoint_id": "e", "content": "/say x" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        berth.post("/runtime/messages", body).await.ok()["active_workspace_id"].as_str().unwrap().to_owned()
    };

    assert_eq!(place(json!({})).await, "personal");
    assert_eq!(place(json!({ "session_id": session })).await, "study");
    assert_eq!(place(json!({ "session_id": session, "workspace_id": "home-lab" })).await, "home-lab");
}

#[tokio::test]
async fn a_message_that_wants_no_reply_is_stored_alone() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    for change in [json!({ "reply": false }), json!({ "role": "notice" }), json!({ "role": "assistant" })] {
        let mut body = json!({ "thread_id": thread, "endpoint_id": "e", "content": "for the record" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(berth.post("/runtime/messages", body).await.ok()["run_id"], "");
    }
    assert_eq!(berth.get("/runtime/runs").await.ok(), json!([]));
}

#[tokio::test]
async fn runs_are_listed_by_thread_and_state_and_unknown_ones_are_refused() {
    let berth = Berth::start().await;
    let (thread, other) = (berth.thread().await, berth.thread().await);
    berth.turn(&thread, "/say one").await;
    berth.turn(&other, "/say two").await;

    let runs = berth.get(&format!("/runtime/runs?thread_id={thread}&status=succeeded")).await.ok();

    assert_eq!(runs.as_array().unwrap().len(), 1);
    assert_eq!(berth.get("/runtime/runs?status=failed").await.ok(), json!([]));
    assert_eq!(berth.get("/runtime/runs?limit=1").await.ok()[0]["thread_id"], other.as_str());
    berth.get("/runtime/runs?status=odd").await.refuses(422, "invalid_request");
    berth.get("/runtime/runs?thread_id=odd").await.refuses(404, "thread_not_found");
    let unknown = format!("run_{:032x}", 0xdead);
    for path in [format!("/runtime/runs/{unknown}"), format!("/runtime/runs/{unknown}/events")] {
        let error = berth.get(&path).await.refuses(404, "run_not_found");
        assert!(error["message"].as_str().unwrap().contains(&unknown));
    }
    berth.post(&format!("/runtime/runs/{unknown}/stop"), json!({})).await.refuses(404, "run_not_found");
}

#[tokio::test]
async fn the_events_of_a_run_are_read_behind_a_place() {
    let berth = Berth::start().await;
    let told = berth.turn(&berth.thread().await, "/say one").await;
    let run = told[0].data["run_id"].as_str().unwrap();
    let read = async |query: &str| berth.get(&format!("/runtime/runs/{run}/events{query}")).await.ok();
    let all = read("").await;
    let last = all.as_array().unwrap().len();

    assert_eq!(read("?after_seq=1&limit=1").await, json!([all[1]]));
    assert_eq!(read(&format!("?after_seq={last}")).await, json!([]));
    assert_eq!(read("?limit=0").await.as_array().unwrap().len(), 1);
    assert_eq!(all[last - 1]["type"], "run.completed");
}

#[tokio::test]
async fn a_run_is_stopped_and_what_it_said_is_kept() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut events = berth.events(&thread, None).await;
    let run = berth.say(&thread, "/call notes_wait {}").await["run_id"].as_str().unwrap().to_owned();
    berth.shelf.waiting.notified().await;

    let stopped = berth.post(&format!("/runtime/runs/{run}/stop"), json!({})).await.ok();

    assert_eq!(stopped, json!({ "run_id": run, "accepted": true, "status": "running" }));
    events.until("run.cancelled").await;
    let again = berth.post(&format!("/runtime/runs/{run}/stop"), json!({})).await.ok();
    assert_eq!(again, json!({ "run_id": run, "accepted": false, "status": "cancelled" }));
}
