use super::*;
use berth_model::AddressId;

fn delivery() -> Delivery {
    Delivery {
        id: DeliveryId::from_uuid(uuid::Uuid::from_u128(1)),
        endpoint: EndpointId::fixed("channel.test"),
        address: Some(AddressId::fixed("addr")),
        kind: "message".to_owned(),
        payload: json!({}),
        status: DeliveryStatus::Sending,
        attempts: 1,
        available_at: None,
        error: String::new(),
        created_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
    }
}

fn after(attempts: u32, outcomes: &[PartOutcome]) -> Delivery {
    let now = Timestamp::from_micros(1_000_000);
    let mut delivery = Delivery { attempts, ..delivery() };
    let parts: Vec<_> = outcomes
        .iter()
        .zip(0..)
        .map(|(outcome, index)| {
            let mut part = DeliveryPart {
                delivery: delivery.id,
                index,
                text: String::new(),
                status: PartStatus::Begun,
                reference: String::new(),
                error: String::new(),
                updated_at: now,
            };
            apply(&mut part, outcome, now);
            part
        })
        .collect();
    fold(&mut delivery, &parts, outcomes, now);
    delivery
}

fn sent() -> PartOutcome {
    PartOutcome::Sent(SentPart::default())
}

#[test]
fn each_outcome_of_a_part_decides_where_its_delivery_stands() {
    use DeliveryStatus::{Ambiguous, DeadLetter, Delivered, Failed, Retry, Waiting};
    let retry = |seconds| PartOutcome::RetryAfter(Duration::from_secs(seconds));
    let never = || PartOutcome::Permanent("blocked".to_owned());
    for (outcomes, status, available) in [
        (vec![sent()], Delivered, None),
        (vec![sent(), retry(3), retry(2)], Retry, Some(4_000_000)),
        (vec![PartOutcome::Ambiguous, sent()], Ambiguous, None),
        (vec![never(), sent()], Failed, None),
        (vec![never(), PartOutcome::Ambiguous], Ambiguous, None),
        (vec![PartOutcome::Unauthorized], Waiting, None),
        (vec![sent(), PartOutcome::WindowClosed], Waiting, None),
        (vec![PartOutcome::Ambiguous, retry(1)], Retry, Some(2_000_000)),
    ] {
        let delivery = after(1, &outcomes);

        assert_eq!(delivery.status, status, "{outcomes:?}");
        assert_eq!(delivery.available_at.map(Timestamp::as_micros), available, "{outcomes:?}");
    }
    assert_eq!(after(MAX_ATTEMPTS, &[retry(1)]).status, DeadLetter);
    let patient = after(1, &[PartOutcome::RetryAfter(Duration::MAX)]);
    assert_eq!(patient.available_at, Some(Timestamp::from_micros(1_000_000).plus(MAX_WAIT)));
}

#[test]
fn a_window_closes_with_its_last_send_and_with_its_time() {
    let now = Timestamp::from_micros(10);
    for (window, closed) in [
        (json!({ "remaining": 0, "until_us": null }), true),
        (json!({ "remaining": 1, "until_us": 11 }), false),
        (json!({ "remaining": null, "until_us": 10 }), true),
        (json!({}), false),
    ] {
        let metadata = JsonMap::from_iter([(SEND_WINDOW.to_owned(), window.clone())]);
        assert_eq!(is_closed(&metadata, now), closed, "{window}");
    }
    assert!(!is_closed(&JsonMap::new(), now));
}

#[test]
fn a_long_text_is_cut_behind_lines_and_words_and_never_inside_a_character() {
    assert_eq!(cut("one two\nthree", 9), ["one two", "three"]);
    assert_eq!(cut("one two three", 9), ["one two", "three"]);
    assert_eq!(cut("ääääää", 5), ["ää", "ää", "ää"]);
    assert_eq!(cut("", 5), [""]);
    for max in 0..12 {
        let pieces = cut("a ü\n\n漢字 \u{1f600}x", max);
        assert!(pieces.iter().all(|piece| piece.len() <= max.max(4)), "{max}: {pieces:?}");
    }
}
