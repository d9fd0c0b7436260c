//! What the database itself does not let happen.

use berth_core::port::store::StoreError;
use berth_model::approval::{Approval, ApprovalStatus};
use berth_model::endpoint::Capability;
use berth_model::message::Role;
use berth_model::operation::OperationStatus;
use berth_model::session::{Binding, ThreadStrategy};
use berth_model::{ApprovalId, BindingId, EndpointId, JsonMap, ToolKey};
use berth_store::SqlStore;
use serde_json::json;

use crate::fixture::{Fixture, at, endpoint, execute, message, operation, run, thread, uuid};

pub async fn the_same_message_sent_by_twenty_at_once_is_stored_once(fixture: &Fixture) {
    let thread = fixture.thread().await;

    let tries = (0..20).map(|_| async {
        let mut same = message(thread.id, "hello");
        same.endpoint_message_id = Some("m1".to_owned());
        let mut tx = fixture.write().await;
        let stored = tx.insert_message(&same).await;
        if stored.is_ok() {
            tx.commit().await.unwrap();
        }
        stored
    });
    let results = futures::future::join_all(tries).await;

    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}");
    }
    assert_eq!(fixture.read().await.list_messages(thread.id, None).await.unwrap().len(), 1);
}

pub async fn a_default_thread_is_made_once_per_workspace_and_key(fixture: &Fixture) {
    let mut first = thread();
    first.default_key = Some("cli".to_owned());
    let mut tx = fixture.write().await;
    tx.insert_thread(&first).await.unwrap();
    tx.commit().await.unwrap();

    let mut second = thread();
    second.default_key = Some("cli".to_owned());
    let error = fixture.write().await.insert_thread(&second).await.unwrap_err();

    assert!(matches!(error, StoreError::Conflict { .. }), "{error:?}");
}

pub async fn a_transaction_that_is_dropped_leaves_nothing(fixture: &Fixture) {
    let left = thread();
    let mut tx = fixture.write().await;
    tx.insert_thread(&left).await.unwrap();
    drop(tx);

    let kept = fixture.thread().await;

    let mut tx = fixture.read().await;
    assert_eq!(tx.lookup_thread(left.id).await.unwrap(), None);
    assert!(tx.lookup_thread(kept.id).await.unwrap().is_some());
}

pub async fn a_final_operation_is_never_overwritten(fixture: &Fixture) {
    let run = fixture.run(None, 1).await;
    let mut operation = operation(&run);
    let mut tx = fixture.write().await;
    tx.insert_operation(&operation).await.unwrap();
    assert!(tx.set_operation_status(operation.id, OperationStatus::Running, at(20)).await.unwrap());
    assert!(tx.set_operation_status(operation.id, OperationStatus::Failed, at(21)).await.unwrap());

    operation.status = OperationStatus::Succeeded;
    assert!(!tx.update_operation(&operation).await.unwrap());
    assert!(!tx.set_operation_status(operation.id, OperationStatus::Cancelled, at(22)).await.unwrap());

    let stored = tx.lookup_operation(operation.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.status, stored.started_at, stored.finished_at),
        (OperationStatus::Failed, Some(at(20)), Some(at(21)))
    );
}

pub async fn an_approval_is_decided_once(fixture: &Fixture) {
    let run = fixture.run(None, 1).await;
    let operation = operation(&run);
    let mut approval = Approval {
        id: ApprovalId::from_uuid(uuid()),
        operation: operation.id,
        kind: "tool_call".to_owned(),
        risk: "command".to_owned(),
        prompt: String::new(),
        subject: None,
        status: ApprovalStatus::Pending,
        answer: None,
        reason: String::new(),
        decided_by: None,
        grant: None,
        expires_at: at(9),
        created_at: at(1),
        decided_at: None,
    };
    let mut tx = fixture.write().await;
    tx.insert_operation(&operation).await.unwrap();
    tx.insert_approval(&approval).await.unwrap();

    approval.status = ApprovalStatus::Rejected;
    assert!(tx.decide_approval(&approval).await.unwrap());
    approval.status = ApprovalStatus::Approved;
    assert!(!tx.decide_approval(&approval).await.unwrap());

    assert_eq!(tx.lookup_approval(approval.id).await.unwrap().unwrap().status, ApprovalStatus::Rejected);
}

pub async fn a_snapshot_disables_what_it_does_not_list(fixture: &Fixture) {
    let capability = |key: &'static str| Capability {
        endpoint: EndpointId::fixed("edge.one"),
        tool_key: ToolKey::fixed(key),
        capability_id: format!("endpoint.edge.one.{key}"),
        title: "T".to_owned(),
        description: "D".to_owned(),
        input_schema: json!({ "type": "object" }),
        output_schema: json!({}),
        risk_word: "read".to_owned(),
        requires_confirmation: true,
        enabled: true,
        constraints: JsonMap::new(),
        metadata: JsonMap::new(),
    };
    let mut tx = fixture.write().await;
    let device = endpoint("edge.one");
    tx.upsert_endpoint(&device).await.unwrap();
    tx.replace_capabilities(&device.id, &[capability("a"), capability("b")], at(1)).await.unwrap();

    tx.replace_capabilities(&device.id, &[capability("b"), capability("c")], at(2)).await.unwrap();

    let listed = tx.list_capabilities(Some(&device.id)).await.unwrap();
    assert_eq!(listed, [capability("b"), capability("c")]);
    assert_eq!(tx.list_capabilities(None).await.unwrap(), listed);
}

pub async fn readers_see_what_is_committed_while_a_writer_is_at_work(fixture: &Fixture) {
    let committed = fixture.thread().await;
    let open = thread();
    let mut writer = fixture.write().await;
    writer.insert_thread(&open).await.unwrap();

    let mut reader = fixture.read().await;

    assert_eq!(reader.lookup_thread(committed.id).await.unwrap(), Some(committed));
    assert_eq!(reader.lookup_thread(open.id).await.unwrap(), None);
    writer.commit().await.unwrap();
    // A view stays as it was when it was opened; the next one is newer.
    assert_eq!(reader.lookup_thread(open.id).await.unwrap(), None);
    drop(reader);
    assert_eq!(fixture.read().await.lookup_thread(open.id).await.unwrap(), Some(open));
}

pub async fn a_database_of_a_newer_version_is_refused(fixture: &Fixture) {
    fixture.store.close().await;
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) ";
    let row = if fixture.raw().starts_with("sqlite") {
        "VALUES (9999, 'later', 1, x'00', 1)"
    } else {
        "VALUES (9999, 'later', true, '\\x00', 1)"
    };
    execute(&fixture.raw(), &format!("{insert}{row}")).await;

    let url = match &fixture.url {
        // The lock of the fixture's store is still held.
        berth_store::DatabaseUrl::Sqlite(path) => {
            let copy = path.with_extension("copy");
            std::fs::copy(path, &copy).unwrap();
            berth_store::DatabaseUrl::sqlite(copy)
        }
        other => other.clone(),
    };
    let error = SqlStore::open(&url).await.err().unwrap();

    assert!(matches!(error, StoreError::NewerSchema { found: 9999, known } if known < 9999), "{error:?}");
}

pub async fn a_row_that_nobody_writes_is_named(fixture: &Fixture) {
    let thread = fixture.thread().await;
    execute(
        &fixture.raw(),
        &format!("UPDATE thread SET status = 'asleep' WHERE thread_id = '{}'", thread.id),
    )
    .await;

    let error = fixture.read().await.lookup_thread(thread.id).await.unwrap_err();

    assert_eq!(error.to_string(), format!("row `{}` of `thread` has a bad `status`", thread.id));
}

pub async fn who_comes_second_finds_the_first_in_the_same_transaction(fixture: &Fixture) {
    let mut first_thread = thread();
    first_thread.default_key = Some("cli".to_owned());
    let mut first_message = message(first_thread.id, "first");
    first_message.endpoint_message_id = Some("m1".to_owned());
    let first_binding = Binding {
        id: BindingId::fixed("etb.1"),
        endpoint: EndpointId::fixed("feishu"),
        thread: first_thread.id,
        workspace: first_thread.workspace.clone(),
        address: None,
        strategy: ThreadStrategy::PerConversation,
        conversation_key: "conversation:1".to_owned(),
        display_name: String::new(),
        status: "active".to_owned(),
        metadata: JsonMap::new(),
        created_at: at(1),
        updated_at: at(1),
    };
    let mut tx = fixture.write().await;
    tx.insert_thread(&first_thread).await.unwrap();
    tx.insert_message(&first_message).await.unwrap();
    tx.insert_binding(&first_binding).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = fixture.write().await;
    let mut late_thread = thread();
    late_thread.default_key = Some("cli".to_owned());
    let mut late_message = message(first_thread.id, "late");
    late_message.endpoint_message_id = Some("m1".to_owned());
    let refused = [
        tx.insert_thread(&late_thread).await.unwrap_err(),
        tx.insert_message(&late_message).await.unwrap_err(),
        // The id of a binding is made of its key, so both are taken.
        tx.insert_binding(&first_binding).await.unwrap_err(),
    ];

    let found = tx.find_default_thread(&first_thread.workspace, "cli").await.unwrap();
    assert_eq!(found.unwrap().id, first_thread.id);
    let found = tx.find_message(first_thread.id, None, Role::User, "m1").await.unwrap();
    assert_eq!(found.unwrap().content, "first");
    let found = tx
        .find_binding(&first_binding.endpoint, first_binding.strategy, &first_binding.conversation_key)
        .await
        .unwrap();
    assert_eq!(found, Some(first_binding));
    tx.insert_message(&message(first_thread.id, "next")).await.unwrap();
    tx.commit().await.unwrap();
    let named = refused.map(|error| match error {
        StoreError::Conflict { index } => index,
        other => panic!("{other:?}"),
    });
    assert_eq!(named, ["thread_default", "message_idempotency", "binding_conversation"]);
}

pub async fn a_text_with_a_nul_is_kept_with_a_mark_in_its_place(fixture: &Fixture) {
    let thread = fixture.thread().await;
    let mut odd = message(thread.id, "a\0b");
    odd.endpoint_message_id = Some("m\0".to_owned());
    odd.metadata.insert("exact".to_owned(), json!("a\0b"));

    let mut tx = fixture.write().await;
    tx.insert_message(&odd).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = fixture.read().await;
    let stored = tx.find_message(thread.id, None, Role::User, "m\0").await.unwrap().unwrap();
    assert_eq!(stored.content, "a\u{fffd}b");
    assert_eq!(stored.metadata, odd.metadata);
}

pub async fn an_update_of_a_row_that_is_not_there_is_an_error(fixture: &Fixture) {
    let missing = run(None, 1);

    let error = fixture.write().await.update_run(&missing).await.unwrap_err();

    assert_eq!(error.to_string(), format!("row `{}` of `run` has a bad `run_id`", missing.id));
    assert!(fixture.write().await.update_thread(&thread()).await.is_err());
}
