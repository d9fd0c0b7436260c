//! What waits for a person over a stop of the host.

use berth_core::CoreConfig;
use berth_core::operations::approvals::question::PluginQuestion;
use berth_core::operations::{Ask, Finished};
use berth_core::port::model::ChatMessage;
use berth_core::port::store::Store;
use berth_model::approval::{Approval, ApprovalAnswer, ApprovalStatus};
use berth_model::event::EventType;
use berth_model::operation::{Operation, OperationStatus};
use berth_model::run::RunStatus;
use berth_model::{ActorId, PluginId, RunId, WorkspaceId};
use serde_json::{Value, json};

use crate::harness::{Harness, Piece, on_each};

/// Waits until something is asked.
async fn question(berth: &Harness) -> Approval {
    loop {
        berth.plugins.asked.notified().await;
        if let Some(approval) = pending(berth).await.pop() {
            return approval;
        }
    }
}

async fn pending(berth: &Harness) -> Vec<Approval> {
    berth.core.list_approvals(Some(ApprovalStatus::Pending)).await.unwrap()
}

async fn answer(berth: &Harness, approval: &Approval, answer: ApprovalAnswer) {
    let owner = ActorId::fixed("user:self");
    berth.core.answer_approval(approval.id, &owner, answer, "my words".to_owned()).await.unwrap();
}

/// A call that asks, and the host that stops meanwhile and begins anew.
async fn asked_and_restarted(berth: &mut Harness, arguments: Value) -> Approval {
    let ask = Ask::of_owner("notes_read", arguments, WorkspaceId::fixed("personal"));
    let core = berth.core.clone();
    let call = tokio::spawn(async move { core.operate(ask).await });
    let approval = question(berth).await;
    berth.restart(CoreConfig::default()).await;
    let lost: Result<Finished, _> = call.await.unwrap();
    assert_eq!(lost.unwrap_err().code(), "call_lost");
    berth.core.approval(approval.id).await.unwrap()
}

/// The operation of an approval after its end.
async fn ended(berth: &Harness, approval: &Approval) -> Operation {
    let mut updates = berth.core.operation_updates();
    loop {
        let operation = berth.core.operation(approval.operation).await.unwrap();
        if operation.status.is_final() {
            return operation;
        }
        updates.recv().await.unwrap();
    }
}

/// A run whose last call asks, and the host that stops meanwhile and begins anew.
async fn run_asked_and_restarted(
    berth: &mut Harness,
    calls: Vec<(&'static str, Value)>,
) -> (RunId, Approval) {
    for (name, arguments) in calls {
        berth.model.round(vec![Piece::Call(name, arguments)]);
    }
    let run = berth.post(berth.thread().await, "go", None).await.unwrap().run.unwrap();
    let approval = question(berth).await;
    berth.restart(CoreConfig::default()).await;
    (run, approval)
}

fn calls(berth: &Harness, key: &str) -> usize {
    berth.plugins.calls.lock().unwrap().iter().filter(|(called, _)| called == key).count()
}

#[tokio::test]
async fn a_call_that_waits_for_a_person_waits_on_and_is_run_again_from_the_start() {
    on_each(async |mut berth| {
        for arguments in [json!({ "wants": "a", "park": true }), json!({ "wants": "b" })] {
            let before = calls(&berth, "notes_read");
            let approval = asked_and_restarted(&mut berth, arguments).await;
            assert_eq!(approval.status, ApprovalStatus::Pending);
            let waiting = berth.core.operation(approval.operation).await.unwrap();
            assert_eq!(waiting.status, OperationStatus::WaitingApproval);

            answer(&berth, &approval, ApprovalAnswer::Once).await;

            let operation = ended(&berth, &approval).await;
            assert_eq!(
                (operation.status, operation.approval),
                (OperationStatus::Succeeded, Some(approval.id))
            );
            assert_eq!(calls(&berth, "notes_read"), before + 2);
            let kept = berth.store.read().await.unwrap().lookup_waiting_call(operation.id).await.unwrap();
            assert_eq!(kept, None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_no_after_a_restart_ends_the_call() {
    on_each(async |mut berth| {
        let approval = asked_and_restarted(&mut berth, json!({ "wants": "a", "park": true })).await;

        answer(&berth, &approval, ApprovalAnswer::No).await;

        let operation = ended(&berth, &approval).await;
        assert_eq!(operation.status, OperationStatus::Rejected);
        assert_eq!(operation.error["code"], "approval_rejected");
        assert_eq!(calls(&berth, "notes_read"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_confirmation_that_is_given_after_a_restart_lets_the_call_begin() {
    on_each(async |mut berth| {
        berth.model.round(vec![Piece::Call("notes_peek", json!({ "page": 7 }))]);
        let run = berth.post(berth.thread().await, "go", None).await.unwrap().run.unwrap();
        berth.until(run, &[EventType::ApprovalRequired]).await;
        berth.restart(CoreConfig::default()).await;

        let approval = pending(&berth).await.pop().unwrap();
        assert_eq!((approval.kind.as_str(), calls(&berth, "notes_peek")), ("tool_call", 0));
        answer(&berth, &approval, ApprovalAnswer::Once).await;
        berth.until_end(run).await;

        assert_eq!(calls(&berth, "notes_peek"), 1);
        assert_eq!(berth.core.run(run).await.unwrap().status, RunStatus::Succeeded);
    })
    .await;
}

#[tokio::test]
async fn a_run_goes_on_behind_what_it_had_done() {
    on_each(async |mut berth| {
        let asks = json!({ "wants": "a", "park": true });
        let done = vec![("notes_write", json!({ "line": 1 })), ("notes_read", asks)];
        let (run, approval) = run_asked_and_restarted(&mut berth, done).await;
        assert_eq!(berth.core.run(run).await.unwrap().status, RunStatus::WaitingForApproval);

        answer(&berth, &approval, ApprovalAnswer::Once).await;
        let told: Vec<EventType> =
            berth.until_end(run).await.into_iter().map(|event| event.event.kind).collect();

        assert_eq!(berth.core.run(run).await.unwrap().status, RunStatus::Succeeded);
        assert_eq!((calls(&berth, "notes_write"), calls(&berth, "notes_read")), (1, 2));
        assert!(told.contains(&EventType::ApprovalResolved) && told.contains(&EventType::RunResumed));
        assert_eq!(berth.answer(run).await.0, "done");
        let last = berth.model.asked.lock().unwrap().pop().unwrap();
        let results: Vec<(String, bool)> = last
            .messages
            .into_iter()
            .filter_map(|message| match message {
                ChatMessage::Tool { name, is_error, .. } => Some((name, is_error)),
                _ => None,
            })
            .collect();
        assert_eq!(results, [("notes_write".to_owned(), false), ("notes_read".to_owned(), false)]);
    })
    .await;
}

#[tokio::test]
async fn a_run_that_waits_after_a_restart_can_be_stopped() {
    on_each(async |mut berth| {
        let asks = vec![("notes_read", json!({ "wants": "a", "park": true }))];
        let (run, approval) = run_asked_and_restarted(&mut berth, asks).await;

        while !berth.core.stop_run(run).await.unwrap() {
            tokio::task::yield_now().await;
        }
        berth.until_end(run).await;

        assert_eq!(berth.core.run(run).await.unwrap().status, RunStatus::Cancelled);
        assert_eq!(berth.core.approval(approval.id).await.unwrap().status, ApprovalStatus::Expired);
    })
    .await;
}

#[tokio::test]
async fn a_call_with_arguments_that_no_row_may_carry_ends_with_the_host() {
    on_each(async |mut berth| {
        let arguments = json!({ "wants": "a", "park": true, "password": "canary" });
        let ask = Ask::of_owner("notes_read", arguments, WorkspaceId::fixed("personal"));
        let core = berth.core.clone();
        tokio::spawn(async move { core.operate(ask).await });
        let approval = question(&berth).await;

        berth.restart(CoreConfig::default()).await;

        assert_eq!(berth.core.approval(approval.id).await.unwrap().status, ApprovalStatus::Expired);
        let operation = berth.core.operation(approval.operation).await.unwrap();
        assert_eq!(operation.error["code"], "core_restarted");
    })
    .await;
}

#[tokio::test]
async fn a_run_with_another_call_under_way_does_not_wait_on() {
    on_each(async |mut berth| {
        berth.model.round(vec![
            Piece::Call("notes_read", json!({ "hang": true })),
            Piece::Call("notes_read", json!({ "wants": "a", "park": true })),
        ]);
        let run = berth.post(berth.thread().await, "go", None).await.unwrap().run.unwrap();
        let approval = question(&berth).await;

        berth.restart(CoreConfig::default()).await;

        berth.until_end(run).await;
        assert_eq!(berth.core.approval(approval.id).await.unwrap().reason, "core_restarted");
        assert_eq!(berth.answer(run).await.0, "done");
    })
    .await;
}

#[tokio::test]
async fn a_question_of_a_plugin_is_answered_after_a_restart() {
    on_each(async |mut berth| {
        let question = PluginQuestion {
            plugin: PluginId::fixed("notes"),
            title: "Delete the old notes?".to_owned(),
            risk: "destructive".to_owned(),
            details: String::new(),
            workspace: WorkspaceId::fixed("personal"),
            actor: ActorId::fixed("user:self"),
            run: None,
            thread: None,
            session: None,
        };
        for _ in 0..16 {
            berth.core.ask_question(question.clone()).await.unwrap();
        }
        let one_more = berth.core.ask_question(question).await;
        assert_eq!(one_more.unwrap_err().code(), "approval_too_many");
        berth.restart(CoreConfig::default()).await;

        let asked = pending(&berth).await.pop().unwrap();
        answer(&berth, &asked, ApprovalAnswer::Once).await;

        let told = berth.plugins.answered.lock().unwrap().pop().unwrap();
        assert_eq!((told.approval, told.status), (asked.id, ApprovalStatus::Approved));
    })
    .await;
}
