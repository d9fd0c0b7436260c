//! Calls that wait for the answer of a person.

use std::time::Duration;

use berth_model::operation::WaitingCall;
use berth_model::{EndpointId, OperationId};

use crate::fixture::{Fixture, uuid};

pub async fn a_call_that_waits_is_kept_until_it_is_over(fixture: &Fixture) {
    let full = WaitingCall {
        operation: OperationId::from_uuid(uuid()),
        tool: "notes_read".to_owned(),
        target: Some("plugin.notes".to_owned()),
        origin: Some(EndpointId::fixed("cli.home")),
        is_consented: true,
        endpoints_only: false,
        timeout: Some(Duration::from_millis(1500)),
    };
    let bare = WaitingCall {
        operation: OperationId::from_uuid(uuid()),
        target: None,
        origin: None,
        is_consented: false,
        endpoints_only: true,
        timeout: None,
        ..full.clone()
    };
    let mut tx = fixture.write().await;
    tx.upsert_waiting_call(&bare).await.unwrap();
    tx.upsert_waiting_call(&WaitingCall { tool: "other".to_owned(), ..full.clone() }).await.unwrap();
    tx.upsert_waiting_call(&full).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = fixture.write().await;
    assert_eq!(tx.lookup_waiting_call(full.operation).await.unwrap(), Some(full.clone()));
    assert_eq!(tx.lookup_waiting_call(bare.operation).await.unwrap(), Some(bare));
    tx.remove_waiting_call(full.operation).await.unwrap();
    tx.remove_waiting_call(full.operation).await.unwrap();
    assert_eq!(tx.lookup_waiting_call(full.operation).await.unwrap(), None);
}
