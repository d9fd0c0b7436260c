//! A message comes in, and a run answers it.

use std::sync::Arc;

use berth_core::CoreConfig;
use berth_core::port::store::EventScope;
use berth_model::event::{EventType, LiveEvent};
use berth_model::run::{RunLimits, RunStatus};
use serde_json::json;
use tokio::sync::Notify;

use crate::harness::{Piece, on_each};

#[tokio::test]
async fn the_same_message_twice_is_one_message_and_one_run() {
    on_each(async |berth| {
        let thread = berth.thread().await;
        let first = berth.post(thread, "hello", Some("m1")).await.unwrap();

        let (again, twin) =
            tokio::join!(berth.post(thread, "hello", Some("m1")), berth.post(thread, "hello", Some("m1")));

        for again in [again.unwrap(), twin.unwrap()] {
            assert!(again.replay);
            assert_eq!((again.message.id, again.run), (first.message.id, first.run));
        }
        let error = berth.post(thread, "something else", Some("m1")).await.unwrap_err();
        assert_eq!(error.code(), "message_conflict");
    })
    .await;
}

#[tokio::test]
async fn a_run_tells_its_steps_in_order_and_ends_with_its_answer() {
    on_each(async |berth| {
        berth.model.round(vec![Piece::Say("hel"), Piece::Say("lo")]);

        let (run, told) = berth.turn("hi").await;

        let kinds: Vec<_> = told.iter().map(|event| event.event.kind.as_str()).collect();
        let steps = ["run.created", "run.started", "model.started", "model.completed", "message.completed"];
        assert_eq!(kinds, [&steps[..], &["run.completed"]].concat());
        assert_eq!(told.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(berth.answer(run).await, ("hello".to_owned(), "completed".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_listener_that_resumes_hears_everything_once_while_others_write() {
    on_each(async |berth| {
        let threads = [berth.thread().await, berth.thread().await, berth.thread().await];
        let mut stream = berth.core.subscribe(EventScope::All, Some(0)).await.unwrap();
        let writing = futures::future::join_all(threads.map(|thread| {
            let berth = &berth;
            async move {
                for _ in 0..4 {
                    berth.post(thread, "hi", None).await.unwrap();
                }
            }
        }));
        let listening = async {
            let (mut cursors, mut ended) = (Vec::new(), 0);
            while ended < 12 {
                let event = stream.next().await.unwrap().unwrap();
                if let LiveEvent::Stored(event) = &*event {
                    cursors.push(event.cursor);
                    ended += usize::from(event.event.kind == EventType::RunCompleted);
                    if cursors.len() % 7 == 0 {
                        stream = berth.core.subscribe(EventScope::All, Some(event.cursor)).await.unwrap();
                    }
                }
            }
            cursors
        };

        let (_, cursors) = tokio::join!(writing, listening);

        assert_eq!(cursors, (1..=cursors.len() as i64).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn a_thread_has_one_run_at_work_and_the_next_one_waits() {
    on_each(async |berth| {
        let go = Arc::new(Notify::new());
        berth.model.round(vec![Piece::Hold(go.clone()), Piece::Say("first")]);
        let thread = berth.thread().await;
        let first = berth.post(thread, "one", None).await.unwrap().run.unwrap();
        berth.until(first, &[EventType::ModelStarted]).await;
        let second = berth.post(thread, "two", None).await.unwrap().run.unwrap();
        // A run of another thread is carried to its end in between.
        let (_, other) = berth.turn("elsewhere").await;

        assert_eq!(other.last().unwrap().event.kind, EventType::RunCompleted);
        assert_eq!(berth.core.run(second).await.unwrap().status, RunStatus::Queued);
        go.notify_one();
        let last_of_first = berth.until_end(first).await.last().unwrap().cursor;
        let started = berth.until_end(second).await[1].cursor;
        assert!(last_of_first < started);
    })
    .await;
}

#[tokio::test]
async fn a_model_that_fails_leaves_a_failed_message_with_the_reason() {
    on_each(async |berth| {
        berth.model.round(vec![Piece::Say("half"), Piece::Fail]);

        let (run, _) = berth.turn("hi").await;

        let failure = berth.core.run(run).await.unwrap().failure.unwrap();
        assert_eq!((failure.code.as_str(), failure.retryable), ("provider_rate_limited", true));
        let (text, status) = berth.answer(run).await;
        assert_eq!(status, "failed");
        assert!(text.contains("too many requests"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_piece_of_the_answer_never_overtakes_what_was_stored_before_it() {
    on_each(async |berth| {
        berth.model.round(vec![Piece::Call("notes_read", json!({}))]);
        berth.model.round(vec![Piece::Say("done")]);
        let thread = berth.thread().await;
        let mut live = berth.core.subscribe(EventScope::Thread(thread), None).await.unwrap();

        berth.post(thread, "read", None).await.unwrap();

        let mut kinds = Vec::new();
        while kinds.last() != Some(&EventType::RunCompleted) {
            kinds.push(live.next().await.unwrap().unwrap().event().kind);
        }
        let at = |wanted: EventType| kinds.iter().rposition(|kind| *kind == wanted).unwrap();
        let (started, delta) = (at(EventType::ModelStarted), at(EventType::MessageDelta));
        assert!(at(EventType::ToolCallCompleted) < started, "{kinds:?}");
        assert!(started < delta && delta < at(EventType::MessageCompleted), "{kinds:?}");
    })
    .await;
}

#[tokio::test]
async fn a_stopped_run_keeps_what_was_said() {
    on_each(async |berth| {
        let go = Arc::new(Notify::new());
        berth.model.round(vec![Piece::Say("so far"), Piece::Hold(go)]);
        let mut live = berth.core.subscribe(EventScope::All, None).await.unwrap();
        let run = berth.post(berth.thread().await, "hi", None).await.unwrap().run.unwrap();
        while live.next().await.unwrap().unwrap().event().kind != EventType::MessageDelta {}

        assert!(berth.core.stop_run(run).await.unwrap());

        berth.until_end(run).await;
        assert_eq!(berth.answer(run).await, ("so far".to_owned(), "stopped".to_owned()));
        assert_eq!(berth.core.run(run).await.unwrap().status, RunStatus::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn a_run_that_waits_for_another_is_stopped_before_it_begins() {
    on_each(async |berth| {
        let go = Arc::new(Notify::new());
        berth.model.round(vec![Piece::Hold(go.clone()), Piece::Say("first")]);
        let thread = berth.thread().await;
        let first = berth.post(thread, "hi", None).await.unwrap().run.unwrap();
        berth.until(first, &[EventType::RunStarted]).await;
        let second = berth.post(thread, "wait", None).await.unwrap().run.unwrap();

        assert!(berth.core.stop_run(second).await.unwrap());

        assert_eq!(berth.core.run(second).await.unwrap().status, RunStatus::Cancelled);
        assert!(!berth.core.stop_run(second).await.unwrap());
        go.notify_one();
        berth.until_end(first).await;
        assert_eq!(berth.answer(first).await, ("first".to_owned(), "completed".to_owned()));
        let told = berth.until_end(second).await;
        assert!(told.iter().all(|event| event.event.kind != EventType::RunStarted));
    })
    .await;
}

#[tokio::test]
async fn rounds_calls_and_time_have_limits() {
    on_each(async |mut berth| {
        let call = || vec![Piece::Call("notes_read", json!({})), Piece::Call("notes_read", json!({}))];
        let wall = std::time::Duration::from_millis(50);
        for (limits, what) in [
            (RunLimits { rounds: 1, ..RunLimits::default() }, "rounds"),
            (RunLimits { tool_calls: 1, ..RunLimits::default() }, "tool calls"),
            (RunLimits { wall, ..RunLimits::default() }, "wall time"),
        ] {
            berth.restart(CoreConfig { limits, ..CoreConfig::default() }).await;
            berth.model.round(if what == "wall time" {
                vec![Piece::Hold(Arc::new(Notify::new()))]
            } else {
                call()
            });

            let (run, _) = berth.turn("go on").await;

            let failure = berth.core.run(run).await.unwrap().failure.unwrap();
            assert_eq!(failure.code, "run_limit_reached");
            assert!(failure.message.contains(what), "{}", failure.message);
        }
    })
    .await;
}

#[tokio::test]
async fn a_prompt_ends_with_its_own_message_however_many_wait_behind_it() {
    on_each(async |mut berth| {
        berth.restart(CoreConfig { history_messages: 2, ..CoreConfig::default() }).await;
        let go = Arc::new(Notify::new());
        berth.model.round(vec![Piece::Hold(go.clone()), Piece::Say("first")]);
        let thread = berth.thread().await;
        let mut runs = Vec::new();
        for number in 1..=30 {
            let accepted = berth.post(thread, &format!("message {number}"), None).await.unwrap();
            runs.push(accepted.run.unwrap());
        }

        go.notify_one();
        berth.until_end(runs[29]).await;

        let asked = berth.model.asked.lock().unwrap();
        let said: Vec<Vec<String>> = asked
            .iter()
            .map(|request| request.messages.iter().map(|message| format!("{message:?}")).collect())
            .collect();
        assert_eq!(said.len(), 30);
        for (index, messages) in said.iter().enumerate() {
            assert_eq!(messages.len(), if index == 0 { 2 } else { 3 }, "the system and the window");
            assert_eq!(messages.last().unwrap(), &format!("User(\"message {}\")", index + 1));
        }
    })
    .await;
}
