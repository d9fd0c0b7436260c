//! Statements that are a transaction of their own.

use berth_core::port::store::{EventScope, Store, StoreError};
use berth_model::event::EventType;
use berth_model::operation::{Operation, OperationStatus};
use berth_model::{ActorId, WorkspaceId};
use serde_json::json;

use crate::fixture::{Fixture, actor, at, event, operation, run, workspace};

pub async fn an_operation_that_is_stored_alone_is_there_and_keeps_its_end(fixture: &Fixture) {
    let mut operation = operation(&run(None, 1));
    operation.run = None;
    fixture.store.insert_operation(&operation).await.unwrap();
    assert_eq!(fixture.read().await.lookup_operation(operation.id).await.unwrap().as_ref(), Some(&operation));

    operation.status = OperationStatus::Succeeded;
    operation.finished_at = Some(at(30));
    operation.result = json!({ "said": "hello" });
    assert!(fixture.store.update_operation(&operation).await.unwrap());
    let late = Operation { status: OperationStatus::Failed, ..operation.clone() };
    assert!(!fixture.store.update_operation(&late).await.unwrap());

    assert_eq!(fixture.read().await.lookup_operation(operation.id).await.unwrap(), Some(operation));
}

pub async fn one_that_is_refused_leaves_the_store_as_it_was(fixture: &Fixture) {
    let mut operation = operation(&run(None, 1));
    operation.run = None;
    fixture.store.insert_operation(&operation).await.unwrap();

    let again = fixture.store.insert_operation(&operation).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict { .. }), "{again:?}");

    operation.status = OperationStatus::Succeeded;
    assert!(fixture.store.update_operation(&operation).await.unwrap());
    let mut tx = fixture.write().await;
    assert!(!tx.update_operation(&operation).await.unwrap(), "the end is stored");
    tx.commit().await.unwrap();
}

pub async fn one_waits_for_the_writer_before_it_and_sees_what_that_stored(fixture: &Fixture) {
    let mut operation = operation(&run(None, 1));
    operation.run = None;
    let mut tx = fixture.write().await;
    tx.insert_operation(&operation).await.unwrap();
    operation.status = OperationStatus::Succeeded;
    let mut update = std::pin::pin!(fixture.store.update_operation(&operation));
    assert!(futures::poll!(update.as_mut()).is_pending());

    tx.commit().await.unwrap();

    assert!(update.await.unwrap());
}

pub async fn a_caller_is_looked_up_with_its_workspace(fixture: &Fixture) {
    let (workspace, nobody) = (workspace(), ActorId::fixed("user:nobody"));
    let elsewhere = WorkspaceId::fixed("elsewhere");

    let known = fixture.store.caller(&workspace.id, &actor()).await.unwrap();
    let stranger = fixture.store.caller(&workspace.id, &nobody).await.unwrap();
    let nowhere = fixture.store.caller(&elsewhere, &actor()).await.unwrap();

    assert_eq!(known, (Some(workspace.clone()), true));
    assert_eq!(stranger, (Some(workspace), false));
    assert_eq!(nowhere.0, None);
}

pub async fn events_are_the_same_in_one_look(fixture: &Fixture) {
    let run = fixture.run(None, 1).await;
    let mut tx = fixture.write().await;
    let events = [EventType::RunStarted, EventType::RunCompleted].map(|kind| event(&run, kind));
    let stored = tx.append_events(&events).await.unwrap();
    tx.commit().await.unwrap();

    let scope = EventScope::Run(run.id);
    let (first, all) = (stored[0].cursor, fixture.store.events_after(&scope, 0, 10).await.unwrap());

    assert_eq!(all, stored);
    assert_eq!(fixture.store.events_after(&scope, first, 10).await.unwrap(), stored[1..]);
    assert_eq!(fixture.store.events_after(&scope, 0, 1).await.unwrap(), stored[..1]);
}
