//! Following threads, runs and operations.

use berth_testkit::tidy;
use serde_json::{Value, json};

use crate::support::{Berth, Client};

/// The types of the run events up to the end of a run, with their frames.
async fn until_run_ends(client: &mut Client) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        let frame = client.hears_any().await;
        let ends = frame["payload"]["type"] == "run.completed";
        frames.push(frame);
        if ends {
            return frames;
        }
    }
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .map(|frame| frame["payload"]["type"].as_str().unwrap_or_else(|| frame["type"].as_str().unwrap()))
        .collect()
}

fn seqs(frames: &[Value]) -> Vec<i64> {
    let durable = frames.iter().filter(|frame| frame["payload"]["durable"] == true);
    durable.map(|frame| frame["payload"]["seq"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn v16_a_subscription_to_a_thread_that_is_not_there_is_active() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    client
        .say(
            "subscription.start",
            json!({ "subscription_id": "s1", "target_type": "thread", "target_id": "thr_x" }),
        )
        .await;

    insta::assert_snapshot!(tidy(&client.hears_any().await), @r#"{"schema":"meetyou.endpoint.ws.v4","type":"subscription.ack","endpoint_id":"","correlation_id":"m1","payload":{"action":"start","subscription_id":"s1","target_type":"thread","target_id":"thr_x","active":true}}"#);
}

#[tokio::test]
async fn v17_a_subscription_needs_a_target() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    for payload in [json!({}), json!({ "target_type": "thread" }), json!({ "target_id": "thr_x" })] {
        client.say("subscription.start", payload).await;
        client.hears_error("subscription_target_required").await;
    }
}

#[tokio::test]
async fn v18_stopping_what_never_started_removes_nothing() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    client.say("subscription.stop", json!({ "subscription_id": "s1" })).await;

    insta::assert_snapshot!(tidy(&client.hears_any().await), @r#"{"schema":"meetyou.endpoint.ws.v4","type":"subscription.ack","endpoint_id":"","correlation_id":"m1","payload":{"action":"stop","subscription_id":"s1","target_type":"","target_id":"","active":false,"removed":0}}"#);
}

#[tokio::test]
async fn a_reply_is_told_in_deltas_then_whole_then_as_a_message_with_the_same_id() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut client = berth.surface("cil.ui").await;
    client.follows("thread", &thread.to_string(), None).await;

    berth.message(thread, "/say Hello you").await;
    let frames = until_run_ends(&mut client).await;

    let told: Vec<_> = kinds(&frames)
        .into_iter()
        .filter(|kind| kind.contains("message") && *kind != "message.created")
        .collect();
    assert_eq!(told, ["message.delta", "message.delta", "message.completed", "delivery.message"]);
    let whole = frames.iter().find(|frame| frame["payload"]["type"] == "message.completed").unwrap();
    let message = frames.iter().find(|frame| frame["type"] == "delivery.message").unwrap();
    assert_eq!(message["payload"]["message_id"], whole["payload"]["payload"]["message"]["message_id"]);
    assert_eq!(message["payload"]["content"], "Hello you");
    let delta = frames.iter().find(|frame| frame["payload"]["type"] == "message.delta").unwrap();
    insta::assert_snapshot!([delta, whole, message].map(tidy).join("\n"), @r#"
    {"schema":"meetyou.endpoint.ws.v4","type":"delivery.run_event","payload":{"event_id":"evt_1","run_id":"run_1","thread_id":"thr_1","session_id":"","seq":<seq>,"type":"message.delta","payload":{"thread_id":"thr_1","session_id":"","turn_id":"<hex>","stream_id":"<hex>-1","delta":"Hello ","channel":"answer"},"durable":false,"turn_id":"<hex>","stream_id":"<hex>-1","created_at":"<time>"}}
    {"schema":"meetyou.endpoint.ws.v4","type":"delivery.run_event","payload":{"event_id":"evt_1","run_id":"run_1","thread_id":"thr_1","session_id":"","seq":<seq>,"type":"message.completed","payload":{"thread_id":"thr_1","session_id":"","turn_id":"<hex>","stream_id":"<hex>-1","message":{"message_id":"msg_1","thread_id":"thr_1","session_id":"","run_id":"run_1","active_workspace_id":"home-lab","workspace_id":"home-lab","origin_endpoint_id":"","role":"assistant","content":"Hello you","status":"completed","channel":"message","created_at":"<time>"}},"durable":true,"turn_id":"<hex>","stream_id":"<hex>-1","created_at":"<time>"}}
    {"schema":"meetyou.endpoint.ws.v4","type":"delivery.message","payload":{"message_id":"msg_1","thread_id":"thr_1","session_id":"","run_id":"run_1","active_workspace_id":"home-lab","workspace_id":"home-lab","origin_endpoint_id":"","role":"assistant","content":"Hello you","status":"completed","channel":"message","created_at":"<time>"}}
    "#);
}

#[tokio::test]
async fn replay_tells_what_is_stored_and_live_goes_on_without_gap_or_repeat() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut first = berth.surface("cil.ui").await;
    first.follows("thread", &thread.to_string(), None).await;
    berth.message(thread, "/say one").await;
    let live = until_run_ends(&mut first).await;

    let mut second = berth.surface("ui").await;
    second.follows("thread", &thread.to_string(), Some(0)).await;
    let replayed = until_run_ends(&mut second).await;
    berth.message(thread, "/say two").await;
    let more = until_run_ends(&mut second).await;
    let told_first = until_run_ends(&mut first).await;

    assert_eq!(seqs(&replayed), seqs(&live));
    assert!(
        kinds(&replayed).iter().all(|kind| !kind.ends_with("delta") && *kind != "delivery.message"),
        "{replayed:?}"
    );
    assert_eq!(seqs(&more), seqs(&told_first));
    assert!(seqs(&replayed).iter().chain(&seqs(&more)).is_sorted());
    // The same event has the same fields, whether it is told live or again.
    let same = live.iter().find(|frame| {
        frame["payload"]["seq"] == replayed[0]["payload"]["seq"] && frame["payload"]["durable"] == true
    });
    assert_eq!(same, Some(&replayed[0]));
}

#[tokio::test]
async fn a_client_resumes_behind_the_last_event_that_it_saw() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut first = berth.surface("cil.ui").await;
    first.follows("thread", &thread.to_string(), None).await;
    berth.message(thread, "/say one").await;
    let seen = until_run_ends(&mut first).await;
    drop(first);
    berth.message(thread, "/say two").await;

    for cut in [2, seqs(&seen).len()] {
        let mut again = berth.surface("cil.ui").await;
        again.follows("thread", &thread.to_string(), Some(seqs(&seen)[cut - 1])).await;
        let rest = again.hears_until(|frame| frame["payload"]["durable"] == true).await;
        let expected = seqs(&seen).get(cut).copied().unwrap_or(seqs(&seen)[cut - 1] + 1);
        assert_eq!(rest["payload"]["seq"], expected);
    }
}

#[tokio::test]
async fn a_transient_event_carries_the_seq_to_resume_behind() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut client = berth.surface("cil.ui").await;
    client.follows("thread", &thread.to_string(), None).await;

    berth.message(thread, "/say a b c").await;
    let frames = until_run_ends(&mut client).await;

    let mut last = 0;
    for frame in frames.iter().filter(|frame| frame["type"] == "delivery.run_event") {
        let seq = frame["payload"]["seq"].as_i64().unwrap();
        if frame["payload"]["durable"] == true {
            assert!(seq > last, "{frame}");
            last = seq;
        } else {
            assert_eq!(seq, last, "{frame}");
        }
    }
}

#[tokio::test]
async fn a_thread_and_its_run_on_one_socket_tell_each_event_once() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut client = berth.surface("ui").await;
    client.follows("thread", &thread.to_string(), None).await;
    let run = berth.message(thread, "/slow 1\n/say a b c").await;
    client.follows_beside("run", &run.to_string()).await;

    berth.message(thread, "/say end").await;
    let mut frames = until_run_ends(&mut client).await;
    frames.extend(until_run_ends(&mut client).await);

    let seqs = seqs(&frames);
    let mut once = seqs.clone();
    once.dedup();
    assert_eq!(seqs, once);
}

#[tokio::test]
async fn a_run_alone_can_be_followed_without_its_final_message_twice() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut other = berth.surface("other").await;
    other.follows("thread", &thread.to_string(), None).await;
    let run = berth.message(thread, "/say hi").await;
    until_run_ends(&mut other).await;
    let mut client = berth.surface("ui").await;

    client.follows("run", &run.to_string(), Some(0)).await;
    let frames = until_run_ends(&mut client).await;

    assert!(frames.iter().all(|frame| frame["payload"]["run_id"] == run.to_string()));
    assert!(kinds(&frames).contains(&"message.completed") && !kinds(&frames).contains(&"delivery.message"));
}

#[tokio::test]
async fn a_subscription_takes_the_place_of_its_like_and_stops_when_asked() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut client = berth.surface("ui").await;
    for id in ["s1", "s2"] {
        let payload = json!({ "subscription_id": id, "target_type": "thread", "target_id": thread.to_string(), "replay": false });
        client.say("subscription.start", payload).await;
        client.hears("subscription.ack").await;
    }

    berth.message(thread, "/say once").await;
    let frames = until_run_ends(&mut client).await;
    client
        .say("subscription.stop", json!({ "target_type": "thread", "target_id": thread.to_string() }))
        .await;
    let ack = client.hears("subscription.ack").await;

    assert_eq!(kinds(&frames).iter().filter(|kind| **kind == "delivery.message").count(), 1);
    assert_eq!((&ack["payload"]["active"], &ack["payload"]["removed"]), (&json!(false), &json!(1)));
    let mut other = berth.surface("other").await;
    other.follows("thread", &thread.to_string(), None).await;
    berth.message(thread, "/say unheard").await;
    until_run_ends(&mut other).await;
    client.hears_nothing_more().await;
}

#[tokio::test]
async fn a_cursor_that_is_no_number_replays_from_the_start() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut client = berth.surface("ui").await;
    client.follows("thread", &thread.to_string(), None).await;
    berth.message(thread, "/say hi").await;
    let live = until_run_ends(&mut client).await;

    let payload =
        json!({ "target_type": "thread", "target_id": thread.to_string(), "last_seen_event_seq": "soon" });
    client.say("subscription.update", payload).await;
    let ack = client.hears("subscription.ack").await;

    assert_eq!(ack["payload"]["action"], "update");
    assert_eq!(seqs(&until_run_ends(&mut client).await), seqs(&live));
}

#[tokio::test]
async fn a_reader_that_lags_behind_misses_no_stored_event() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut prompt = berth.surface("prompt").await;
    prompt.follows("thread", &thread.to_string(), None).await;
    let mut slow = berth.surface("slow").await;
    slow.follows("thread", &thread.to_string(), None).await;
    let words = "word ".repeat(2000);

    let mut wanted = Vec::new();
    for _ in 0..4 {
        berth.message(thread, &format!("/say {words}")).await;
        wanted.extend(seqs(&until_run_ends(&mut prompt).await));
    }
    let mut told = Vec::new();
    for _ in 0..4 {
        told.extend(seqs(&until_run_ends(&mut slow).await));
    }

    assert_eq!(told, wanted);
}

#[tokio::test]
async fn the_steps_of_an_operation_are_told_to_whoever_follows_it_or_its_thread() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut edge = berth.provider("edge", json!([{ "tool_key": "math.add" }])).await;
    let tools = berth.core.tools(&berth_model::WorkspaceId::fixed("home-lab")).await.unwrap();
    let name = tools.iter().find(|tool| tool.key.as_str() == "math.add").unwrap().name.clone();
    let mut client = berth.surface("ui").await;
    client.follows("thread", &thread.to_string(), None).await;

    berth.message(thread, &format!("/call {name} {{}}")).await;
    let request = edge.hears("tool.call.request").await;
    let call = request["payload"]["call_id"].as_str().unwrap().to_owned();
    let mut other = berth.surface("other").await;
    other.follows("operation", request["payload"]["operation_id"].as_str().unwrap(), None).await;
    edge.say("tool.call.accepted", json!({ "call_id": call })).await;
    edge.say("tool.call.progress", json!({ "call_id": call, "detail": "half" })).await;
    edge.answers(&call, json!({ "sum": 5 })).await;

    let frames = until_run_ends(&mut client).await;
    let phase = |frame: &Value| frame["payload"]["phase"].as_str().map(str::to_owned);
    let updates: Vec<_> =
        frames.iter().filter(|frame| frame["type"] == "delivery.operation_update").collect();
    let phases: Vec<_> = updates.iter().filter_map(|frame| phase(frame)).collect();
    assert_eq!(phases, ["dispatched", "accepted", "running", "completed"]);
    insta::assert_snapshot!(tidy(updates[3]), @r#"{"schema":"meetyou.endpoint.ws.v4","type":"delivery.operation_update","payload":{"thread_id":"thr_1","workspace_id":"home-lab","operation_id":"op_1","title":"Tool: ep_4583531c74_math_add","operation_type":"tool_call","execution_target":"endpoint","execution_target_id":"edge","target_endpoint_id":"edge","tool_key":"math.add","tool_id":"ep_4583531c74_math_add","call_id":"call_1","status":"succeeded","phase":"completed","detail":"","routing_reason":"explicit","routing_decision":{"mode":"explicit","tool_key":"math.add","selected_endpoint_id":"edge","score":0.0,"breakdown":{},"candidate_count":1,"rejected_candidates":[]},"approval_id":"","approval_status":"","approval_required":false,"result":{"sum":5}}}"#);
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last: &String| last != "completed") {
        heard.extend(phase(&other.hears("delivery.operation_update").await));
    }
    assert_eq!(heard, ["accepted", "running", "completed"]);
}

#[tokio::test]
async fn a_question_is_told_in_the_words_of_older_clients_too() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let tool =
        json!([{ "tool_key": "gpio.write", "risk_level": "local_write", "requires_confirmation": true }]);
    let mut pi = berth.provider("pi", tool).await;
    let tools = berth.core.tools(&berth_model::WorkspaceId::fixed("home-lab")).await.unwrap();
    let name = tools.iter().find(|tool| tool.key.as_str() == "gpio.write").unwrap().name.clone();
    let mut client = berth.surface("ui").await;
    client.follows("thread", &thread.to_string(), None).await;

    berth.message(thread, &format!("/call {name} {{\"pin\":17}}")).await;
    let asked = client.hears_until(|frame| frame["payload"]["type"] == "confirm.requested").await;
    let approval = asked["payload"]["payload"]["approval_id"].as_str().unwrap().parse().unwrap();
    berth.core.decide_approval(approval, true, String::new()).await.unwrap();
    let answered = client.hears_until(|frame| frame["payload"]["type"] == "confirm.resolved").await;
    let call = pi.takes_call().await;
    pi.answers(&call, json!({})).await;

    assert_eq!(answered["payload"]["payload"]["accepted"], true);
    until_run_ends(&mut client).await;
    insta::assert_snapshot!(tidy(&asked["payload"]["payload"]), @r#"{"thread_id":"thr_1","session_id":"","request_id":"approval_1","approval_id":"approval_1","content":"Run ep_f2b4df1171_gpio_write at pi with {\"pin\":17}?","timeout":600,"default_decision":false,"approval_status":"pending","approval_type":"tool_call","risk_level":"local_write","operation_id":"op_1"}"#);
}

#[tokio::test]
async fn a_socket_follows_a_bounded_number_of_targets() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;
    for number in 0..128 {
        client.follows("thread", &format!("thr_{number:032x}"), None).await;
    }

    client.say("subscription.start", json!({ "target_type": "run", "target_id": "x" })).await;

    client.hears_error("too_many_subscriptions").await;
}
