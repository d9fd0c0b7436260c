//! Calls and deliveries at sockets that are only told apart by what was pushed to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use berth_core::port::target::Progress;
use berth_model::tool::Risk;
use berth_model::{ActorId, DeliveryId, OperationId, ToolKey, WorkspaceId};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::outbound::{self, Lanes};

/// A socket, and what was sent to it.
struct Peer {
    id: SocketId,
    lanes: Lanes,
}

impl Peer {
    fn connect(links: &Links, endpoint: &str) -> Self {
        let (outbound, lanes) = outbound::channel();
        let id = links.open(outbound);
        links.bind(id, vec![EndpointId::new(endpoint).unwrap()]);
        Self { id, lanes }
    }

    fn provider(links: &Links, endpoint: &str) -> Self {
        let peer = Self::connect(links, endpoint);
        links.provides(peer.id, &EndpointId::new(endpoint).unwrap());
        peer
    }

    async fn hears(&mut self) -> Value {
        serde_json::from_str(&self.lanes.urgent.recv().await.unwrap().text).unwrap()
    }

    fn has_heard_nothing(&mut self) -> bool {
        self.lanes.urgent.try_recv().is_err()
    }
}

#[derive(Default)]
struct Heard {
    accepted: AtomicUsize,
    steps: Mutex<Vec<String>>,
}

#[async_trait]
impl Progress for Heard {
    fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    fn report(&self, _fraction: Option<f32>, message: &str) {
        self.steps.lock().unwrap().push(message.to_owned());
    }

    async fn partial(&self, _bytes: Vec<u8>) {}
}

fn call(endpoint: &str, risk: Risk) -> EndpointCall {
    EndpointCall {
        endpoint: EndpointId::new(endpoint).unwrap(),
        operation: OperationId::from_uuid(Uuid::from_u128(1)),
        call: CallId::from_uuid(Uuid::from_u128(2)),
        run: None,
        workspace: WorkspaceId::fixed("home-lab"),
        actor: ActorId::fixed("user:self"),
        tool_key: ToolKey::fixed("math.add"),
        capability_id: "endpoint.edge.math.add".to_owned(),
        arguments: json!({ "left": 2 }),
        risk,
        timeout: Duration::from_millis(1500),
        cancel: CancellationToken::new(),
        progress: Arc::new(Heard::default()),
    }
}

fn start(links: &Arc<Links>, call: EndpointCall) -> JoinHandle<Result<Value, ToolFailure>> {
    let links = links.clone();
    tokio::spawn(async move { links.call(call).await })
}

const CALL: &str = "call_00000000000000000000000000000002";

fn ended(value: Value) -> Step {
    Step::Ended(Ok(value))
}

#[tokio::test]
async fn a_call_reaches_the_newest_provider_alone_and_takes_its_answer() {
    let links = Arc::new(Links::new());
    let mut old = Peer::provider(&links, "edge");
    let mut new = Peer::provider(&links, "edge");
    let mut chat = Peer::connect(&links, "edge");

    let work = start(&links, call("edge", Risk::Read));
    let request = new.hears().await;
    assert!(!links.step(old.id, CALL, ended(json!({ "forged": true }))));
    assert!(links.step(new.id, CALL, ended(json!({ "sum": 5 }))));

    assert_eq!(work.await.unwrap(), Ok(json!({ "sum": 5 })));
    assert!(old.has_heard_nothing() && chat.has_heard_nothing());
    insta::assert_snapshot!(request, @r#"{"schema":"meetyou.endpoint.ws.v4","type":"tool.call.request","message_id":"dispatch-call_00000000000000000000000000000002","endpoint_id":"edge","payload":{"operation_id":"op_00000000000000000000000000000001","call_id":"call_00000000000000000000000000000002","workspace_id":"home-lab","tool_key":"math.add","capability_id":"endpoint.edge.math.add","arguments":{"left":2},"encrypted_arguments":null,"timeout_seconds":2,"audit_context":{"requested_by_actor_id":"user:self","requested_by_run_id":"","execution_target_id":"edge"}}}"#);
}

#[tokio::test]
async fn the_first_final_word_counts_and_later_ones_are_refused() {
    let links = Arc::new(Links::new());
    let mut peer = Peer::provider(&links, "edge");
    let work = start(&links, call("edge", Risk::Read));
    peer.hears().await;

    assert!(links.step(peer.id, CALL, ended(json!({ "n": 1 }))));
    assert!(!links.step(peer.id, CALL, ended(json!({ "n": 2 }))));
    assert!(!links.step(peer.id, "call_x", Step::Accepted));

    assert_eq!(work.await.unwrap(), Ok(json!({ "n": 1 })));
    assert!(peer.has_heard_nothing());
}

#[tokio::test]
async fn progress_is_told_and_accepted_only_once() {
    let links = Arc::new(Links::new());
    let mut peer = Peer::provider(&links, "edge");
    let heard = Arc::new(Heard::default());
    let work = start(&links, EndpointCall { progress: heard.clone(), ..call("edge", Risk::Read) });
    peer.hears().await;

    for _ in 0..2 {
        links.step(peer.id, CALL, Step::Accepted);
    }
    for detail in ["", "half"] {
        links.step(peer.id, CALL, Step::Progress { phase: "running".to_owned(), detail: detail.to_owned() });
    }
    links.step(peer.id, CALL, ended(json!({})));
    work.await.unwrap().unwrap();

    assert_eq!(heard.accepted.load(Ordering::Relaxed), 1);
    assert_eq!(*heard.steps.lock().unwrap(), ["running", "half"]);
}

#[tokio::test]
async fn a_call_for_an_endpoint_that_told_no_tools_fails_at_once() {
    let links = Arc::new(Links::new());
    let mut chat = Peer::connect(&links, "edge");

    let failure = links.call(call("edge", Risk::Read)).await.unwrap_err();

    assert_eq!((failure.code.as_str(), failure.retryable), ("target_endpoint_unavailable", true));
    assert!(chat.has_heard_nothing());
}

#[tokio::test(start_paused = true)]
async fn a_silent_provider_times_out_after_no_less_than_5_s_and_is_told_to_stop() {
    let links = Arc::new(Links::new());
    let mut peer = Peer::provider(&links, "edge");
    let begin = tokio::time::Instant::now();

    let failure = links.call(call("edge", Risk::Read)).await.unwrap_err();

    assert_eq!((failure.code.as_str(), failure.retryable), ("endpoint_tool_timeout", true));
    assert_eq!(begin.elapsed(), Duration::from_secs(5));
    peer.hears().await;
    assert_eq!(peer.hears().await["type"], "tool.call.cancel");
    assert!(!links.step(peer.id, CALL, ended(json!({}))), "the late answer counts for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_call_waits_a_moment_for_the_providers_last_word() {
    let links = Arc::new(Links::new());
    let mut peer = Peer::provider(&links, "edge");
    let wanted = call("edge", Risk::LocalWrite);
    let cancel = wanted.cancel.clone();
    let work = start(&links, wanted);
    peer.hears().await;

    cancel.cancel();
    let frame = peer.hears().await;
    links.step(
        peer.id,
        CALL,
        Step::Ended(Err(failure("tool_call_cancelled", "off".to_owned(), Blame::Provider))),
    );

    assert_eq!(work.await.unwrap().unwrap_err().message, "off");
    assert!(peer.has_heard_nothing());
    insta::assert_snapshot!(frame, @r#"{"schema":"meetyou.endpoint.ws.v4","type":"tool.call.cancel","message_id":"cancel-call_00000000000000000000000000000002","endpoint_id":"edge","payload":{"call_id":"call_00000000000000000000000000000002","reason":"the call was stopped"}}"#);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_call_ends_after_2_s_when_the_provider_says_nothing() {
    let links = Arc::new(Links::new());
    let mut peer = Peer::provider(&links, "edge");
    let wanted = call("edge", Risk::LocalWrite);
    let cancel = wanted.cancel.clone();
    let work = start(&links, wanted);
    peer.hears().await;
    let begin = tokio::time::Instant::now();

    cancel.cancel();

    assert_eq!(work.await.unwrap().unwrap_err().code, "tool_call_cancelled");
    assert_eq!(begin.elapsed(), Duration::from_secs(2));
    peer.hears().await;
    assert!(peer.has_heard_nothing(), "one cancel is enough");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled_at_the_provider() {
    let links = Arc::new(Links::new());
    let mut peer = Peer::provider(&links, "edge");
    let work = start(&links, call("edge", Risk::Read));
    peer.hears().await;

    work.abort();

    assert_eq!(peer.hears().await["type"], "tool.call.cancel");
}

#[tokio::test]
async fn a_lost_socket_fails_its_calls_at_once_and_says_which_may_be_tried_again() {
    for (risk, accepted, retryable) in [
        (Risk::Read, true, true),
        (Risk::LocalWrite, false, true),
        (Risk::LocalWrite, true, false),
        (Risk::Destructive, true, false),
    ] {
        let links = Arc::new(Links::new());
        let mut peer = Peer::provider(&links, "edge");
        let _other = Peer::connect(&links, "edge");
        let work = start(&links, call("edge", risk));
        peer.hears().await;
        if accepted {
            links.step(peer.id, CALL, Step::Accepted);
        }

        let gone = links.close(peer.id);

        let failure = work.await.unwrap().unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.retryable),
            ("endpoint_disconnected", retryable),
            "{risk} {accepted}"
        );
        assert_eq!(gone, [], "the other socket still serves the endpoint");
    }
}

#[tokio::test]
async fn arguments_above_a_frame_are_refused_and_the_socket_stays() {
    let links = Arc::new(Links::new());
    let mut peer = Peer::provider(&links, "edge");
    let huge = EndpointCall { arguments: json!({ "x": "y".repeat(4_000_000) }), ..call("edge", Risk::Read) };

    let failure = links.call(huge).await.unwrap_err();

    assert_eq!(failure.code, "tool_arguments_too_large");
    assert!(peer.has_heard_nothing());
    links.idle(peer.id).await;
}

#[tokio::test]
async fn sensitive_arguments_travel_sealed_and_only_then() {
    let links = Arc::new(Links::new());
    links.share_secret("correct-horse".to_owned());
    let mut peer = Peer::provider(&links, "edge");
    let arguments = json!({ "url": "https://a.b", "auth": { "api_token": "t0p" } });

    let work = start(&links, EndpointCall { arguments: arguments.clone(), ..call("edge", Risk::Read) });
    let frame = berth_proto::Envelope::read(&peer.hears().await.to_string()).unwrap();
    work.abort();

    let Some(CoreFrame::ToolRequest(request)) = CoreFrame::read(&frame) else { panic!("{frame:?}") };
    assert_eq!(
        Value::Object(request.arguments),
        json!({ "url": "https://a.b", "auth": { "api_token": "[REDACTED]" } })
    );
    let opened = berth_proto::sealed::open("correct-horse", &request.encrypted_arguments.unwrap()).unwrap();
    assert_eq!(Value::Object(opened), arguments);
}

#[tokio::test]
async fn without_a_secret_sensitive_arguments_do_not_travel() {
    let links = Arc::new(Links::new());
    let mut peer = Peer::provider(&links, "edge");
    let secret = EndpointCall { arguments: json!({ "password": "t0p" }), ..call("edge", Risk::Read) };

    let failure = links.call(secret).await.unwrap_err();

    assert_eq!(failure.code, "credential_key_unavailable");
    assert!(peer.has_heard_nothing());
}

#[tokio::test]
async fn an_endpoint_with_too_much_to_do_is_busy() {
    let links = Arc::new(Links::new());
    let mut peer = Peer::provider(&links, "edge");
    let calls: Vec<_> = (0..64)
        .map(|n| {
            start(
                &links,
                EndpointCall { call: CallId::from_uuid(Uuid::from_u128(n)), ..call("edge", Risk::Read) },
            )
        })
        .collect();
    for _ in 0..64 {
        peer.hears().await;
    }

    let failure = links
        .call(EndpointCall { call: CallId::from_uuid(Uuid::from_u128(99)), ..call("edge", Risk::Read) })
        .await;

    let failure = failure.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("endpoint_busy", true));
    calls.iter().for_each(JoinHandle::abort);
}

fn delivery(address: Option<&'static str>, threads: &[ThreadId]) -> OutboundDelivery {
    OutboundDelivery {
        id: DeliveryId::from_uuid(Uuid::from_u128(9)),
        endpoint: EndpointId::fixed("feishu"),
        address: address.map(berth_model::AddressId::fixed),
        threads: threads.to_vec(),
        kind: "message".to_owned(),
        payload: json!({ "content": "hi" }),
    }
}

fn thread(number: u128) -> ThreadId {
    ThreadId::from_uuid(Uuid::from_u128(number))
}

#[tokio::test]
async fn a_delivery_goes_to_the_channels_own_socket_and_to_no_chat() {
    let links = Links::new();
    let mut channel = Peer::connect(&links, "feishu");
    let mut chat = Peer::connect(&links, "feishu");
    links.follows(chat.id, HashSet::from([thread(1)]));

    assert!(links.deliver(delivery(Some("addr.1"), &[thread(1)])).await);

    assert!(chat.has_heard_nothing());
    insta::assert_snapshot!(channel.hears().await, @r#"{"schema":"meetyou.endpoint.ws.v4","type":"delivery.message","target_endpoint_id":"feishu","delivery_id":"delivery_00000000000000000000000000000009","payload":{"content":"hi","delivery_id":"delivery_00000000000000000000000000000009"}}"#);
}

#[tokio::test]
async fn without_a_channel_socket_only_the_addresss_own_chat_gets_a_delivery() {
    let links = Links::new();
    let mut mine = Peer::connect(&links, "feishu");
    let mut other = Peer::connect(&links, "feishu");
    links.follows(mine.id, HashSet::from([thread(1)]));
    links.follows(other.id, HashSet::from([thread(2)]));

    assert!(links.deliver(delivery(Some("addr.1"), &[thread(1)])).await);
    assert!(!links.deliver(delivery(Some("addr.3"), &[thread(3)])).await);
    assert!(
        !links.deliver(OutboundDelivery { endpoint: EndpointId::fixed("cil"), ..delivery(None, &[]) }).await
    );

    mine.hears().await;
    assert!(mine.has_heard_nothing() && other.has_heard_nothing());
}

#[tokio::test]
async fn a_notice_reaches_exactly_one_socket() {
    let links = Links::new();
    let mut chats = [Peer::connect(&links, "feishu"), Peer::connect(&links, "feishu")];
    for (number, chat) in chats.iter().enumerate() {
        links.follows(chat.id, HashSet::from([thread(number as u128)]));
    }

    assert!(links.deliver(delivery(None, &[])).await);

    chats[1].hears().await;
    assert!(chats.iter_mut().all(Peer::has_heard_nothing));
}

#[test]
fn an_endpoint_is_connected_while_one_socket_serves_it() {
    let links = Links::new();
    let (first, second) = (Peer::connect(&links, "edge"), Peer::connect(&links, "edge"));
    let edge = EndpointId::fixed("edge");

    assert_eq!(links.close(first.id), []);
    assert!(links.is_connected(&edge));
    assert_eq!(links.bind(second.id, vec![EndpointId::fixed("pi")]), std::slice::from_ref(&edge));

    assert!(!links.is_connected(&edge));
    assert_eq!(links.connected(), HashSet::from([EndpointId::fixed("pi")]));
}
