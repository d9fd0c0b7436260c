//! What is written is what is read.

use berth_core::port::store::{RunFilter, ThreadFilter};
use berth_model::approval::{Approval, ApprovalAnswer, ApprovalStatus, ApprovalSubject};
use berth_model::delivery::{Delivery, DeliveryStatus};
use berth_model::endpoint::{Address, Connection, Membership};
use berth_model::operation::OperationStatus;
use berth_model::plugin::{Plugin, PluginStatus};
use berth_model::run::{RunFailure, RunStatus};
use berth_model::session::{Binding, Session, ThreadStrategy};
use berth_model::thread::ThreadStatus;
use berth_model::workspace::ToolPolicy;
use berth_model::{
    AddressId, ApprovalId, BindingId, ConnectionId, DeliveryId, EndpointId, GrantId, JsonMap, MessageId,
    PluginId, SessionId, ToolKey, WorkspaceId,
};
use serde_json::json;

use crate::fixture::{Fixture, actor, at, endpoint, message, operation, run, thread, uuid, workspace};

pub async fn every_aggregate_reads_back_as_it_was_written(fixture: &Fixture) {
    conversations(fixture).await;
    work(fixture).await;
    devices(fixture).await;
    plugins(fixture).await;
}

async fn conversations(fixture: &Fixture) {
    let mut tx = fixture.write().await;

    let mut place = workspace();
    place.governance.tool_policy = ToolPolicy::Allowlist;
    place.governance.allowed_tools = vec![ToolKey::fixed("files_list")];
    place.governance.preferred_providers = vec!["rpi".to_owned()];
    assert!(!tx.seed_workspace(&place).await.unwrap(), "a seed changes nothing that is there");
    tx.update_workspace(&place).await.unwrap();
    assert_eq!(tx.lookup_workspace(&place.id).await.unwrap().unwrap(), place);
    assert!(tx.actor_exists(&actor()).await.unwrap());

    let mut talk = thread();
    tx.insert_thread(&talk).await.unwrap();
    talk.title = "Other".to_owned();
    talk.default_key = Some("cli".to_owned());
    talk.updated_at = at(3);
    tx.update_thread(&talk).await.unwrap();
    assert_eq!(tx.lookup_thread(talk.id).await.unwrap().unwrap(), talk);
    assert_eq!(tx.find_default_thread(&talk.workspace, "cli").await.unwrap().unwrap(), talk);

    let mut said = message(talk.id, "héllo \u{1F600} \\ ' \" \n$1");
    said.origin_endpoint = Some(EndpointId::fixed("cli.ui"));
    said.endpoint_message_id = Some("m1".to_owned());
    tx.insert_message(&said).await.unwrap();
    assert_eq!(tx.lookup_message(said.id).await.unwrap().unwrap(), said);
    let found = tx.find_message(talk.id, said.origin_endpoint.as_ref(), said.role, "m1").await.unwrap();
    assert_eq!(found.unwrap(), said);

    let mut session = Session {
        id: SessionId::from_uuid(uuid()),
        thread: talk.id,
        endpoint: Some(EndpointId::fixed("cli.ui")),
        workspace: place.id.clone(),
        status: "active".to_owned(),
        metadata: JsonMap::new(),
        created_at: at(1),
        updated_at: at(1),
    };
    tx.insert_session(&session).await.unwrap();
    session.workspace = WorkspaceId::fixed("study");
    tx.update_session(&session).await.unwrap();
    assert_eq!(tx.lookup_session(session.id).await.unwrap().unwrap(), session);

    let binding = Binding {
        id: BindingId::fixed("etb.1"),
        endpoint: EndpointId::fixed("feishu.main.ui"),
        thread: talk.id,
        workspace: place.id.clone(),
        address: Some(AddressId::fixed("addr.1")),
        strategy: ThreadStrategy::PerConversation,
        conversation_key: "conversation:chat:1".to_owned(),
        display_name: "Group".to_owned(),
        status: "active".to_owned(),
        metadata: JsonMap::new(),
        created_at: at(1),
        updated_at: at(1),
    };
    tx.insert_binding(&binding).await.unwrap();
    let found =
        tx.find_binding(&binding.endpoint, binding.strategy, &binding.conversation_key).await.unwrap();
    assert_eq!(found.unwrap(), binding);
    assert_eq!(tx.threads_of_address(&AddressId::fixed("addr.1")).await.unwrap(), [binding.thread]);
    assert_eq!(tx.threads_of_address(&AddressId::fixed("addr.2")).await.unwrap(), []);
    tx.commit().await.unwrap();
}

async fn work(fixture: &Fixture) {
    let mut tx = fixture.write().await;
    let mut job = run(None, 4);
    tx.insert_run(&job).await.unwrap();
    job.status = RunStatus::Failed;
    job.failure = Some(RunFailure { code: "c".to_owned(), message: "m".to_owned(), retryable: true });
    job.input_message = Some(MessageId::from_uuid(uuid()));
    job.effects_started = true;
    job.attempt = 2;
    job.started_at = Some(at(5));
    job.finished_at = Some(at(6));
    tx.update_run(&job).await.unwrap();
    assert_eq!(tx.lookup_run(job.id).await.unwrap().unwrap(), job);

    let mut act = operation(&job);
    tx.insert_operation(&act).await.unwrap();
    assert_eq!(tx.open_operations().await.unwrap(), [act.clone()]);
    act.status = OperationStatus::Succeeded;
    act.result = json!({ "entries": [] });
    act.receipt = json!({ "cpu_us": 3 });
    act.started_at = Some(at(11));
    act.finished_at = Some(at(12));
    assert!(tx.update_operation(&act).await.unwrap());
    assert_eq!(tx.lookup_operation(act.id).await.unwrap().unwrap(), act);
    assert_eq!(tx.operations_of_run(job.id).await.unwrap(), [act.clone()]);

    let mut approval = Approval {
        id: ApprovalId::from_uuid(uuid()),
        operation: act.id,
        kind: "tool_call".to_owned(),
        risk: "destructive".to_owned(),
        prompt: "Let it?".to_owned(),
        subject: Some(ApprovalSubject {
            plugin: PluginId::fixed("pi"),
            capability: "endpoint".to_owned(),
            scope: json!({ "tools": ["gpio.write"] }),
        }),
        status: ApprovalStatus::Pending,
        answer: None,
        reason: String::new(),
        decided_by: None,
        grant: None,
        expires_at: at(100),
        created_at: at(1),
        decided_at: None,
    };
    tx.insert_approval(&approval).await.unwrap();
    approval.status = ApprovalStatus::Approved;
    approval.answer = Some(ApprovalAnswer::Hour);
    approval.grant = Some(GrantId::from_uuid(uuid()));
    approval.decided_by = Some(actor());
    approval.decided_at = Some(at(2));
    assert!(tx.decide_approval(&approval).await.unwrap());
    assert_eq!(tx.lookup_approval(approval.id).await.unwrap().unwrap(), approval);
    assert_eq!(tx.approvals_of_operation(act.id).await.unwrap(), [approval.clone()]);
    assert_eq!(tx.list_approvals(Some(ApprovalStatus::Approved)).await.unwrap(), [approval]);

    let mut delivery = Delivery {
        id: DeliveryId::from_uuid(uuid()),
        endpoint: EndpointId::fixed("a"),
        address: None,
        kind: "notice".to_owned(),
        payload: json!({ "content": "x" }),
        status: DeliveryStatus::Queued,
        attempts: 0,
        available_at: None,
        error: String::new(),
        created_at: at(1),
        updated_at: at(1),
    };
    tx.insert_delivery(&delivery).await.unwrap();
    delivery.status = DeliveryStatus::Retry;
    delivery.attempts = 3;
    delivery.available_at = Some(at(50));
    delivery.error = "gone".to_owned();
    tx.update_delivery(&delivery).await.unwrap();
    assert_eq!(tx.lookup_delivery(delivery.id).await.unwrap().unwrap(), delivery);
    tx.commit().await.unwrap();
}

async fn devices(fixture: &Fixture) {
    let mut tx = fixture.write().await;
    let mut device = endpoint("edge.one");
    tx.upsert_endpoint(&device).await.unwrap();
    device.display_name = "New".to_owned();
    tx.upsert_endpoint(&device).await.unwrap();
    assert_eq!(tx.lookup_endpoint(&device.id).await.unwrap().unwrap(), device);

    let membership = Membership {
        endpoint: device.id.clone(),
        workspace: WorkspaceId::fixed("personal"),
        is_primary: true,
        enabled: true,
        source: "provider_declared".to_owned(),
    };
    tx.upsert_membership(&membership).await.unwrap();
    assert_eq!(tx.memberships_of(&device.id).await.unwrap(), vec![membership.clone()]);
    assert_eq!(tx.endpoints_of_workspace(&membership.workspace).await.unwrap(), [device.clone()]);
    tx.upsert_membership(&Membership { enabled: false, ..membership.clone() }).await.unwrap();
    assert_eq!(tx.endpoints_of_workspace(&membership.workspace).await.unwrap(), []);

    let address = Address {
        id: AddressId::fixed("addr.edge.direct.u1"),
        endpoint: device.id.clone(),
        provider_type: "edge".to_owned(),
        kind: "direct".to_owned(),
        external_ref: "u1".to_owned(),
        display_name: "u1".to_owned(),
        workspaces: vec![WorkspaceId::fixed("personal")],
        status: "sendable".to_owned(),
        capabilities: vec!["receive_message".to_owned()],
        metadata: JsonMap::new(),
        last_seen_at: Some(at(1)),
        last_verified_at: None,
    };
    tx.upsert_address(&address, at(1)).await.unwrap();
    assert_eq!(tx.lookup_address(&address.id).await.unwrap().unwrap(), address);
    assert_eq!(tx.find_address(&device.id, "direct", "u1").await.unwrap().unwrap(), address);

    let connection = Connection {
        id: ConnectionId::from_uuid(uuid()),
        endpoint: device.id.clone(),
        connected: true,
        remote: "127.0.0.1".to_owned(),
        created_at: at(1),
        last_seen_at: at(1),
    };
    tx.upsert_connection(&connection).await.unwrap();
    assert_eq!(tx.disconnect_all(at(2)).await.unwrap(), 1);
    assert_eq!(tx.disconnect_all(at(2)).await.unwrap(), 0);
    tx.set_endpoint_status(&device.id, "offline", at(9)).await.unwrap();
    assert_eq!(tx.lookup_endpoint(&device.id).await.unwrap().unwrap().status, "offline");
    tx.commit().await.unwrap();
}

async fn plugins(fixture: &Fixture) {
    let mut tx = fixture.write().await;
    let mut plugin = Plugin {
        id: PluginId::fixed("files"),
        version: "0.1.0".to_owned(),
        digest: "ab".repeat(32),
        manifest: "[plugin]\nid = \"files\"\n".to_owned(),
        tools: json!([{ "name": "files_list" }]),
        status: PluginStatus::Active,
        last_error: String::new(),
        installed_at: at(1),
        updated_at: at(1),
    };
    tx.upsert_plugin(&plugin).await.unwrap();
    plugin.version = "0.2.0".to_owned();
    plugin.updated_at = at(2);
    tx.upsert_plugin(&plugin).await.unwrap();
    assert_eq!(tx.lookup_plugin(&plugin.id).await.unwrap().unwrap(), plugin);
    assert_eq!(tx.list_plugins().await.unwrap(), [plugin.clone()]);

    assert!(tx.remove_plugin(&plugin.id).await.unwrap());
    assert!(!tx.remove_plugin(&plugin.id).await.unwrap());
    tx.commit().await.unwrap();
}

pub async fn lists_are_filtered_bounded_and_in_order(fixture: &Fixture) {
    let mut threads = Vec::new();
    let mut tx = fixture.write().await;
    for second in 1..=5 {
        let mut talk = thread();
        talk.updated_at = at(second);
        tx.insert_thread(&talk).await.unwrap();
        threads.push(talk);
    }
    tx.set_thread_status(threads[2].id, ThreadStatus::Deleted, at(3)).await.unwrap();
    tx.touch_thread(threads[0].id, at(9)).await.unwrap();
    for text in ["one", "two", "three"] {
        tx.insert_message(&message(threads[0].id, text)).await.unwrap();
    }
    tx.commit().await.unwrap();

    let mut tx = fixture.read().await;
    let first = tx.list_threads(&ThreadFilter { limit: 2, ..ThreadFilter::default() }).await.unwrap();
    assert_eq!(first.iter().map(|t| t.id).collect::<Vec<_>>(), [threads[0].id, threads[4].id]);
    let last = first.last().unwrap();
    let filter =
        ThreadFilter { before: Some((last.updated_at, last.id)), limit: 10, ..ThreadFilter::default() };
    let rest = tx.list_threads(&filter).await.unwrap();
    assert_eq!(rest.iter().map(|t| t.id).collect::<Vec<_>>(), [threads[3].id, threads[1].id]);
    let elsewhere = ThreadFilter {
        workspace: Some(WorkspaceId::fixed("elsewhere")),
        limit: 10,
        ..ThreadFilter::default()
    };
    assert_eq!(tx.list_threads(&elsewhere).await.unwrap(), []);

    let texts = |messages: Vec<berth_model::message::Message>| {
        messages.into_iter().map(|message| message.content).collect::<Vec<_>>()
    };
    assert_eq!(texts(tx.list_messages(threads[0].id, None).await.unwrap()), ["one", "two", "three"]);
    assert_eq!(texts(tx.list_messages(threads[0].id, Some(2)).await.unwrap()), ["two", "three"]);
    drop(tx);

    let run = fixture.run(Some(threads[0].id), 1).await;
    let mut tx = fixture.read().await;
    let of_thread = RunFilter { thread: run.thread, limit: 5, ..RunFilter::default() };
    assert_eq!(tx.list_runs(&of_thread).await.unwrap(), vec![run.clone()]);
    let failed = RunFilter { status: Some(RunStatus::Failed), limit: 5, ..RunFilter::default() };
    assert_eq!(tx.list_runs(&failed).await.unwrap(), []);
    assert_eq!(tx.open_runs().await.unwrap(), [run]);
}
