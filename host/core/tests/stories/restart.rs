//! What a start makes of what the last process left.

use berth_core::CoreConfig;
use berth_model::event::EventType;
use berth_model::run::{Run, RunStatus};

use crate::harness::{Harness, on_each};

/// A run that was accepted, and is at work as the process goes.
async fn left_behind(berth: &Harness, status: RunStatus, effects_started: bool) -> Run {
    berth.core.shutdown().await;
    let id = berth.post(berth.thread().await, "hi", None).await.unwrap().run.unwrap();
    let run = Run { status, effects_started, ..berth.core.run(id).await.unwrap() };
    berth.store_run(&run).await;
    run
}

#[tokio::test]
async fn a_run_that_was_queued_is_answered_by_the_next_start() {
    on_each(async |mut berth| {
        let run = left_behind(&berth, RunStatus::Queued, false).await;

        berth.restart(CoreConfig::default()).await;

        let told = berth.until_end(run.id).await;
        assert_eq!(told.last().unwrap().event.kind, EventType::RunCompleted);
    })
    .await;
}

#[tokio::test]
async fn a_run_without_effects_is_resumed_by_the_next_start() {
    on_each(async |mut berth| {
        let run = left_behind(&berth, RunStatus::Running, false).await;

        berth.restart(CoreConfig::default()).await;

        let told = berth.until_end(run.id).await;
        assert_eq!(told[1].event.kind, EventType::RunResumed);
        assert_eq!(told.last().unwrap().event.kind, EventType::RunCompleted);
    })
    .await;
}

#[tokio::test]
async fn a_run_with_effects_is_never_run_again() {
    on_each(async |mut berth| {
        let run = left_behind(&berth, RunStatus::Running, true).await;

        berth.restart(CoreConfig::default()).await;

        let told = berth.until_end(run.id).await;
        assert_eq!(told.last().unwrap().event.kind, EventType::RunFailed);
        assert_eq!(berth.core.run(run.id).await.unwrap().failure.unwrap().code, "core_restarted");
        assert!(berth.model.asked.lock().unwrap().is_empty());
        assert_eq!(berth.answer(run.id).await.1, "failed");
    })
    .await;
}
