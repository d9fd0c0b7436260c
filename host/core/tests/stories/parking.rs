//! A plugin that may go on only after a yes: it waits, or it is run again from the start.

use std::time::Duration;

use berth_core::CoreConfig;
use berth_core::operations::approvals::question::PluginQuestion;
use berth_core::operations::{Ask, Finished};
use berth_core::port::store::Store;
use berth_model::approval::{Approval, ApprovalAnswer, ApprovalStatus};
use berth_model::event::EventType;
use berth_model::operation::OperationStatus;
use berth_model::run::RunStatus;
use berth_model::tool::ExecutionTarget;
use berth_model::{ActorId, PluginId, WorkspaceId};
use serde_json::{Value, json};

use crate::harness::{Harness, Piece, on_each};

async fn pending(berth: &Harness) -> Vec<Approval> {
    berth.core.list_approvals(Some(ApprovalStatus::Pending)).await.unwrap()
}

/// Waits until something is asked.
async fn question(berth: &Harness) -> Approval {
    loop {
        berth.plugins.asked.notified().await;
        if let Some(approval) = pending(berth).await.pop() {
            return approval;
        }
    }
}

async fn answer(berth: &Harness, approval: &Approval, answer: ApprovalAnswer) {
    let owner = ActorId::fixed("user:self");
    berth.core.answer_approval(approval.id, &owner, answer, "my words".to_owned()).await.unwrap();
}

fn ask(arguments: Value) -> Ask {
    Ask::of_owner("notes_read", arguments, WorkspaceId::fixed("personal"))
}

/// A call that asks, and what is answered.
async fn answered(berth: &Harness, arguments: Value, said: ApprovalAnswer) -> (Finished, Approval) {
    let (finished, approval) = futures::join!(berth.core.operate(ask(arguments)), async {
        let approval = question(berth).await;
        answer(berth, &approval, said).await;
        approval
    });
    (finished.unwrap(), berth.core.approval(approval.id).await.unwrap())
}

fn calls(berth: &Harness) -> usize {
    berth.plugins.calls.lock().unwrap().len()
}

#[tokio::test]
async fn a_parked_call_is_run_again_from_the_start_when_the_owner_says_yes() {
    on_each(async |berth| {
        berth.model.round(vec![Piece::Call("notes_read", json!({ "wants": "a", "park": true }))]);
        let run = berth.post(berth.thread().await, "go", None).await.unwrap().run.unwrap();

        let approval = question(&berth).await;
        let waiting = berth.core.run(run).await.unwrap().status;
        let operation = berth.core.operation(approval.operation).await.unwrap();
        answer(&berth, &approval, ApprovalAnswer::Once).await;
        let told: Vec<EventType> =
            berth.until_end(run).await.into_iter().map(|event| event.event.kind).collect();

        assert_eq!(
            (waiting, operation.status),
            (RunStatus::WaitingForApproval, OperationStatus::WaitingApproval)
        );
        assert_eq!(calls(&berth), 2);
        let ended = berth.core.operation(approval.operation).await.unwrap();
        assert_eq!((ended.status, ended.approval), (OperationStatus::Succeeded, Some(approval.id)));
        let of = |kind| told.iter().filter(|told| **told == kind).count();
        assert_eq!((of(EventType::ApprovalRequired), of(EventType::ApprovalResolved)), (1, 1));
        assert_eq!((of(EventType::ToolCallDispatched), of(EventType::ToolCallCompleted)), (2, 1));
        assert_eq!(berth.core.run(run).await.unwrap().status, RunStatus::Succeeded);
    })
    .await;
}

#[tokio::test]
async fn a_parked_call_ends_when_the_owner_says_no() {
    on_each(async |berth| {
        let (finished, approval) =
            answered(&berth, json!({ "wants": "a", "park": true }), ApprovalAnswer::No).await;

        let failure = finished.outcome.unwrap_err();
        assert_eq!(failure.code, "approval_rejected");
        assert!(failure.message.contains("my words"), "{failure}");
        assert_eq!(finished.operation.status, OperationStatus::Rejected);
        assert_eq!((approval.status, calls(&berth)), (ApprovalStatus::Rejected, 1));
    })
    .await;
}

#[tokio::test]
async fn a_call_that_waits_goes_on_where_it_was() {
    on_each(async |berth| {
        let (yes, _) = answered(&berth, json!({ "wants": "a" }), ApprovalAnswer::Once).await;
        let (no, _) = answered(&berth, json!({ "wants": "a" }), ApprovalAnswer::No).await;

        assert_eq!(yes.outcome.unwrap().content["echo"]["wants"], "a");
        assert_eq!(yes.operation.status, OperationStatus::Succeeded);
        assert_eq!(no.outcome.unwrap().content, json!({ "denied": "my words" }));
        assert_eq!(calls(&berth), 2);
    })
    .await;
}

#[tokio::test]
async fn a_yes_that_lasts_becomes_a_grant_that_names_its_approval() {
    on_each(async |berth| {
        for (said, minutes, is_bound) in [
            (ApprovalAnswer::Run, None, true),
            (ApprovalAnswer::Hour, Some(60), false),
            (ApprovalAnswer::Day, Some(24 * 60), false),
            (ApprovalAnswer::Always, None, false),
        ] {
            let (finished, approval) = answered(&berth, json!({ "wants": "a" }), said).await;

            let grant = {
                let mut tx = berth.store.read().await.unwrap();
                tx.lookup_grant(approval.grant.unwrap()).await.unwrap().unwrap()
            };
            assert_eq!(grant.scope, json!({ "what": "a" }), "{said}");
            assert_eq!(grant.granted_by, "user:self");
            assert_eq!(grant.reason, format!("{}: my words", approval.id));
            assert_eq!((grant.approval, &grant.capability[..]), (Some(approval.id), "endpoint"));
            assert_eq!(grant.workspace, Some(WorkspaceId::fixed("personal")));
            let span = grant.expires_at.map(|end| end.since(grant.created_at).as_secs() / 60);
            assert_eq!(span, minutes, "{said}");
            let bound_to = is_bound.then(|| finished.operation.id.to_string());
            assert_eq!(grant.bound_to, bound_to, "{said}");
        }
        let changes = berth.plugins.grants_changed.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(changes, 4, "the plugins heard of each before the call went on");
    })
    .await;
}

#[tokio::test]
async fn only_a_user_of_this_host_answers() {
    on_each(async |berth| {
        let arguments = json!({ "wants": "a", "park": true });
        let (finished, ()) = futures::join!(berth.core.operate(ask(arguments)), async {
            let approval = question(&berth).await;
            for stranger in ["system.scheduler", "plugin.notes", "user:nobody"] {
                let by = ActorId::fixed(stranger);
                let said =
                    berth.core.answer_approval(approval.id, &by, ApprovalAnswer::Always, String::new());
                assert_eq!(said.await.unwrap_err().code(), "approval_actor_not_allowed", "{stranger}");
            }
            assert_eq!(pending(&berth).await.len(), 1);
            answer(&berth, &approval, ApprovalAnswer::No).await;
        });
        assert!(finished.unwrap().outcome.is_err());
    })
    .await;
}

#[tokio::test]
async fn an_approval_that_nobody_answers_expires() {
    on_each(async |mut berth| {
        berth.restart(CoreConfig { approval_wait: Duration::from_millis(20), ..CoreConfig::default() }).await;

        let finished = berth.core.operate(ask(json!({ "wants": "a", "park": true }))).await.unwrap();

        assert_eq!(finished.outcome.unwrap_err().code, "approval_expired");
        let expired = berth.core.list_approvals(Some(ApprovalStatus::Expired)).await.unwrap();
        assert_eq!(expired.len(), 1);
        let late = berth.core.decide_approval(expired[0].id, true, String::new()).await.unwrap_err();
        assert_eq!(late.code(), "approval_decided");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_stopped_asks_no_longer() {
    on_each(async |berth| {
        let ask = ask(json!({ "wants": "a" }));
        let cancel = ask.cancel.clone();

        let (finished, ()) = futures::join!(berth.core.operate(ask), async {
            question(&berth).await;
            cancel.cancel();
        });

        assert!(finished.unwrap().operation.status.is_final());
        assert_eq!(pending(&berth).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_guest_cannot_park_its_own_call() {
    on_each(async |berth| {
        let finished = berth.core.operate(ask(json!({ "forges": true }))).await.unwrap();

        assert_eq!(finished.outcome.unwrap_err().code, "waiting_for_approval");
        assert_eq!((finished.operation.status, calls(&berth)), (OperationStatus::Failed, 1));
    })
    .await;
}

#[tokio::test]
async fn a_call_that_asks_without_end_is_ended() {
    on_each(async |berth| {
        let asks = berth.core.operate(ask(json!({ "wants": "a", "park": true, "again": true })));
        let answers = async {
            loop {
                let approval = question(&berth).await;
                answer(&berth, &approval, ApprovalAnswer::Once).await;
            }
        };
        let finished = tokio::select! {
            finished = asks => finished.unwrap(),
            () = answers => unreachable!(),
        };
        assert_eq!(finished.outcome.unwrap_err().code, "approval_too_many");
    })
    .await;
}

#[tokio::test]
async fn a_confirmation_of_a_call_takes_yes_or_no_alone() {
    on_each(async |berth| {
        berth.model.round(vec![Piece::Call("notes_peek", json!({}))]);
        let run = berth.post(berth.thread().await, "go", None).await.unwrap().run.unwrap();
        berth.until(run, &[EventType::ApprovalRequired]).await;
        let approval = pending(&berth).await.pop().unwrap();

        let owner = ActorId::fixed("user:self");
        let always =
            berth.core.answer_approval(approval.id, &owner, ApprovalAnswer::Always, String::new()).await;

        assert_eq!(always.unwrap_err().code(), "approval_answer_unsupported");
        answer(&berth, &approval, ApprovalAnswer::Once).await;
        berth.until_end(run).await;
        assert_eq!(calls(&berth), 1);
    })
    .await;
}

#[tokio::test]
async fn a_plugins_own_question_is_answered_later() {
    on_each(async |mut berth| {
        let question = || PluginQuestion {
            plugin: PluginId::fixed("notes"),
            title: "Delete the old notes?".to_owned(),
            risk: "destructive".to_owned(),
            details: "12 of them".to_owned(),
            workspace: WorkspaceId::fixed("personal"),
            actor: ActorId::fixed("user:self"),
            run: None,
            thread: None,
            session: None,
        };

        let asked = berth.core.ask_question(question()).await.unwrap();
        assert_eq!(asked.prompt, "notes asks: Delete the old notes?\n12 of them");
        answer(&berth, &asked, ApprovalAnswer::Once).await;
        let told = berth.plugins.answered.lock().unwrap().pop().unwrap();
        assert_eq!((told.approval, told.status), (asked.id, ApprovalStatus::Approved));
        assert_eq!(told.reason, "my words");
        let operation = berth.core.operation(asked.operation).await.unwrap();
        assert_eq!(operation.status, OperationStatus::Succeeded);

        berth.restart(CoreConfig { approval_wait: Duration::from_millis(20), ..CoreConfig::default() }).await;
        let unheard = berth.core.ask_question(question()).await.unwrap();
        while berth.plugins.answered.lock().unwrap().is_empty() {
            berth.plugins.told.notified().await;
        }
        let told = berth.plugins.answered.lock().unwrap().pop().unwrap();
        assert_eq!((told.approval, told.status), (unheard.id, ApprovalStatus::Expired));
    })
    .await;
}

#[tokio::test]
async fn no_tool_on_offer_grants_or_answers() {
    on_each(async |berth| {
        let offered = berth.core.tools(&WorkspaceId::fixed("personal")).await.unwrap();

        // What Core itself offers reads: whoever adds a tool to it looks here whether that still grants nothing.
        let own: Vec<&str> = offered
            .iter()
            .filter(|tool| tool.target == ExecutionTarget::CoreLocal)
            .map(|tool| tool.name.as_str())
            .collect();
        assert_eq!(own, ["core_status", "core_threads"]);
        let asks = ask(json!({ "wants": "a", "park": true }));
        let (finished, ()) = futures::join!(berth.core.operate(asks), async {
            let approval = question(&berth).await;
            // The plugin that asked and the one whom a channel speaks for are nobody who answers.
            for actor in ["plugin.notes", "channel.notes", "system:host"] {
                let said = ApprovalAnswer::Once;
                let by = ActorId::fixed(actor);
                let answered = berth.core.answer_approval(approval.id, &by, said, String::new()).await;
                assert_eq!(answered.unwrap_err().code(), "approval_actor_not_allowed", "{actor}");
            }
            answer(&berth, &approval, ApprovalAnswer::No).await;
        });
        assert!(finished.unwrap().outcome.is_err());
    })
    .await;
}
