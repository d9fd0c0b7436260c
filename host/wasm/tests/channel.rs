//! Channels: what comes in, what goes out, and what becomes of a guest that breaks off.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/world.rs"]
mod world;

use std::time::Duration;

use berth_model::approval::ApprovalAnswer;
use berth_model::channel::ChannelEventStatus;
use berth_model::plugin::PluginStatus;
use berth_model::{EndpointId, PluginId};
use berth_wasm::actor::HookRefusal;
use serde_json::json;
use world::World;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_comes_in_by_a_web_address_and_its_answer_goes_out_through_the_plugin() {
    let world = World::with_channel().await;

    let taken = world.writes("m1", "hello").await;

    assert_eq!(taken["duplicate"], false);
    world.until_printed("sent ada you said: hello").await;
    world.until_state("hello", "delivered").await;
    // The provider sends it again: nobody is answered twice.
    let again = world.writes("m1", "hello").await;
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["run"], taken["run"]);
    assert_eq!(world.states().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_runs_no_guest_code_and_forgets_nothing() {
    let world = World::with_channel().await;
    world.told(json!({ "do": "ack", "token": "p7" })).await;
    let path = world.path("channel", "in");

    let world = world.restart().await;
    world.until_started("channel").await;

    assert_eq!(world.printed("channel"), [""; 0]);
    assert_eq!(world.view("channel").unwrap().residents, 0);
    assert_eq!(world.path("channel", "in"), path);
    world.writes("m1", "still here").await;
    world.until_printed("sent ada you said: still here").await;
    assert_eq!(world.printed("channel")[0], "start position=p7 state=4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_channel_has_no_instance_and_wakes_nobody() {
    let world = World::with_channel().await;
    assert_eq!(world.told(json!({ "do": "asked" })).await["asked"], 1);
    assert_eq!(world.told(json!({ "do": "asked" })).await["asked"], 2);
    assert_eq!(world.view("channel").unwrap().residents, 1);

    world.clock.advance(Duration::from_secs(31));
    world.until("the instance is gone", async || world.view("channel").unwrap().residents == 0).await;

    let before = world.printed("channel");
    world.clock.advance(Duration::from_secs(20));
    assert_eq!(world.printed("channel"), before);
    assert_eq!(world.told(json!({ "do": "asked" })).await["asked"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_nobody_granted_is_not_at_work_and_a_revocation_ends_it() {
    let world = World::start().await;
    world.install("channel").await;
    assert!(world.view("channel").is_none());
    assert_eq!(world.channels.admit("channel", "in", None, "POST").err(), Some(HookRefusal::Unknown));

    let grant = world.grant("channel", "channel", json!({ "hooks": ["in"] })).await;
    world.until_started("channel").await;
    let (hook, token) = world.path("channel", "in");
    assert!(world.channels.admit("channel", &hook, token.as_deref(), "POST").is_ok());
    // Wished, and not granted.
    assert_eq!(world.view("channel").unwrap().hooks.len(), 1);
    let second = world.channels.admit("channel", "second", token.as_deref(), "POST");
    assert_eq!(second.err(), Some(HookRefusal::Unknown));

    world.host.revoke(grant).await.unwrap();
    let refused = world.channels.admit("channel", &hook, token.as_deref(), "POST");
    assert_eq!(refused.err(), Some(HookRefusal::Unknown));
    world.until("the channel is gone", async || world.view("channel").is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_address_is_found_only_with_its_own_token_method_and_name() {
    let world = World::with_channel().await;
    let (hook, token) = world.path("channel", "in");
    let (_, others) = world.path("channel", "second");

    for (plugin, hook, token, method) in [
        ("channel", hook.as_str(), None, "POST"),
        ("channel", hook.as_str(), Some("guess"), "POST"),
        ("channel", hook.as_str(), others.as_deref(), "POST"),
        ("channel", hook.as_str(), token.as_deref(), "DELETE"),
        ("channel", "second", others.as_deref(), "GET"),
        ("channel", "ghost", token.as_deref(), "POST"),
        ("other", hook.as_str(), token.as_deref(), "POST"),
        ("", "", Some(""), "POST"),
    ] {
        let refused = world.channels.admit(plugin, hook, token, method).err();
        assert_eq!(refused, Some(HookRefusal::Unknown), "{plugin} {hook} {token:?} {method}");
    }
    assert!(world.channels.admit("channel", "second", others.as_deref(), "POST").is_ok());

    // A provider that cannot carry a token: the operator opens the one address.
    world.grant("channel", "channel", json!({ "hooks": ["second"], "open": ["second"] })).await;
    assert!(world.channels.admit("channel", "second", None, "POST").is_ok());
    assert_eq!(world.channels.admit("channel", "in", None, "POST").err(), Some(HookRefusal::Unknown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_sees_the_headers_that_it_wished_and_its_answer_is_bounded() {
    let world = World::with_channel().await;
    let (hook, token) = world.path("channel", "in");
    let admitted = world.channels.admit("channel", &hook, token.as_deref(), "GET").unwrap();
    let headers = [("X-Sign", "s1"), ("Authorization", "Bearer owner"), ("Cookie", "a=b")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();

    let answer = admitted.answer("GET", "challenge=42", headers, Vec::new()).await.unwrap();

    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told, json!({ "query": "challenge=42", "headers": [["x-sign", "s1"]] }));
    assert_eq!(answer.content_type, "application/json");
    let html = world.post("channel", json!({ "do": "answer", "type": "text/html" })).await.unwrap();
    assert_eq!(html.content_type, "application/octet-stream");
    let large =
        world.post("channel", json!({ "do": "answer", "type": "text/plain", "bytes": 300_000 })).await;
    assert_eq!(large, Err(HookRefusal::Broken));
    let odd = world.post("channel", json!({ "do": "answer", "type": "text/plain", "status": 99 })).await;
    assert_eq!(odd, Err(HookRefusal::Broken));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_fires_on_its_beat_also_when_the_host_was_away() {
    let world = World::with_channel().await;

    world.clock.advance(MINUTE);
    world.until_brought_in("timer tick").await;
    assert_eq!(world.brought_in().await.len(), 1);

    // Three beats are missed; they are not made up for.
    let world = world.restart().await;
    world.clock.advance(MINUTE * 3 + Duration::from_secs(1));
    world.until("it fired again", async || world.brought_in().await.len() == 2).await;
    world.clock.advance(Duration::from_secs(58));
    world.writes("m1", "in between").await;
    assert_eq!(world.brought_in().await.len(), 3);
    world.clock.advance(Duration::from_secs(1));
    world.until("the beat is kept", async || world.brought_in().await.len() == 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_breaks_the_guest_twice_is_parked_and_the_rest_goes_on() {
    let world = World::with_channel().await;
    let request = world.spawn(json!({ "do": "trap" }));
    world.until_restarted(2).await;

    let answer = request.await.unwrap().unwrap();

    // The provider need not send it again: it is kept.
    assert_eq!(answer.status, 202);
    let parked = world.events("channel").await;
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].status, parked[0].attempts), (ChannelEventStatus::Parked, 2));
    assert!(parked[0].error.starts_with("PLUGIN_TRAP: "), "{}", parked[0].error);
    world.writes("m1", "the rest").await;

    let id = PluginId::fixed("channel");
    let unknown = world.channels.retry_event(&id, "cev_none").await.unwrap_err();
    assert_eq!(unknown.code(), "CHANNEL_EVENT_NOT_FOUND");
    let other = world.channels.drop_event(&PluginId::fixed("other"), &parked[0].id).await.unwrap_err();
    assert_eq!(other.code(), "CHANNEL_EVENT_NOT_FOUND");
    world.channels.drop_event(&id, &parked[0].id).await.unwrap();
    assert!(world.events("channel").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_breaks_off_four_times_in_a_minute_is_left_alone_until_it_is_resumed() {
    let world = World::with_channel().await;
    world.install("other").await;
    world.grant("other", "channel", json!({})).await;
    world.until_started("other").await;

    let first = world.spawn(json!({ "do": "trap" }));
    world.until_restarted(2).await;
    assert_eq!(first.await.unwrap().unwrap().status, 202);
    let second = world.spawn(json!({ "do": "trap" }));
    world.until_restarted(1).await;
    let answer = second.await.unwrap();

    assert_eq!(answer.unwrap().status, 202);
    world.until("it is quarantined", async || world.view("channel").is_none()).await;
    let plugin = world.plugin("channel").await;
    assert_eq!(plugin.status, PluginStatus::Quarantined);
    assert!(plugin.last_error.starts_with("PLUGIN_TRAP: "), "{}", plugin.last_error);
    assert_eq!(world.events("channel").await.len(), 2);
    let other = json!({ "id": "m1", "from": "ada", "text": "unharmed" });
    assert_eq!(world.post("other", other).await.unwrap().status, 200);

    let world = world.restart().await;
    assert!(world.view("channel").is_none());
    world.host.resume(&PluginId::fixed("channel")).await.unwrap();
    world.until_started("channel").await;
    world.writes("m1", "again").await;
    assert_eq!(world.plugin("channel").await.last_error, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_outcome_of_a_part_is_kept_as_it_was_said() {
    let world = World::with_channel().await;
    for (text, state) in [
        ("nobody knows", "ambiguous"),
        ("never ever", "failed"),
        ("wrong key", "waiting"),
        ("closed window", "waiting"),
    ] {
        world.told(json!({ "id": text, "from": text, "text": text })).await;
        world.until_state(text, state).await;
    }
    let marked = world.core.endpoint(&EndpointId::fixed("channel.channel")).await.unwrap();
    assert_eq!(marked.status, "unauthorized");

    world.told(json!({ "id": "retry", "from": "ada", "text": "please retry" })).await;
    world.until_state("please retry", "retry").await;
    world.clock.advance(Duration::from_secs(5));
    world.until_state("please retry", "delivered").await;

    // What waits for the person goes out once the person writes, and nothing else does.
    world.told(json!({ "id": "again", "from": "closed window", "text": "here I am" })).await;
    world.until_state("closed window", "delivered").await;
    let states = world.states().await;
    assert!(states.iter().any(|(text, state)| text.contains("nobody knows") && state == "ambiguous"));
    let sent = world.printed("channel").into_iter().filter(|line| line.contains("please retry"));
    assert_eq!(sent.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_left_for_good_is_not_written_to_again() {
    let world = World::with_channel().await;

    world.told(json!({ "id": "m1", "from": "gone", "text": "please retry" })).await;
    world.until_state("please retry", "retry").await;
    world.clock.advance(Duration::from_secs(5));

    world.until_state("please retry", "failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_broke_off_is_asked_about_and_never_sent_again_unasked() {
    let world = World::with_channel().await;

    // This channel may ask its provider.
    world.writes("m1", "please trap").await;
    world.until_printed("while sending").await;
    world.until_restarted(1).await;
    world.until_state("please trap", "delivered").await;

    // This one may not.
    let world = World::start().await;
    world.install("channel").await;
    world.grant("channel", "channel", json!({})).await;
    world.until_started("channel").await;
    world.writes("m1", "please trap").await;
    world.until_printed("while sending").await;
    world.until_restarted(1).await;
    world.until_state("please trap", "ambiguous").await;
    let tries = world.printed("channel").into_iter().filter(|line| line.contains("while sending"));
    assert_eq!(tries.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_a_crash_cut_off_is_not_sent_again() {
    let world = World::with_channel().await;
    world.told(json!({ "do": "seen", "from": "ada" })).await;
    let restarted = {
        let endpoint = EndpointId::fixed("channel.channel");
        world.host.disable(&PluginId::fixed("channel")).await.unwrap();
        world.until("it is off", async || world.view("channel").is_none()).await;
        let address = berth_model::AddressId::fixed("addr.channel.direct.ada");
        let core = &world.core;
        let news = json!({ "content": "cut off" });
        let delivery = core.deliver(endpoint, Some(address), "notice", news).await.unwrap();
        // The process dies behind this line.
        core.begin_channel_delivery(delivery.id, 400).await.unwrap().unwrap();
        world.host.enable(&PluginId::fixed("channel")).await.unwrap();
        world.restart().await
    };

    restarted.until_state("cut off", "delivered").await;

    // The channel found out that it had been sent.
    assert!(!restarted.printed("channel").iter().any(|line| line.contains("sent ada cut off")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_delivery_holds_no_request_up() {
    let world = World::with_channel().await;
    world.writes("m1", "please wait").await;
    world.until_held().await;

    assert_eq!(world.told(json!({ "do": "asked" })).await["asked"], 2);

    world.let_go(1);
    world.until_state("please wait", "delivered").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_refuses_one_more_request_and_loses_none_that_it_took() {
    let world = World::with_channel().await;
    let slow = world.spawn(json!({ "do": "wait" }));
    world.until_held().await;
    let waiting: Vec<_> = (0..63)
        .map(|index| {
            world.spawn(json!({ "id": index.to_string(), "from": "ada", "text": "x", "quiet": true }))
        })
        .collect();
    world.until("the mailbox fills", async || world.view("channel").unwrap().waiting == 63).await;

    let refused = world.post("channel", json!({ "do": "asked" })).await;

    assert_eq!(refused, Err(HookRefusal::Full));
    world.let_go(1);
    assert_eq!(slow.await.unwrap().unwrap().status, 200);
    for request in waiting {
        assert_eq!(request.await.unwrap().unwrap().status, 200);
    }
    assert_eq!(world.brought_in().await.len(), 63);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_counts_as_taken_only_when_all_of_it_is_stored() {
    let world = World::with_channel().await;

    let refused = world.post("channel", json!({ "do": "batch", "id": "m1", "token": "t1" })).await.unwrap();

    assert_eq!(refused.status, 500);
    let told: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(told["code"], "INBOUND_NOT_STORED");
    assert_eq!(world.brought_in().await, ["first"]);
    // Another event is not blamed for it.
    assert_eq!(world.told(json!({ "do": "ack", "token": "t2" })).await["acked"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_starts_anew_with_what_the_first_one_left() {
    let world = World::with_channel().await;
    let path = world.path("channel", "in");
    world.told(json!({ "do": "ack", "token": "p1" })).await;

    world.install_version("channel", 2).await;

    world.until_printed("start position=p1 state=4").await;
    world.until_started("channel").await;
    assert_eq!(world.path("channel", "in"), path);
    world.writes("m1", "to the new one").await;
    world.until_printed("sent ada you said: to the new one").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_spins_is_stopped_and_its_provider_told_to_come_again() {
    let world = World::with_channel().await;

    let spun = world.spawn(json!({ "do": "spin" }));
    world.until_restarted(2).await;
    let answer = spun.await.unwrap();

    // The limit of guest time ended it, twice.
    assert_eq!(answer.unwrap().status, 202);
    assert!(world.events("channel").await[0].error.starts_with("PLUGIN_CPU_LIMIT: "));
    world.writes("m1", "unharmed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_of_the_host_answers_a_channel() {
    let world = World::with_channel().await;
    world.writes("m1", "never ever").await;
    world.until_state("never ever", "failed").await;
    let endpoint = EndpointId::fixed("channel.channel");
    let delivery = world.core.list_deliveries(&endpoint, 1).await.unwrap()[0].id.to_string();

    assert_eq!(
        world.told(json!({ "do": "seen", "from": "bob" })).await["address"],
        "addr.channel.direct.bob"
    );
    assert_eq!(world.told(json!({ "do": "ack", "token": "t" })).await["acked"], true);
    assert_eq!(world.told(json!({ "do": "context" })).await["actor"], "channel.channel");
    let report = json!({ "do": "report", "delivery": delivery });
    assert_eq!(world.told(report).await["reported"], true);
    world.until_state("never ever", "delivered").await;
    for (asked, code) in [
        (json!({ "do": "report", "delivery": "delivery_x" }), "delivery_not_found"),
        (json!({ "do": "connect", "name": "a", "url": "wss://chat.example/x" }), "PERMISSION_DENIED"),
        (json!({ "do": "connect", "name": "A!", "url": "wss://chat.example/x" }), "INVALID_ARGUMENTS"),
        (json!({ "do": "send", "socket": 9, "text": "x" }), "SOCKET_UNKNOWN"),
    ] {
        let answer = world.post("channel", asked).await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, &told["code"]), (500, &json!(code)), "{told}");
    }
    assert_eq!(world.told(json!({ "do": "close", "socket": 9 })).await["closed"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_asks_the_owner_and_hears_the_answer_over_a_restart_too() {
    let world = World::with_channel().await;
    let ask = json!({ "do": "question", "title": "Send it to all?" });
    let denied = world.post("channel", ask.clone()).await.unwrap();
    assert!(String::from_utf8_lossy(&denied.body).contains("PERMISSION_DENIED"), "nobody granted it");
    world.grant("channel", "approval", json!({})).await;

    let asked = world.told(ask.clone()).await;
    let question = world.questions().await.pop().unwrap();
    assert_eq!(asked["pending"], question.id.to_string());
    assert_eq!(question.prompt, "channel asks: Send it to all?");
    world.answers(&question, ApprovalAnswer::Once).await;
    world.until_brought_in(&format!("answered {} true go ahead", question.id)).await;

    world.told(ask).await;
    let world = world.restart().await;
    let question = world.questions().await.pop().unwrap();
    world.answers(&question, ApprovalAnswer::No).await;
    world.until_brought_in(&format!("answered {} false go ahead", question.id)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_while_the_channel_is_away_is_heard_later() {
    let world = World::with_channel().await;
    world.grant("channel", "approval", json!({})).await;
    world.told(json!({ "do": "question", "title": "Send it?" })).await;
    let id = PluginId::fixed("channel");
    world.host.disable(&id).await.unwrap();
    world.until("the channel is away", async || world.view("channel").is_none()).await;

    let question = world.questions().await.pop().unwrap();
    world.answers(&question, ApprovalAnswer::Once).await;
    let events = world.events("channel").await;
    assert_eq!((events.len(), events[0].kind.as_str()), (1, "approval_answered"));

    world.host.enable(&id).await.unwrap();
    world.until_brought_in(&format!("answered {} true go ahead", question.id)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_whose_manifest_alone_changed_goes_on_with_the_new_one() {
    let world = World::with_channel().await;
    let hint = async || world.told(json!({ "do": "ask-and-tell" })).await["details"].to_string();
    assert!(hint().await.contains("berth plugin grant channel endpoint"));

    let less = "[plugin]\nid = \"channel\"\nversion = \"0.2.0\"\nkind = \"channel\"\n\
                [[capability]]\nname = \"channel\"\nreason = \"it is one\"\n\
                [[capability]]\nname = \"websocket\"\nscope = { hosts = [\"wss://chat.example\"] }\n\
                [[capability]]\nname = \"approval\"\n\
                [[capability]]\nname = \"endpoint\"\nscope = { tools = [\"rpi.gate\"] }\n";
    world.try_manifest(less.to_owned(), 1).await.unwrap();

    world
        .until("the new one counts", async || hint().await.contains("its manifest does not ask for it"))
        .await;
}
