//! Questions to the owner, their answers, and what else is said to a reply under way.

use serde_json::{Value, json};

use crate::support::{Berth, Events, tidy};

/// A reply that waits for a yes.
struct Asked {
    thread: String,
    session: String,
    approval: String,
    run: String,
    events: Events,
}

async fn asked(berth: &Berth) -> Asked {
    let thread = berth.thread().await;
    let session = berth.session(&thread).await;
    let mut events = berth.events(&thread, None).await;
    let body = json!({
        "thread_id": thread, "session_id": session, "endpoint_id": "desktop.ui",
        "content": r#"/call notes_erase {"note":"a","password":"hunter2"}"#,
    });
    let run = berth.post("/runtime/messages", body).await.ok()["run_id"].as_str().unwrap().to_owned();
    let required = events.until("approval.required").await.pop().unwrap();
    let approval = required.data["payload"]["approval_id"].as_str().unwrap().to_owned();
    Asked { thread, session, approval, run, events }
}

async fn pending(berth: &Berth) -> Value {
    berth.get("/runtime/approvals").await.ok()
}

#[tokio::test]
async fn a_call_waits_for_its_approval_and_goes_on_once_it_is_given() {
    let berth = Berth::start().await;
    let mut asked = asked(&berth).await;
    let run = format!("/runtime/runs/{}", asked.run);
    assert_eq!(berth.get(&run).await.ok()["status"], "waiting_for_approval");
    assert_eq!(pending(&berth).await[0]["approval_id"], asked.approval.as_str());

    let body = json!({ "decision": "approve", "reason": "go on", "endpoint_id": "desktop.ui" });
    let path = format!("/runtime/approvals/{}/decision", asked.approval);
    let decided = berth.post(&path, body.clone()).await.ok();

    insta::assert_snapshot!("approval", tidy(&decided));
    asked.events.until("run.completed").await;
    assert_eq!(berth.shelf.calls.lock().unwrap().len(), 1);
    assert_eq!(pending(&berth).await, json!([]));
    let operation = format!("/runtime/operations/{}", decided["operation_id"].as_str().unwrap());
    insta::assert_snapshot!("operation_of_a_run", tidy(&berth.get(&operation).await.ok()));
    let again = berth.post(&path, body).await.refuses(409, "approval_decided");
    assert!(again["message"].as_str().unwrap().contains("approved"), "{again}");
}

#[tokio::test]
async fn a_call_that_is_refused_never_runs() {
    let berth = Berth::start().await;
    let mut asked = asked(&berth).await;
    let path = format!("/runtime/approvals/{}/decision", asked.approval);

    let decided = berth.post(&path, json!({ "decision": "reject", "reason": "not today" })).await.ok();

    assert_eq!((&decided["status"], &decided["decision"]), (&json!("rejected"), &json!("reject")));
    assert_eq!((&decided["operation_status"], &decided["reason"]), (&json!("rejected"), &json!("not today")));
    asked.events.until("run.completed").await;
    assert!(berth.shelf.calls.lock().unwrap().is_empty());
    let operation = format!("/runtime/operations/{}", decided["operation_id"].as_str().unwrap());
    let operation = berth.get(&operation).await.ok();
    assert_eq!(
        (&operation["status"], &operation["approval_status"]),
        (&json!("rejected"), &json!("rejected"))
    );
    assert_eq!(operation["error"]["code"], "approval_rejected");
}

#[tokio::test]
async fn a_decision_that_is_none_is_refused() {
    let berth = Berth::start().await;
    let asked = asked(&berth).await;
    let path = format!("/runtime/approvals/{}/decision", asked.approval);
    berth.post(&path, json!({ "decision": "maybe" })).await.refuses(400, "approval_decision_invalid");
    berth.post(&path, json!({})).await.refuses(422, "invalid_request");
    berth.post(&path, json!({ "decision": true })).await.refuses(422, "invalid_request");
    let unknown = format!("approval_{:032x}", 0xdead);
    let error = berth
        .post(&format!("/runtime/approvals/{unknown}/decision"), json!({ "decision": "approve" }))
        .await
        .refuses(404, "approval_not_found");
    assert!(error["message"].as_str().unwrap().contains(&unknown));
    assert_eq!(pending(&berth).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn approvals_are_listed_by_state() {
    let berth = Berth::start().await;
    let first = asked(&berth).await;
    let path = format!("/runtime/approvals/{}/decision", first.approval);
    berth.post(&path, json!({ "decision": "reject" })).await.ok();
    let second = asked(&berth).await;
    let ids = async |query: &str| {
        let list = berth.get(&format!("/runtime/approvals{query}")).await.ok();
        list.as_array()
            .unwrap()
            .iter()
            .map(|one| one["approval_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };

    assert_eq!(ids("").await, [second.approval.as_str()]);
    assert_eq!(ids("?status=rejected").await, [first.approval.as_str()]);
    assert_eq!(ids("?status=all").await, [first.approval.as_str(), second.approval.as_str()]);
    assert_eq!(ids("?status=all&limit=1").await, [second.approval.as_str()]);
    assert!(ids("?status=expired").await.is_empty());
    berth.get("/runtime/approvals?status=odd").await.refuses(422, "invalid_request");
}

#[tokio::test]
async fn the_second_door_takes_an_approval_id_or_its_digits_as_the_request() {
    for bare in [false, true] {
        let berth = Berth::start().await;
        let mut asked = asked(&berth).await;
        let request_id = if bare { asked.approval.trim_start_matches("approval_") } else { &asked.approval };
        let path = format!("/runtime/sessions/{}/confirm-response", asked.session);

        let result = berth.post(&path, json!({ "accepted": true, "request_id": request_id })).await.ok();

        if bare {
            assert_eq!(result["request_id"], request_id);
        } else {
            insta::assert_snapshot!("confirm_result", tidy(&result));
        }
        assert_eq!((&result["accepted"], &result["approval_status"]), (&json!(true), &json!("approved")));
        asked.events.until("run.completed").await;
        assert_eq!(berth.shelf.calls.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn accepted_tells_that_a_question_was_waiting_not_what_the_answer_was() {
    let berth = Berth::start().await;
    let mut asked = asked(&berth).await;
    let path = format!("/runtime/sessions/{}/confirm-response", asked.session);
    let no = json!({ "accepted": false, "request_id": asked.approval, "reason": "no" });

    let result = berth.post(&path, no.clone()).await.ok();

    assert_eq!((&result["accepted"], &result["approval_status"]), (&json!(true), &json!("rejected")));
    asked.events.until("run.completed").await;
    let stale = berth.post(&path, no).await.ok();
    assert_eq!((&stale["accepted"], &stale["approval_id"]), (&json!(false), &json!("")));
}

#[tokio::test]
async fn an_answer_to_another_session_or_to_no_question_is_stale_and_no_failure() {
    let berth = Berth::start().await;
    let asked = asked(&berth).await;
    let other = berth.session(&berth.thread().await).await;
    let unknown = format!("approval_{:032x}", 0xdead);
    for (session, request) in
        [(&other, asked.approval.as_str()), (&asked.session, unknown.as_str()), (&asked.session, "nonsense")]
    {
        let path = format!("/runtime/sessions/{session}/confirm-response");
        let result = berth.post(&path, json!({ "accepted": true, "request_id": request })).await.ok();
        assert_eq!(result["accepted"], false, "{request}");
    }
    assert_eq!(pending(&berth).await.as_array().unwrap().len(), 1);
    let nowhere = format!("/runtime/sessions/sess_{:032x}/confirm-response", 0xdead);
    berth
        .post(&nowhere, json!({ "accepted": true, "request_id": "x" }))
        .await
        .refuses(404, "session_not_found");
    let path = format!("/runtime/sessions/{}/confirm-response", asked.session);
    berth.post(&path, json!({ "request_id": asked.approval })).await.refuses(422, "invalid_request");
    berth.post(&path, json!({ "accepted": "yes", "request_id": "x" })).await.refuses(422, "invalid_request");
}

#[tokio::test]
async fn an_answer_that_nothing_asked_for_says_so() {
    let berth = Berth::start().await;
    let session = berth.session(&berth.thread().await).await;
    let path = format!("/runtime/sessions/{session}/human-input-response");

    let result = berth.post(&path, json!({ "request_id": "r1", "answer_text": "42" })).await.ok();

    insta::assert_snapshot!("human_input_result", tidy(&result));
    berth.post(&path, json!({})).await.refuses(422, "invalid_request");
}

#[tokio::test]
async fn b7_a_reply_is_stopped_under_the_senders_own_id() {
    let berth = Berth::start().await;
    let mut asked = asked(&berth).await;
    let path = format!("/runtime/sessions/{}/reply-control", asked.session);
    let turn = asked.run.trim_start_matches("run_");

    let wrong = berth.post(&path, json!({ "action": "stop", "turn_id": "0".repeat(32) })).await.ok();
    assert_eq!((&wrong["accepted"], &wrong["status"]), (&json!(false), &json!("rejected")));
    let body = json!({ "action": "stop", "turn_id": turn, "endpoint_request_id": "req-7" });
    let stopped = berth.post(&path, body).await.ok();

    insta::assert_snapshot!("reply_control_result", tidy(&stopped));
    asked.events.until("run.cancelled").await;
    assert_eq!(pending(&berth).await, json!([]));
    let idle = berth.post(&path, json!({ "action": "stop" })).await.ok();
    assert_eq!((&idle["accepted"], &idle["status"]), (&json!(false), &json!("rejected")));
    assert!(idle["request_id"].as_str().unwrap().starts_with("req_"));
    let messages = berth.get(&format!("/runtime/threads/{}/messages", asked.thread)).await.ok();
    assert!(!messages.to_string().contains("notes_erase answered"), "{messages}");
}

#[tokio::test]
async fn an_action_that_is_known_but_not_offered_is_rejected_and_an_unknown_one_refused() {
    let berth = Berth::start().await;
    let session = berth.session(&berth.thread().await).await;
    let path = format!("/runtime/sessions/{session}/reply-control");
    for action in ["append_guidance", "regenerate", "rollback"] {
        let result = berth.post(&path, json!({ "action": action, "guidance": "x" })).await.ok();
        assert_eq!((&result["action"], &result["accepted"]), (&json!(action), &json!(false)));
        assert!(!result["reason"].as_str().unwrap().is_empty());
    }
    berth.post(&path, json!({ "action": "dance" })).await.refuses(400, "reply_control_action_invalid");
    berth.post(&path, json!({})).await.refuses(422, "invalid_request");
    let nowhere = format!("/runtime/sessions/sess_{:032x}/reply-control", 0xdead);
    for action in ["stop", "regenerate"] {
        berth.post(&nowhere, json!({ "action": action })).await.refuses(404, "session_not_found");
    }
}

#[tokio::test]
async fn how_far_a_yes_reaches_is_said_with_it() {
    let berth = Berth::start().await;
    let mut asked = asked(&berth).await;
    let path = format!("/runtime/approvals/{}/decision", asked.approval);
    for body in [
        json!({ "decision": "approve", "for": "ever" }),
        json!({ "decision": "approve", "for": "no" }),
        json!({ "decision": "reject", "for": "once" }),
    ] {
        let error = berth.post(&path, body).await.refuses(422, "invalid_request");
        assert_eq!(error["details"]["errors"][0]["field"], "for");
    }
    let lasting = json!({ "decision": "approve", "for": "always" });
    berth.post(&path, lasting).await.refuses(400, "approval_answer_unsupported");

    let decided = berth.post(&path, json!({ "decision": "approve", "for": "once" })).await.ok();

    assert_eq!((&decided["answer"], &decided["grant_id"]), (&json!("once"), &json!("")));
    asked.events.until("run.completed").await;
}
