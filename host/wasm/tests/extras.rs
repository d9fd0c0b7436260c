//! Optional exports: each is asked at its moment, within the limits, and is missed by nobody.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/world.rs"]
mod world;

use std::time::Duration;

use berth_core::channels::changes::SentChange;
use berth_model::plugin::PluginStatus;
use berth_model::{DeliveryId, EndpointId, PluginId};
use berth_wasm::host::Health;
use berth_wasm::pulse;
use serde_json::json;
use support::host::Harness;
use world::World;

fn channel() -> PluginId {
    PluginId::fixed("channel")
}

fn endpoint() -> EndpointId {
    EndpointId::fixed("channel.channel")
}

/// A message that went out, and the id of its delivery.
async fn sent(world: &World, text: &str) -> DeliveryId {
    world.writes(text, text).await;
    world.until_state(text, "delivered").await;
    world.core.list_deliveries(&endpoint(), 1).await.unwrap()[0].id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_edited_taken_back_and_reacted_to_by_its_reference() {
    let world = World::with_channel().await;
    let id = sent(&world, "hello").await;
    let change = async |change| world.core.change_sent(&endpoint(), id, 0, change).await.unwrap();

    change(SentChange::Edit { text: "better".to_owned() }).await;
    world.until_printed("edited ada 0 better").await;
    world.until_state("better", "delivered").await;
    change(SentChange::React { emoji: "👍".to_owned(), add: true }).await;
    world.until_printed("reacted ada 0 👍 true").await;
    change(SentChange::React { emoji: "👍".to_owned(), add: false }).await;
    world.until_printed("reacted ada 0 👍 false").await;
    change(SentChange::Retract).await;
    world.until_printed("retracted ada 0").await;

    // What the channel says of a change counts as for everything that it sends.
    change(SentChange::Edit { text: "too late".to_owned() }).await;
    world.until_state("too late", "failed").await;
    assert_eq!(world.core.list_deliveries(&endpoint(), 1).await.unwrap()[0].error, "TOO_OLD");
    change(SentChange::Edit { text: "not now".to_owned() }).await;
    world.until_state("not now", "retry").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_provider_has_an_id_of_is_changed() {
    let world = World::with_channel().await;
    world.writes("m1", "never ever").await;
    world.until_state("never ever", "failed").await;
    let id = world.core.list_deliveries(&endpoint(), 1).await.unwrap()[0].id;
    let code = async |endpoint: &EndpointId, id, part| {
        let refused = world.core.change_sent(endpoint, id, part, SentChange::Retract).await;
        refused.unwrap_err().code()
    };

    assert_eq!(code(&endpoint(), id, 0).await, "delivery_not_sent");
    assert_eq!(code(&endpoint(), id, 7).await, "delivery_not_found");
    assert_eq!(code(&EndpointId::fixed("channel.other"), id, 0).await, "delivery_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_an_answer_sees_that_it_is_being_written() {
    let world = World::with_channel().await;

    world.writes("m1", "hello").await;
    world.until_printed("typing ada").await;
    world.until_state("hello", "delivered").await;
    // Nobody answers these.
    world.writes("m1", "hello").await;
    world.told(json!({ "id": "m2", "from": "bob", "text": "to be known", "quiet": true })).await;
    sent(&world, "again").await;

    let lines = world.printed("channel");
    let typing: Vec<_> = lines.iter().filter(|line| line.starts_with("typing")).collect();
    assert_eq!(typing, ["typing ada", "typing ada"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_says_whether_it_could_work_when_it_has_a_say() {
    let world = World::with_channel().await;
    assert_eq!(world.host.check(&channel()).await.unwrap(), Health::Well);

    world.endpoint_says("rpi.health", json!({ "ill": "the provider is down" }));
    let ill = world.host.check(&channel()).await.unwrap();
    let (code, message) = ("PROVIDER_DOWN".to_owned(), "the provider is down".to_owned());
    assert_eq!(ill, Health::Ill { code, message });

    world.host.disable(&channel()).await.unwrap();
    assert_eq!(world.host.check(&channel()).await.unwrap_err().code(), "PLUGIN_NOT_ACTIVE");
    let unknown = world.host.check(&PluginId::fixed("ghost")).await.unwrap_err();
    assert_eq!(unknown.code(), "PLUGIN_NOT_FOUND");

    let berth = Harness::start().await;
    berth.install_fixture("typed", "").await.unwrap();
    assert_eq!(berth.host.check(&PluginId::fixed("typed")).await.unwrap(), Health::Unknown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_not_well_after_a_crash_gets_no_event_and_is_quarantined_with_its_reason() {
    let world = World::with_channel().await;
    world.endpoint_says("rpi.health", json!({ "ill": "the provider is down" }));

    let crashed = world.spawn(json!({ "do": "trap" }));
    world.until_restarted(3).await;
    assert_eq!(crashed.await.unwrap().unwrap_err(), berth_wasm::actor::HookRefusal::Away);

    world.until("it is quarantined", async || world.view("channel").is_none()).await;
    let plugin = world.plugin("channel").await;
    assert_eq!(plugin.status, PluginStatus::Quarantined);
    assert_eq!(plugin.last_error, "PROVIDER_DOWN: the provider is down");
    world.endpoint_says("rpi.health", json!({}));
    world.host.resume(&channel()).await.unwrap();
    world.until_started("channel").await;
    world.writes("m1", "well again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_takes_over_what_the_one_before_has_stored_before_calls_go_to_it() {
    let world = World::with_channel().await;
    assert!(!world.printed("channel").iter().any(|line| line.contains("upgrade")), "a first install");

    world.install_version("channel", 2).await;

    // Asked with the grants of the plugin, and before anything else.
    assert_eq!(world.printed("channel")[0], "upgrade from 0.1.0 with channel endpoint");
    // A rollback is not an upgrade: the code that comes back knows nothing of what came after it.
    world.host.rollback(&channel(), None).await.unwrap();
    assert_eq!(world.plugin("channel").await.version, "0.1.0");
    assert!(!world.printed("channel").iter().any(|line| line.contains("upgrade")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_cannot_take_over_does_not_take_the_place_of_the_one_before() {
    for (version, word) in [(4, "UNREADABLE"), (5, "PLUGIN_TRAP")] {
        let world = World::start().await;
        world.install_version("channel", version).await;
        world.grant("channel", "channel", json!({})).await;
        world.until_started("channel").await;

        let refused = world.try_version("channel", version + 1).await.unwrap_err();

        assert_eq!(refused.code(), "PLUGIN_UPGRADE_FAILED");
        assert!(refused.to_string().contains(word), "{refused}");
        let plugin = world.plugin("channel").await;
        assert_eq!((plugin.version, plugin.status), (format!("0.{version}.0"), PluginStatus::Active));
        world.writes("m1", "still served").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_is_told_what_a_plugin_finds_notable_and_nothing_when_all_is_quiet() {
    let world = World::start().await;
    assert!(!world.sleeps_for(pulse::EVERY), "nobody is asked, and nothing wakes");
    world.install("channel").await;
    world.grant("channel", "endpoint", json!({ "tools": ["rpi.pulse"] })).await;
    let round = async || {
        world.until_asleep_for(pulse::EVERY).await;
        world.clock.advance(pulse::EVERY);
        world.until_asleep_for(pulse::EVERY).await;
    };

    round().await;
    assert_eq!(world.notices().await, [""; 0]);
    world.endpoint_says("rpi.pulse", json!({ "notable": "two strangers wrote" }));
    round().await;

    // Since the round before.
    let first_round = 1_777_593_600_000_u64 + 900_000;
    assert_eq!(world.notices().await, [format!("channel: two strangers wrote since {first_round}")]);
    // One that could not look is asked for the same time again.
    world.endpoint_says("rpi.pulse", json!({ "notable": "broken" }));
    round().await;
    world.endpoint_says("rpi.pulse", json!({ "notable": "one more" }));
    round().await;
    let second_round = first_round + 900_000;
    assert_eq!(world.notices().await[1], format!("channel: one more since {second_round}"));
    world.host.disable(&channel()).await.unwrap();
    world.until("nothing wakes any more", async || !world.sleeps_within(Duration::from_secs(900))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_asks_what_is_new_since_the_last_time_before_it() {
    let world = World::start().await;
    world.install("channel").await;
    world.grant("channel", "endpoint", json!({ "tools": ["rpi.pulse"] })).await;
    world.until_asleep_for(pulse::EVERY).await;
    world.clock.advance(pulse::EVERY);
    world.until_asleep_for(pulse::EVERY).await;

    let world = world.restart().await;
    world.endpoint_says("rpi.pulse", json!({ "notable": "news" }));
    world.until_asleep_for(pulse::EVERY).await;
    world.clock.advance(pulse::EVERY);
    world.until_asleep_for(pulse::EVERY).await;

    let first_round = 1_777_593_600_000_u64 + 900_000;
    assert_eq!(world.notices().await, [format!("channel: news since {first_round}")]);
}

#[tokio::test]
async fn a_plugin_is_told_of_its_cancelled_call_with_the_grants_of_that_call() {
    let berth = Harness::start().await;
    berth.install_fixture("host-waiter", MORE).await.unwrap();
    berth.grant("host-waiter", "endpoint", json!({ "tools": ["rpi.never", "rpi.gpio.read"] })).await;
    let logs = || berth.host.logs(&PluginId::fixed("host-waiter")).unwrap();

    berth.call("host_waiter_wait_endpoint", json!({ "tool": "rpi.gpio.read" })).await.unwrap();
    berth.until_the_pi_hears().await;
    assert!(logs().is_empty(), "a call that ends by itself is told to nobody");
    let waits = json!({ "tool": "rpi.never" });
    let (cancel, call) = berth.spawn_cancellable("host_waiter_wait_endpoint", waits);
    berth.until_the_pi_hears().await;
    cancel.cancel();

    assert_eq!(call.await.unwrap().unwrap_err().code, "PLUGIN_CANCELLED");
    berth.until_the_pi_hears().await;
    let lines: Vec<_> = logs().into_iter().map(|line| line.text).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("cancelled call_"), "{lines:?}");
}

const MORE: &str = "[[capability]]\nname = \"endpoint\"\nrequired = false\nreason = \"to wait for it\"\n";
