//! Messages that come in by a channel, and the way back of their answers.

use std::time::Duration;

use berth_core::channels::NextDelivery;
use berth_core::inbound::{Attachment, Inbound, InboundAddress, Source};
use berth_core::messages::Accepted;
use berth_core::operations::Ask;
use berth_model::channel::{PartOutcome, SentPart};
use berth_model::delivery::{Delivery, DeliveryStatus};
use berth_model::{ActorId, EndpointId, JsonMap, WorkspaceId};
use serde_json::json;

use crate::harness::{Harness, Piece, on_each};

const ENOUGH: usize = 10_000;

fn source() -> Source {
    Source {
        endpoint: EndpointId::fixed("channel.hook"),
        provider_type: "hook".to_owned(),
        workspace: WorkspaceId::fixed("personal"),
    }
}

fn message(id: &str, from: &str, text: &str) -> Inbound {
    Inbound {
        message_id: id.to_owned(),
        address: InboundAddress {
            external_ref: from.to_owned(),
            kind: "direct".to_owned(),
            display_name: String::new(),
            metadata: JsonMap::new(),
        },
        sender_ref: from.to_owned(),
        sender_name: "Ada".to_owned(),
        conversation: String::new(),
        text: text.to_owned(),
        attachments: Vec::new(),
        sent_at: None,
        in_reply_to: String::new(),
        wants_reply: true,
        metadata: JsonMap::new(),
    }
}

async fn joined(berth: &Harness) {
    berth.core.register_channel(&source(), "Hook", true).await.unwrap();
}

async fn says(berth: &Harness, id: &str, text: &str) -> Accepted {
    berth.core.accept_inbound(&source(), message(id, "ada", text)).await.unwrap()
}

/// The delivery of the answer to a message.
async fn answered(berth: &Harness, id: &str, text: &str) -> Delivery {
    let accepted = says(berth, id, text).await;
    berth.until_end(accepted.run.unwrap()).await;
    let NextDelivery::Due(delivery) = berth.core.next_channel_delivery(&source().endpoint).await.unwrap()
    else {
        panic!("no answer is queued");
    };
    *delivery
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_and_the_host_may_ask_before_anybody_has_written() {
    on_each(async |berth| {
        let refused = async |actor: &'static str| {
            let asks = Ask {
                actor: ActorId::fixed(actor),
                ..Ask::of_owner("notes_read", json!({}), WorkspaceId::fixed("personal"))
            };
            match berth.core.operate(asks).await {
                Ok(finished) => finished.outcome.err().map(|failure| failure.code),
                Err(error) => Some(error.code()),
            }
        };
        assert_eq!(refused("channel.hook").await.as_deref(), Some("actor_not_allowed"));

        joined(&berth).await;

        assert_eq!(refused("channel.hook").await, None);
        assert_eq!(refused("system:host").await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_channel_is_answered_to_the_address_that_wrote_it() {
    on_each(async |berth| {
        joined(&berth).await;
        berth.model.round(vec![Piece::Say("hello **Ada**")]);

        let delivery = answered(&berth, "m1", "hi").await;

        assert_eq!(delivery.address.as_ref().unwrap().as_str(), "addr.hook.direct.ada");
        assert_eq!(delivery.payload["content"], "hello **Ada**");
        assert_eq!(delivery.payload["target_external_ref"], "ada");
        let begun = berth.core.begin_channel_delivery(delivery.id, ENOUGH).await.unwrap().unwrap();
        assert_eq!(begun.parts[0].text, "hello **Ada**");
        let sent = PartOutcome::Sent(SentPart { reference: "r1".to_owned(), ..SentPart::default() });
        let status = berth.core.settle_channel_delivery(delivery.id, &[(0, sent)]).await.unwrap();
        assert_eq!(status, DeliveryStatus::Delivered);
        let next = berth.core.next_channel_delivery(&source().endpoint).await.unwrap();
        assert_eq!(next, NextDelivery::Nothing);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_a_provider_sends_again_is_stored_and_answered_once() {
    on_each(async |berth| {
        joined(&berth).await;

        let first = says(&berth, "m1", "hi").await;
        let again = says(&berth, "m1", "hi").await;
        let other = says(&berth, "m2", "hi").await;

        assert!(!first.replay && again.replay && !other.replay);
        assert_eq!((again.message.id, again.run), (first.message.id, first.run));
        assert_eq!(other.message.thread, first.message.thread);
        let conflict = berth.core.accept_inbound(&source(), message("m1", "ada", "other")).await.unwrap_err();
        assert_eq!(conflict.code(), "message_conflict");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_by_a_channel_is_not_the_owner_and_each_conversation_has_its_thread() {
    on_each(async |berth| {
        joined(&berth).await;

        let ada = says(&berth, "m1", "hi").await;
        let bob = berth.core.accept_inbound(&source(), message("m1", "bob", "hi")).await.unwrap();

        assert_ne!(ada.message.thread, bob.message.thread);
        let run = berth.core.run(ada.run.unwrap()).await.unwrap();
        assert_eq!(run.actor.as_str(), "channel.hook");
        assert_eq!(run.origin_endpoint, Some(source().endpoint));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_without_a_text_is_shown_by_its_attachments_and_nonsense_is_refused() {
    on_each(async |berth| {
        joined(&berth).await;
        let attachment =
            Attachment { reference: "f1".to_owned(), name: "a.png".to_owned(), ..Attachment::default() };
        let mut picture = message("m1", "ada", "");
        picture.attachments = vec![attachment.clone()];
        picture.wants_reply = false;

        let accepted = berth.core.accept_inbound(&source(), picture).await.unwrap();

        assert_eq!(accepted.message.content, "[attachment: a.png]");
        assert_eq!(accepted.message.metadata["attachments"][0]["ref"], "f1");
        assert_eq!(accepted.run, None);
        let empty = message("m2", "ada", " ");
        let nameless = message("", "ada", "x");
        let mut many = message("m3", "ada", "x");
        many.attachments = vec![attachment; 101];
        let nobody = message("m4", "", "x");
        let mut large = message("m5", "ada", "x");
        large.metadata.insert("k".to_owned(), json!("v".repeat(300_000)));
        for bad in [empty, nameless, many, nobody, large] {
            let refused = berth.core.accept_inbound(&source(), bad).await.unwrap_err();
            assert_eq!(refused.code(), "invalid_request");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_holds_the_answer_until_the_person_writes_again() {
    on_each(async |berth| {
        joined(&berth).await;
        let delivery = answered(&berth, "m1", "hi").await;
        berth.core.begin_channel_delivery(delivery.id, ENOUGH).await.unwrap().unwrap();
        let closed = [(0, PartOutcome::WindowClosed)];
        let status = berth.core.settle_channel_delivery(delivery.id, &closed).await.unwrap();
        assert_eq!(status, DeliveryStatus::Waiting);

        // Another delivery does not even try.
        let address = delivery.address.clone();
        let second = berth
            .core
            .deliver(source().endpoint, address, "notice", json!({ "content": "news" }))
            .await
            .unwrap();
        assert!(berth.core.begin_channel_delivery(second.id, ENOUGH).await.unwrap().is_none());
        let next = berth.core.next_channel_delivery(&source().endpoint).await.unwrap();
        assert_eq!(next, NextDelivery::Nothing);

        says(&berth, "m2", "again").await;
        for waited in [delivery.id, second.id] {
            assert!(berth.core.begin_channel_delivery(waited, ENOUGH).await.unwrap().is_some());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_parts_that_are_open_are_sent_again() {
    on_each(async |berth| {
        joined(&berth).await;
        berth.model.round(vec![Piece::Say("one two three")]);
        let delivery = answered(&berth, "m1", "hi").await;
        let begun = berth.core.begin_channel_delivery(delivery.id, 5).await.unwrap().unwrap();
        assert_eq!(
            begun.parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>(),
            ["one", "two", "three"]
        );

        let outcomes =
            [(0, PartOutcome::Sent(SentPart::default())), (1, PartOutcome::RetryAfter(Duration::ZERO))];
        // Nobody speaks of the third: nobody knows.
        let status = berth.core.settle_channel_delivery(delivery.id, &outcomes).await.unwrap();
        assert_eq!(status, DeliveryStatus::Retry);
        let again = berth.core.begin_channel_delivery(delivery.id, 5).await.unwrap().unwrap();
        assert_eq!(again.parts.iter().map(|part| part.index).collect::<Vec<_>>(), [1]);
        assert_eq!(again.delivery.attempts, 2);

        let sent = [(1, PartOutcome::Sent(SentPart::default()))];
        let status = berth.core.settle_channel_delivery(delivery.id, &sent).await.unwrap();
        assert_eq!(status, DeliveryStatus::Ambiguous);
        // The provider says so later.
        let sent = PartOutcome::Sent(SentPart::default());
        let endpoint = source().endpoint;
        let status = berth.core.report_channel_part(&endpoint, delivery.id, 2, &sent).await.unwrap();
        assert_eq!(status, DeliveryStatus::Delivered);
        let late = PartOutcome::Permanent("late".to_owned());
        let status = berth.core.report_channel_part(&endpoint, delivery.id, 2, &late).await.unwrap();
        assert_eq!(status, DeliveryStatus::Delivered);
        let stranger = EndpointId::fixed("channel.other");
        let refused = berth.core.report_channel_part(&stranger, delivery.id, 2, &late).await.unwrap_err();
        assert_eq!(refused.code(), "delivery_not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_mark_the_channel_and_a_new_start_tries_again() {
    on_each(async |berth| {
        joined(&berth).await;
        let delivery = answered(&berth, "m1", "hi").await;
        berth.core.begin_channel_delivery(delivery.id, ENOUGH).await.unwrap().unwrap();

        let refused = [(0, PartOutcome::Unauthorized)];
        let status = berth.core.settle_channel_delivery(delivery.id, &refused).await.unwrap();

        assert_eq!(status, DeliveryStatus::Waiting);
        assert_eq!(berth.core.endpoint(&source().endpoint).await.unwrap().status, "unauthorized");
        joined(&berth).await;
        assert_eq!(berth.core.endpoint(&source().endpoint).await.unwrap().status, "online");
        assert!(berth.core.begin_channel_delivery(delivery.id, ENOUGH).await.unwrap().is_some());
    })
    .await;
}
