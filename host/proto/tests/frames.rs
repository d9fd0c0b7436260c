//! Every frame as text on the wire: one snapshot out, and the same value when it is read back.
//!
//! A changed snapshot is a changed protocol.

#![allow(clippy::unwrap_used)]

use berth_proto::address::*;
use berth_proto::delivery::*;
use berth_proto::lifecycle::*;
use berth_proto::subscription::*;
use berth_proto::tool::*;
use berth_proto::{CoreFrame, Envelope, JsonMap, ProviderFrame};
use serde_json::{Value, json};

fn map(value: Value) -> JsonMap {
    value.as_object().unwrap().clone()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn provider_frames() -> Vec<ProviderFrame> {
    let endpoint = EndpointItem {
        endpoint_id: text("edge.lab1.executor"),
        endpoint_type: text("edge_executor"),
        provider_type: text("edge"),
        transport_type: text("websocket"),
        roles: vec![text("execution")],
        workspace_ids: vec![text("home-lab")],
        supports_markdown: true,
    };
    let provider = ProviderInfo {
        provider_type: text("edge"),
        provider_id: text("lab1"),
        display_name: text("Lab"),
        transport_profile: text("edge_wss"),
        supports_markdown: Some(true),
        supports_offline_cache: Some(false),
        host: map(json!({ "hostname": "lab1" })),
    };
    let tool = CapabilityItem {
        tool_key: text("math.add"),
        capability_id: text("endpoint.edge.lab1.executor.math.add"),
        title: text("Add"),
        description: text("Adds two numbers"),
        input_schema: json!({ "type": "object" }),
        output_schema: json!({}),
        risk_level: text("read"),
        requires_confirmation: false,
        enabled: true,
        constraints: map(json!({ "timeout_seconds": 30 })),
        more: map(json!({ "tags": ["math"] })),
    };
    let address = AddressItem {
        address_type: text("group"),
        external_ref: text("g1"),
        display_name: text("G"),
        status: text("sendable"),
        supports_markdown: Some(false),
        ..AddressItem::default()
    };
    let addresses = AddressesSnapshot { endpoint_id: text("feishu.provider.ui"), addresses: vec![address] };
    let subscription = Subscription {
        subscription_id: text("sub-1"),
        target_type: text("thread"),
        target_id: text("thr_1"),
        last_seen_event_seq: 41,
        replay: true,
    };
    let error = ToolErrorReason {
        code: text("gpio_pin_not_allowed"),
        category: text("runtime"),
        message: text("pin 4 is not allowed"),
        ..ToolErrorReason::default()
    };
    let result = |status: &str, error: Value| DeliveryResult {
        delivery_id: text("delivery_9"),
        status: text(status),
        error: map(error),
        metadata: JsonMap::new(),
    };
    let finished_at = text("2026-05-01T00:00:00.000001Z");
    vec![
        ProviderFrame::Hello(Hello {
            provider,
            endpoints: vec![endpoint],
            protocol: Some(ProtocolOffer::ours()),
            connection_id: None,
        }),
        ProviderFrame::Capabilities(CapabilitiesSnapshot {
            endpoint_id: text("edge.lab1.executor"),
            revision: 1,
            capabilities: vec![tool],
        }),
        ProviderFrame::Ready(EndpointReady::default()),
        ProviderFrame::Heartbeat(Heartbeat {
            endpoint_id: text("edge.lab1.executor"),
            status: text("ready"),
            metrics: map(json!({ "active_calls": 0 })),
            connection_id: None,
        }),
        ProviderFrame::Goodbye(Goodbye { endpoint_id: String::new(), reason: text("shutdown") }),
        ProviderFrame::Addresses(addresses.clone()),
        ProviderFrame::AddressUpsert(addresses),
        ProviderFrame::AddressDelete(AddressDelete { address_id: text("addr.feishu.group.g1") }),
        ProviderFrame::Subscribe(subscription.clone()),
        ProviderFrame::Resubscribe(Subscription { replay: false, ..subscription }),
        ProviderFrame::Unsubscribe(SubscriptionStop { subscription_id: text("sub-1"), ..Default::default() }),
        ProviderFrame::DeliveryResult(result("sent", json!({}))),
        ProviderFrame::DeliveryError(result("failed", json!({ "code": "blocked" }))),
        ProviderFrame::ToolAccepted(ToolAccepted {
            call_id: text("call_1"),
            accepted: true,
            started_at: finished_at.clone(),
        }),
        ProviderFrame::ToolProgress(ToolProgress {
            call_id: text("call_1"),
            phase: text("running"),
            detail: text("half"),
        }),
        ProviderFrame::ToolResult(ToolResult {
            call_id: text("call_1"),
            status: text("succeeded"),
            result: map(json!({ "summary": "2 + 3 = 5" })),
            finished_at: finished_at.clone(),
        }),
        ProviderFrame::ToolError(ToolError {
            call_id: text("call_2"),
            status: text("failed"),
            error,
            finished_at,
        }),
        ProviderFrame::ToolCancel(ToolCancel {
            call_id: text("call_3"),
            reason: text("user"),
            ..ToolCancel::default()
        }),
    ]
}

fn core_frames() -> Vec<CoreFrame> {
    let agreement = Agreement {
        selected_schema: text(berth_proto::SCHEMA),
        selected_version: 4,
        enabled_features: vec![text("feature_negotiation")],
        disabled_features: vec![text("connection_prompt")],
        compatibility_mode: text("negotiated"),
    };
    let record = AddressRecord {
        address_id: text("addr.feishu.group.g1"),
        provider_type: text("feishu"),
        address_type: text("group"),
        external_ref: text("g1"),
        display_name: text("G"),
        workspace_ids: vec![text("personal")],
        status: text("sendable"),
        capabilities: vec![text("receive_message")],
        supports_markdown: false,
        metadata: JsonMap::new(),
        last_seen_at: text("2026-05-01T00:00:00+00:00"),
        last_verified_at: String::new(),
    };
    let ack = |action: &str, active, removed| {
        CoreFrame::SubscriptionAck(SubscriptionAck {
            action: text(action),
            subscription_id: text("sub-1"),
            target_type: text("thread"),
            target_id: text("thr_1"),
            active,
            removed,
        })
    };
    let event = RunEvent {
        event_id: text("evt_1"),
        run_id: text("run_1"),
        thread_id: text("thr_1"),
        session_id: text("sess_1"),
        seq: 41,
        kind: text("message.delta"),
        payload: map(json!({ "delta": "Hel", "channel": "answer" })),
        durable: false,
        turn_id: text("t1"),
        stream_id: text("s1"),
        created_at: text("2026-05-01T00:00:00.000001Z"),
    };
    let update = OperationUpdate {
        operation_id: text("op_1"),
        call_id: text("call_1"),
        tool_key: text("math.add"),
        status: text("running"),
        phase: text("accepted"),
        routing_decision: json!({}),
        ..OperationUpdate::default()
    };
    let request = ToolRequest {
        operation_id: text("op_1"),
        call_id: text("call_1"),
        workspace_id: text("home-lab"),
        tool_key: text("math.add"),
        capability_id: text("endpoint.edge.lab1.executor.math.add"),
        arguments: map(json!({ "left": 2, "right": 3 })),
        encrypted_arguments: None,
        timeout_seconds: 120,
        audit_context: AuditContext {
            execution_target_id: text("edge.lab1.executor"),
            ..AuditContext::default()
        },
    };
    let sealed = EncryptedArguments {
        version: text("v1"),
        alg: text("aes-256-gcm"),
        purpose: text("endpoint.tool.arguments.v4"),
        iv: text("AAAA"),
        ciphertext: text("BBBB"),
        tag: text("CCCC"),
    };
    vec![
        CoreFrame::HelloAck(HelloAck::Accepted(Accepted {
            connection_id: text("conn_7"),
            requires_capabilities_snapshot: true,
            heartbeat_interval_seconds: Some(20),
            registered_endpoints: vec![text("edge.lab1.executor")],
            protocol: agreement,
        })),
        CoreFrame::HelloAck(HelloAck::Rejected(RejectReason::new(
            "unsupported_endpoint_protocol",
            "version 4 is needed",
        ))),
        CoreFrame::Ready(CapabilitiesReady { registered_capability_count: 1 }),
        CoreFrame::Error(EndpointError::new("endpoint_not_found", "this socket has no endpoint x")),
        CoreFrame::AddressesAck(AddressesAck { count: 1, addresses: vec![record] }),
        CoreFrame::AddressDeleteAck(AddressDeleteAck {
            address_id: text("addr.feishu.group.g1"),
            deleted: true,
        }),
        ack("start", true, None),
        ack("stop", false, Some(1)),
        CoreFrame::run_event(&event),
        CoreFrame::operation_update(&update),
        CoreFrame::Delivery { kind: text("notice"), payload: map(json!({ "content": "hi" })) },
        CoreFrame::DeliveryResultAck(DeliveryResultAck {
            ok: true,
            status: Some(text("delivered")),
            reason: None,
            delivery_id: text("delivery_9"),
            queued: None,
            attempt_status: Some(text("delivered")),
        }),
        CoreFrame::DeliveryResultAck(DeliveryResultAck {
            ok: false,
            reason: Some(text("delivery_not_found")),
            delivery_id: text("x"),
            ..DeliveryResultAck::default()
        }),
        CoreFrame::ToolRequest(Box::new(request.clone())),
        CoreFrame::ToolRequest(Box::new(ToolRequest { encrypted_arguments: Some(sealed), ..request })),
        CoreFrame::ToolCancel(ToolCancel {
            call_id: text("call_3"),
            reason: text("user stop"),
            cancelled_at: text("2026-05-01T00:00:00.000001Z"),
        }),
    ]
}

#[test]
fn every_frame_of_a_provider_reads_back_as_it_was_written() {
    let mut lines = Vec::new();
    for frame in provider_frames() {
        let line = frame.envelope().with_message_id("msg_1").write();
        assert_eq!(ProviderFrame::read(&Envelope::read(&line).unwrap()), Some(frame));
        lines.push(line);
    }

    insta::assert_snapshot!("provider_frames", lines.join("\n"));
}

#[test]
fn every_frame_of_core_reads_back_as_it_was_written() {
    let mut lines = Vec::new();
    for frame in core_frames() {
        let line = frame.envelope().write();
        assert_eq!(CoreFrame::read(&Envelope::read(&line).unwrap()), Some(frame));
        lines.push(line);
    }

    insta::assert_snapshot!("core_frames", lines.join("\n"));
}

fn read(kind: &str, payload: Value) -> ProviderFrame {
    ProviderFrame::read(&Envelope::new(kind, map(payload))).unwrap()
}

#[test]
fn an_unknown_type_is_no_frame_of_either_side() {
    for kind in ["foo.bar", "", "runtime.command", "endpoint.hello.ack", "delivery."] {
        assert_eq!(ProviderFrame::read(&Envelope::new(kind, JsonMap::new())), None, "{kind}");
    }
    assert_eq!(CoreFrame::read(&Envelope::new("endpoint.hello", JsonMap::new())), None);
}

#[test]
fn a_hello_without_an_offer_says_so_and_endpoints_without_id_are_left_out() {
    for protocol in [json!(null), json!([]), json!({}), json!("v4")] {
        let frame =
            read("endpoint.hello", json!({ "protocol": protocol, "endpoints": [1, { "endpoint_id": " " }] }));

        let ProviderFrame::Hello(hello) = frame else { panic!("{frame:?}") };
        assert_eq!((hello.protocol, hello.endpoints), (None, Vec::new()));
    }
}

#[test]
fn a_hello_may_spell_its_version_and_schema_in_the_short_way() {
    let frame = read(
        "endpoint.hello",
        json!({ "protocol": { "schema": "meetyou.endpoint.ws.v4", "version": "4" }, "supports_markdown": "no",
                "endpoints": [{ "endpoint_id": 7, "labels": "input", "workspace_scope": ["a"] }] }),
    );

    let ProviderFrame::Hello(hello) = frame else { panic!("{frame:?}") };
    let offer = hello.protocol.unwrap();
    assert_eq!(
        (offer.supported_schemas, offer.supported_versions),
        (vec![text(berth_proto::SCHEMA)], vec![4])
    );
    let endpoint = &hello.endpoints[0];
    assert_eq!(
        (endpoint.endpoint_id.as_str(), endpoint.endpoint_type.as_str(), endpoint.provider_type.as_str()),
        ("7", "endpoint", "external")
    );
    assert_eq!((&endpoint.roles, &endpoint.workspace_ids), (&vec![text("input")], &vec![text("a")]));
    assert!(!endpoint.supports_markdown);
}

#[test]
fn capabilities_without_a_key_are_left_out_and_the_rest_is_kept() {
    let frame = read(
        "endpoint.capabilities.snapshot",
        json!({ "capabilities": [
            { "tool_key": "a.b", "safe_parallel": true }, { "name": "c.d", "schema": { "type": "object" } }, {}, 3,
        ] }),
    );

    let ProviderFrame::Capabilities(snapshot) = frame else { panic!("{frame:?}") };
    let [first, second] = snapshot.capabilities.as_slice() else { panic!("{snapshot:?}") };
    assert_eq!((first.tool_key.as_str(), &first.more), ("a.b", &map(json!({ "safe_parallel": true }))));
    assert_eq!((second.tool_key.as_str(), &second.input_schema), ("c.d", &json!({ "type": "object" })));
    assert_eq!((first.risk_level.as_str(), first.enabled), ("read", true));
}

#[test]
fn an_address_is_known_by_many_names() {
    let frame = read(
        "endpoint.address.upsert",
        json!({ "chat_id": "g1", "chat_type": "group_chat", "name": "G", "metadata": { "supports_markdown": false } }),
    );

    let ProviderFrame::AddressUpsert(snapshot) = frame else { panic!("{frame:?}") };
    let address = &snapshot.addresses[0];
    assert_eq!(
        (address.address_type.as_str(), address.external_ref.as_str(), address.display_name.as_str()),
        ("group", "g1", "G")
    );
    assert_eq!((address.status.as_str(), address.supports_markdown), ("sendable", Some(false)));
}

#[test]
fn a_result_that_is_no_object_is_an_empty_one_and_an_error_without_a_code_has_the_general_one() {
    let result = read("tool.call.result", json!({ "call_id": "call_1", "result": "text" }));
    let error = read("tool.call.error", json!({ "call_id": "call_1", "error": "x" }));

    assert!(matches!(result, ProviderFrame::ToolResult(result) if result.result.is_empty()));
    assert!(matches!(error, ProviderFrame::ToolError(error) if error.error.code == "endpoint_tool_failed"));
}

#[test]
fn a_provider_takes_an_ack_without_numbers() {
    for (given, read) in [(json!(null), None), (json!(0), None), (json!("3"), Some(3)), (json!("abc"), None)]
    {
        let payload = map(json!({ "heartbeat_interval_seconds": given }));

        let frame = CoreFrame::read(&Envelope::new("endpoint.hello.ack", payload)).unwrap();

        let CoreFrame::HelloAck(HelloAck::Accepted(accepted)) = frame else { panic!("{frame:?}") };
        assert_eq!(accepted.heartbeat_interval_seconds, read);
    }
}
