//! Tool calls of a run: through the gate, to their target, and back to the model.

use std::time::Duration;

use berth_core::CoreConfig;
use berth_core::messages::NewMessage;
use berth_core::operations::Ask;
use berth_core::port::model::ChatMessage;
use berth_model::approval::ApprovalStatus;
use berth_model::event::EventType;
use berth_model::run::RunStatus;
use berth_model::{EndpointId, WorkspaceId};
use serde_json::{Value, json};

use crate::harness::{Harness, Piece, on_each};

/// What the model read of its calls, in order: name, text, whether it was an error.
fn results(berth: &Harness) -> Vec<(String, Value, bool)> {
    let asked = berth.model.asked.lock().unwrap();
    let messages = asked.last().unwrap().messages.iter();
    messages
        .filter_map(|message| match message {
            ChatMessage::Tool { name, content, is_error, .. } => {
                Some((name.clone(), serde_json::from_str(content).unwrap(), *is_error))
            }
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn reads_run_beside_each_other_and_results_keep_the_order_of_the_calls() {
    on_each(async |berth| {
        berth.model.round(vec![
            Piece::Call("notes_read", json!({ "n": 1, "meet": true })),
            Piece::Call("notes_read", json!({ "n": 2, "meet": true })),
            Piece::Call("notes_write", json!({ "n": 3 })),
        ]);

        berth.turn("go").await;

        let numbers: Vec<_> = results(&berth).iter().map(|result| result.1["echo"]["n"].clone()).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(berth.plugins.calls.lock().unwrap()[2].0, "notes_write");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_goes_wrong_is_a_value_for_the_model_and_the_others_go_on() {
    on_each(async |berth| {
        berth.model.round(vec![
            Piece::Call("no_such_tool", json!({})),
            Piece::Call("notes_read", json!("no object")),
            Piece::Call("notes_read", json!({ "trap": true })),
            Piece::Call("notes_read", json!({ "n": 4 })),
        ]);

        let (run, _) = berth.turn("go").await;

        let results = results(&berth);
        let codes: Vec<_> = results.iter().map(|result| result.1["error"]["code"].clone()).collect();
        assert_eq!(codes[..3], ["tool_not_found", "tool_arguments_invalid", "PLUGIN_TRAPPED"]);
        assert_eq!((results[3].1["echo"]["n"].clone(), results[3].2), (json!(4), false));
        assert_eq!(berth.core.run(run).await.unwrap().status, RunStatus::Succeeded);
    })
    .await;
}

#[tokio::test]
async fn arguments_as_deep_as_json_may_be_reach_the_tool_and_the_run_is_told_to_its_end() {
    on_each(async |berth| {
        let deep = (0..126).fold(json!({ "error": true }), |inner, _| json!({ "in": inner }));
        berth.model.round(vec![Piece::Call("notes_read", deep.clone())]);

        let (run, _) = berth.turn("go").await;

        assert_eq!(berth.plugins.calls.lock().unwrap()[0].1, deep);
        assert_eq!(berth.core.run(run).await.unwrap().status, RunStatus::Succeeded);
    })
    .await;
}

#[tokio::test]
async fn sensitive_values_reach_the_tool_and_no_event_or_row() {
    on_each(async |berth| {
        let arguments = json!({ "api_key": "canary-argument", "error": true });
        berth.model.round(vec![Piece::Call("notes_write", arguments.clone())]);

        let (run, told) = berth.turn("go").await;

        assert_eq!(berth.plugins.calls.lock().unwrap()[0].1, arguments);
        assert!(!format!("{told:?}").contains("canary"), "{told:#?}");
        assert!(berth.core.run(run).await.unwrap().effects_started);
    })
    .await;
}

#[tokio::test]
async fn a_call_waits_for_its_approval_and_runs_once_it_is_given() {
    on_each(async |berth| {
        for (approve, runs) in [(false, 0), (true, 1)] {
            berth.model.round(vec![Piece::Call("notes_erase", json!({}))]);
            let run = berth.post(berth.thread().await, "go", None).await.unwrap().run.unwrap();
            berth.until(run, &[EventType::ApprovalRequired]).await;
            assert_eq!(berth.core.run(run).await.unwrap().status, RunStatus::WaitingForApproval);
            let open = berth.core.list_approvals(Some(ApprovalStatus::Pending)).await.unwrap();

            let decided =
                berth.core.decide_approval(open[0].id, approve, "so it is".to_owned()).await.unwrap();

            assert_eq!(decided.1.status.as_str(), if approve { "queued" } else { "rejected" });
            assert_eq!(berth.core.approval(open[0].id).await.unwrap(), decided.0);
            berth.until_end(run).await;
            let ended = berth.core.operation(open[0].operation).await.unwrap();
            assert_eq!(ended.status.as_str(), if approve { "succeeded" } else { "rejected" });
            assert_eq!(berth.plugins.calls.lock().unwrap().len(), runs);
            assert_eq!(results(&berth)[0].2, !approve);
            let again = berth.core.decide_approval(open[0].id, true, String::new()).await.unwrap_err();
            assert_eq!(again.code(), "approval_decided");
        }
    })
    .await;
}

#[tokio::test]
async fn stopping_a_reply_by_the_name_of_another_turn_stops_nothing() {
    on_each(async |berth| {
        berth.model.round(vec![Piece::Call("notes_erase", json!({}))]);
        let thread = berth.thread().await;
        let endpoint = EndpointId::fixed("desktop.ui");
        let session = berth.core.create_session(thread, endpoint, None).await.unwrap().id;
        let run = berth.post(thread, "go", None).await.unwrap().run.unwrap();
        let told = berth.until(run, &[EventType::ApprovalRequired]).await;
        let turn = run.uuid().simple().to_string();
        let stream = format!("{turn}-1");
        let other = "0".repeat(32);

        for (turn, stream) in [(Some(&other), None), (None, Some(&other)), (Some(&turn), Some(&other))] {
            let (turn, stream) = (turn.map(String::as_str), stream.map(String::as_str));
            assert!(!berth.core.stop_session(session, turn, stream).await.unwrap());
        }

        assert!(berth.core.stop_session(session, Some(&turn), Some(&stream)).await.unwrap(), "{told:?}");
        assert_eq!(berth.until_end(run).await.last().unwrap().event.kind, EventType::RunCancelled);
    })
    .await;
}

#[tokio::test]
async fn a_run_asks_one_question_at_a_time() {
    on_each(async |berth| {
        berth.model.round(vec![Piece::Call("notes_peek", json!({})), Piece::Call("notes_peek", json!({}))]);
        let run = berth.post(berth.thread().await, "go", None).await.unwrap().run.unwrap();
        berth.until(run, &[EventType::ApprovalRequired]).await;

        let open = berth.core.list_approvals(Some(ApprovalStatus::Pending)).await.unwrap();

        assert_eq!(open.len(), 1);
        berth.core.decide_approval(open[0].id, true, String::new()).await.unwrap();
        berth.until(run, &[EventType::ToolCallCompleted]).await;
        assert_eq!(berth.plugins.calls.lock().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_approval_that_nobody_gives_expires_and_so_does_that_of_a_stopped_run() {
    on_each(async |mut berth| {
        berth.model.round(vec![Piece::Call("notes_erase", json!({}))]);
        let run = berth.post(berth.thread().await, "go", None).await.unwrap().run.unwrap();
        berth.until(run, &[EventType::ApprovalRequired]).await;
        assert!(berth.core.stop_run(run).await.unwrap());
        berth.until_end(run).await;
        assert_eq!(berth.core.list_approvals(Some(ApprovalStatus::Pending)).await.unwrap(), []);

        let approval_wait = Duration::from_millis(20);
        berth.restart(CoreConfig { approval_wait, ..CoreConfig::default() }).await;
        berth.model.round(vec![Piece::Call("notes_erase", json!({}))]);

        berth.turn("go").await;

        assert_eq!(results(&berth)[0].1["error"]["code"], "approval_expired");
        assert_eq!(berth.core.list_approvals(Some(ApprovalStatus::Pending)).await.unwrap(), []);
        assert!(berth.plugins.calls.lock().unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_host_that_stops_does_not_wait_for_a_direct_call_that_hangs() {
    on_each(async |berth| {
        let ask = Ask::of_owner("notes_read", json!({ "hang": true }), WorkspaceId::fixed("personal"));
        let mut steps = berth.core.operation_updates();
        let call = tokio::spawn({
            let core = berth.core.clone();
            async move { core.operate(ask).await }
        });
        while steps.recv().await.unwrap().phase != "dispatched" {}

        berth.core.shutdown().await;

        let finished = call.await.unwrap().unwrap();
        assert_eq!(finished.outcome.unwrap_err().code, "tool_call_cancelled");
    })
    .await;
}

#[tokio::test]
async fn a_tool_hears_the_language_of_the_message_that_it_is_called_for() {
    on_each(async |berth| {
        for tag in [json!("de-CH"), json!("no tag")] {
            berth.model.round(vec![Piece::Call("notes_read", json!({}))]);
            let mut message = NewMessage::of_user(berth.thread().await, "go");
            message.metadata.insert("locale".to_owned(), tag);
            let run = berth.core.post_message(message).await.unwrap().run.unwrap();
            berth.until_end(run).await;
        }

        assert_eq!(*berth.plugins.locales.lock().unwrap(), ["de-CH", ""]);
    })
    .await;
}
