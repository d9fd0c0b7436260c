//! What is kept for channels.

use std::time::Duration;

use berth_model::channel::{
    Channel, ChannelEvent, ChannelEventStatus, ChannelTimer, DeliveryPart, PartStatus, PollState,
};
use berth_model::delivery::{Delivery, DeliveryStatus};
use berth_model::{AddressId, DeliveryId, EndpointId, PluginId, Timestamp, WorkspaceId};
use serde_json::json;

use crate::fixture::{Fixture, at, uuid};

fn channel() -> Channel {
    Channel {
        plugin: PluginId::fixed("feishu"),
        endpoint: EndpointId::fixed("channel.feishu"),
        workspace: WorkspaceId::fixed("personal"),
        digest: "d1".to_owned(),
        hook_token: "secret".to_owned(),
        description: json!({ "provider_type": "feishu" }),
        wishes: json!({ "hooks": [] }),
        state: vec![0, 255, 10],
        position: "p1".to_owned(),
        created_at: at(1),
        updated_at: at(1),
    }
}

fn event(id: &str, status: ChannelEventStatus, available_at: Option<Timestamp>, second: i64) -> ChannelEvent {
    ChannelEvent {
        id: id.to_owned(),
        plugin: PluginId::fixed("feishu"),
        kind: "timer".to_owned(),
        payload: json!({ "kind": "timer", "name": "t" }),
        status,
        attempts: 1,
        error: "boom".to_owned(),
        available_at,
        created_at: at(second),
        updated_at: at(second),
    }
}

fn delivery(endpoint: &'static str, status: DeliveryStatus, due: Option<Timestamp>, second: i64) -> Delivery {
    Delivery {
        id: DeliveryId::from_uuid(uuid()),
        endpoint: EndpointId::fixed(endpoint),
        address: Some(AddressId::fixed("addr.1")),
        kind: "message".to_owned(),
        payload: json!({}),
        status,
        attempts: 0,
        available_at: due,
        error: String::new(),
        created_at: at(second),
        updated_at: at(second),
    }
}

pub async fn what_is_kept_for_a_channel_reads_back_as_it_was_written(fixture: &Fixture) {
    let mut tx = fixture.write().await;
    let mut row = channel();
    tx.upsert_channel(&row).await.unwrap();
    assert_eq!(tx.lookup_channel(&row.plugin).await.unwrap(), Some(row.clone()));
    row.digest = "d2".to_owned();
    row.state.clear();
    tx.upsert_channel(&row).await.unwrap();
    tx.set_channel_position(&row.plugin, "p2", at(9)).await.unwrap();
    row.position = "p2".to_owned();
    row.updated_at = at(9);
    assert_eq!(tx.lookup_channel(&row.plugin).await.unwrap(), Some(row.clone()));
    assert_eq!(tx.lookup_channel(&PluginId::fixed("other")).await.unwrap(), None);

    let mut timer = ChannelTimer {
        plugin: row.plugin.clone(),
        name: "poll".to_owned(),
        every: Some(Duration::from_millis(1500)),
        first_at: None,
        next_at: Some(at(20)),
    };
    tx.upsert_channel_timer(&timer).await.unwrap();
    timer.every = None;
    timer.first_at = Some(at(5));
    timer.next_at = None;
    tx.upsert_channel_timer(&timer).await.unwrap();
    assert_eq!(tx.channel_timers(&row.plugin).await.unwrap(), [timer.clone()]);
    tx.remove_channel_timer(&row.plugin, &timer.name).await.unwrap();
    assert_eq!(tx.channel_timers(&row.plugin).await.unwrap(), []);

    assert_eq!(tx.channel_poll(&row.plugin, "updates").await.unwrap(), None);
    let mut poll = PollState {
        request: "r1".to_owned(),
        cursor: None,
        etag: "\"v1\"".to_owned(),
        modified: String::new(),
        seen: "s1".to_owned(),
        told: 1,
    };
    tx.upsert_channel_poll(&row.plugin, "updates", &poll, at(1)).await.unwrap();
    poll.cursor = Some("7".to_owned());
    poll.told = 2;
    tx.upsert_channel_poll(&row.plugin, "updates", &poll, at(2)).await.unwrap();
    assert_eq!(tx.channel_poll(&row.plugin, "updates").await.unwrap(), Some(poll));
    assert_eq!(tx.last_pulse(&row.plugin).await.unwrap(), None);
    for second in [3, 4] {
        tx.set_last_pulse(&row.plugin, at(second)).await.unwrap();
        assert_eq!(tx.last_pulse(&row.plugin).await.unwrap(), Some(at(second)));
    }

    let sent = delivery("channel.feishu", DeliveryStatus::Sending, None, 1);
    tx.insert_delivery(&sent).await.unwrap();
    let mut part = DeliveryPart {
        delivery: sent.id,
        index: 0,
        text: "hello".to_owned(),
        status: PartStatus::Begun,
        reference: String::new(),
        error: String::new(),
        updated_at: at(1),
    };
    tx.upsert_delivery_part(&part).await.unwrap();
    part.status = PartStatus::Sent;
    part.reference = "om_1".to_owned();
    part.updated_at = at(2);
    tx.upsert_delivery_part(&part).await.unwrap();
    assert_eq!(tx.delivery_parts(sent.id).await.unwrap(), [part]);
}

pub async fn events_and_deliveries_come_in_the_order_of_their_time(fixture: &Fixture) {
    let plugin = PluginId::fixed("feishu");
    let mut tx = fixture.write().await;
    for event in [
        event("late", ChannelEventStatus::Pending, Some(at(90)), 1),
        event("parked", ChannelEventStatus::Parked, None, 2),
        event("second", ChannelEventStatus::Pending, None, 4),
        event("first", ChannelEventStatus::Pending, None, 3),
    ] {
        tx.upsert_channel_event(&event).await.unwrap();
    }
    assert_eq!(tx.count_channel_events(&plugin).await.unwrap(), 4);
    for expected in ["first", "second", "late"] {
        let next = tx.next_channel_event(&plugin).await.unwrap().unwrap();
        assert_eq!(next.id, expected);
        assert!(tx.remove_channel_event(&next.id).await.unwrap());
    }
    assert_eq!(tx.next_channel_event(&plugin).await.unwrap(), None);
    assert_eq!(tx.channel_events(&plugin, 9).await.unwrap()[0].id, "parked");
    assert!(!tx.remove_channel_event("first").await.unwrap());

    let endpoint = EndpointId::fixed("channel.feishu");
    let later = delivery("channel.feishu", DeliveryStatus::Retry, Some(at(50)), 1);
    let waiting = delivery("channel.feishu", DeliveryStatus::Waiting, None, 2);
    for delivery in [&later, &waiting] {
        tx.insert_delivery(delivery).await.unwrap();
    }
    assert_eq!(tx.next_delivery(&endpoint).await.unwrap().unwrap().id, later.id);
    let other = AddressId::fixed("addr.2");
    assert_eq!(tx.release_waiting(&endpoint, Some(&other), at(3)).await.unwrap(), 0);
    assert_eq!(tx.release_waiting(&endpoint, waiting.address.as_ref(), at(3)).await.unwrap(), 1);
    let next = tx.next_delivery(&endpoint).await.unwrap().unwrap();
    assert_eq!((next.id, next.status), (waiting.id, DeliveryStatus::Queued));
}

pub async fn a_crash_does_not_send_again_what_a_channel_had_begun(fixture: &Fixture) {
    let mut tx = fixture.write().await;
    tx.upsert_channel(&channel()).await.unwrap();
    let begun = delivery("channel.feishu", DeliveryStatus::Sending, None, 1);
    let framed = delivery("edge", DeliveryStatus::Sending, None, 1);
    for delivery in [&begun, &framed] {
        tx.insert_delivery(delivery).await.unwrap();
    }

    assert_eq!(tx.release_deliveries(at(20)).await.unwrap(), 1);

    let interrupted = tx.interrupted_deliveries(&begun.endpoint).await.unwrap();
    assert_eq!(interrupted.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [begun.id]);
    let again = tx.lookup_delivery(framed.id).await.unwrap().unwrap();
    assert_eq!(again.status, DeliveryStatus::Retry);
}
