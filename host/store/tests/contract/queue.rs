//! Order and exclusion under many at once.

use std::collections::HashSet;

use berth_core::port::store::EventScope;
use berth_model::delivery::{Delivery, DeliveryStatus};
use berth_model::event::EventType;
use berth_model::run::RunStatus;
use berth_model::{DeliveryId, EndpointId};
use serde_json::json;

use crate::fixture::{Fixture, at, event, execute, uuid};

pub async fn cursors_have_no_gap_and_appear_in_order(fixture: &Fixture) {
    let run = fixture.run(None, 1).await;
    let writers = (0..8).map(|writer| {
        let run = run.clone();
        async move {
            for turn in 0..10 {
                let mut tx = fixture.write().await;
                let events = [event(&run, EventType::ToolCallCreated), event(&run, EventType::ModelStarted)];
                tx.append_events(&events).await.unwrap();
                // Some give up after they took their places.
                if (writer + turn) % 4 == 0 {
                    drop(tx);
                } else {
                    tx.commit().await.unwrap();
                }
            }
        }
    });
    let reader = async {
        let mut seen: Vec<i64> = Vec::new();
        while seen.len() < 120 {
            let mut tx = fixture.read().await;
            let after = seen.last().copied().unwrap_or(0);
            seen.extend(
                tx.events_after(&EventScope::All, after, 7).await.unwrap().iter().map(|event| event.cursor),
            );
            drop(tx);
            tokio::task::yield_now().await;
        }
        seen
    };

    let (seen, _) = tokio::join!(reader, futures::future::join_all(writers));

    assert_eq!(seen, (1..=120).collect::<Vec<_>>());
    let mut tx = fixture.read().await;
    let of_run = tx.events_of_run(run.id, 0, 1000).await.unwrap();
    assert_eq!(of_run.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=120).collect::<Vec<_>>());
    assert_eq!(tx.events_of_run(run.id, 118, 1000).await.unwrap().len(), 2);
    assert_eq!(tx.last_cursor().await.unwrap(), 120);
    assert_eq!(tx.count_events(run.id, EventType::ModelStarted).await.unwrap(), 60);
    assert!(tx.events_after(&EventScope::Run(run.id), 119, 5).await.unwrap().len() == 1);
}

pub async fn an_event_that_cannot_be_read_keeps_its_place(fixture: &Fixture) {
    let run = fixture.run(None, 1).await;
    let mut tx = fixture.write().await;
    let events = [EventType::RunStarted, EventType::ModelStarted, EventType::RunCompleted]
        .map(|kind| event(&run, kind));
    tx.append_events(&events).await.unwrap();
    tx.commit().await.unwrap();
    execute(&fixture.raw(), "UPDATE run_event SET payload = '[half' WHERE position = 2").await;

    let told = fixture.read().await.events_after(&EventScope::All, 0, 10).await.unwrap();

    assert_eq!(told.iter().map(|event| event.cursor).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(json!(told[1].event.payload), json!({ "unreadable": true }));
    assert_eq!((&told[0].event, &told[2].event), (&events[0], &events[2]));
}

pub async fn many_takers_take_each_run_once_and_one_of_a_thread(fixture: &Fixture) {
    let mut threads = Vec::new();
    for _ in 0..4 {
        threads.push(fixture.thread().await.id);
    }
    for (second, thread) in threads.iter().chain(&threads).chain(&threads).enumerate() {
        fixture.run(Some(*thread), second as i64).await;
    }

    let takers = (0..12).map(|_| async {
        let mut tx = fixture.write().await;
        let run = tx.claim_run(at(50)).await.unwrap();
        tx.commit().await.unwrap();
        run
    });
    let taken: Vec<_> = futures::future::join_all(takers).await.into_iter().flatten().collect();

    let runs: HashSet<_> = taken.iter().map(|run| run.id).collect();
    let of: HashSet<_> = taken.iter().filter_map(|run| run.thread).collect();
    assert_eq!((taken.len(), runs.len(), of.len()), (4, 4, 4));
    assert!(taken.iter().all(|run| run.status == RunStatus::Running && run.attempt == 1));
    assert!(taken.iter().all(|run| run.started_at == Some(at(50))));
}

async fn claim(fixture: &Fixture) -> Option<berth_model::run::Run> {
    let mut tx = fixture.write().await;
    let run = tx.claim_run(at(50)).await.unwrap();
    tx.commit().await.unwrap();
    run
}

pub async fn a_waiting_run_holds_its_thread(fixture: &Fixture) {
    let thread = fixture.thread().await;
    fixture.run(Some(thread.id), 1).await;
    let second = fixture.run(Some(thread.id), 2).await;
    let mut first = claim(fixture).await.unwrap();
    first.status = RunStatus::WaitingForApproval;
    let mut tx = fixture.write().await;
    tx.update_run(&first).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(claim(fixture).await, None);

    first.status = RunStatus::Succeeded;
    let mut tx = fixture.write().await;
    tx.update_run(&first).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(claim(fixture).await.unwrap().id, second.id);
}

pub async fn due_deliveries_come_in_order_and_a_crash_releases_them(fixture: &Fixture) {
    let endpoint = EndpointId::fixed("a");
    let mut deliveries = Vec::new();
    let mut tx = fixture.write().await;
    for (second, status, due) in [
        (2, DeliveryStatus::Queued, None),
        (1, DeliveryStatus::Retry, Some(at(10))),
        (3, DeliveryStatus::Retry, Some(at(99))),
        (4, DeliveryStatus::Sending, None),
        (5, DeliveryStatus::Sent, None),
    ] {
        let delivery = Delivery {
            id: DeliveryId::from_uuid(uuid()),
            endpoint: endpoint.clone(),
            address: None,
            kind: "message".to_owned(),
            payload: json!({}),
            status,
            attempts: 0,
            available_at: due,
            error: String::new(),
            created_at: at(second),
            updated_at: at(second),
        };
        tx.insert_delivery(&delivery).await.unwrap();
        deliveries.push(delivery.id);
    }

    let due = tx.due_deliveries(&endpoint, at(20), 50).await.unwrap();
    assert_eq!(due.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [deliveries[1], deliveries[0]]);

    assert_eq!(tx.release_deliveries(at(20)).await.unwrap(), 1);
    let due = tx.due_deliveries(&endpoint, at(20), 2).await.unwrap();
    assert_eq!(due.len(), 2);
    tx.commit().await.unwrap();
}

pub async fn no_update_is_lost_when_many_look_and_then_write(fixture: &Fixture) {
    let run = fixture.run(None, 1).await;

    let writers = (0..20).map(|_| async {
        let mut tx = fixture.write().await;
        let mut seen = tx.lookup_run(run.id).await.unwrap().unwrap();
        tokio::task::yield_now().await;
        seen.attempt += 1;
        tx.update_run(&seen).await.unwrap();
        tx.append_events(&[event(&run, EventType::RunResumed)]).await.unwrap();
        tx.commit().await.unwrap();
    });
    futures::future::join_all(writers).await;

    let stored = fixture.read().await.lookup_run(run.id).await.unwrap().unwrap();
    assert_eq!(stored.attempt, 20);
}
