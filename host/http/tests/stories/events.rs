//! Server-sent events: replayed, live, resumed.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, header};
use berth_core::port::store::EventScope;
use futures::StreamExt;
use serde_json::json;

use crate::support::{Berth, Events, Told, request, tidy};

fn stored(told: &[Told]) -> Vec<i64> {
    told.iter().filter_map(Told::cursor).collect()
}

#[tokio::test]
async fn c4_a_reply_is_told_live_and_its_deltas_are_not_stored() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;

    let live = berth.turn(&thread, "/say Hello there, friend.").await;

    let deltas: String = live
        .iter()
        .filter(|told| told.kind == "message.delta")
        .map(|told| told.data["payload"]["delta"].as_str().unwrap())
        .collect();
    assert_eq!(deltas, "Hello there, friend.");
    for told in &live {
        let durable = told.data["durable"].as_bool().unwrap();
        assert_eq!(durable, told.cursor().is_some(), "{told:?}");
        assert_eq!(told.kind, told.data["type"].as_str().unwrap());
        let id = told.cursor().map(|cursor| cursor.to_string());
        if let Some(id) = id {
            assert_eq!(told.id, id);
        }
    }
    let mut replayed = berth.events(&thread, Some(0)).await;
    let again = replayed.until("run.completed").await;
    assert!(again.iter().all(|told| told.kind != "message.delta"), "{again:?}");
    assert_eq!(stored(&again), stored(&live));
    let completed = again.iter().filter(|told| told.kind == "message.completed").count();
    assert_eq!(completed, 1);
    insta::assert_snapshot!(
        "events_of_a_thread",
        again.iter().map(|told| tidy(&told.data)).collect::<Vec<_>>().join("\n")
    );
}

#[tokio::test]
async fn the_first_line_says_where_to_resume_before_anything_happened() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let last = stored(&berth.turn(&thread, "/say one").await).pop().unwrap();
    let path = format!("/runtime/threads/{thread}/events");

    let response = berth.app.clone();
    let request = request(Method::GET, &path).body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(response, request).await.unwrap();
    let first = response.into_body().into_data_stream().next().await.unwrap().unwrap();

    let first = String::from_utf8(first.to_vec()).unwrap();
    assert!(first.contains(&format!("id: {last}\n")) && first.contains("retry: 1000\n"), "{first}");
}

#[tokio::test]
async fn who_resumes_while_events_are_written_misses_none_and_hears_none_twice() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let rounds = 12;
    let speaker = async {
        for round in 0..rounds {
            berth.turn(&thread, &format!("/say round {round}")).await;
        }
    };
    let listener = async {
        let (mut cursors, mut after, mut ended) = (Vec::new(), 0, 0);
        while ended < rounds {
            // Comes back after every third event, as after a break of the connection.
            let mut events = berth.events(&thread, Some(after)).await;
            let mut heard = 0;
            while heard < 3 && ended < rounds {
                let told = events.next().await;
                if let Some(cursor) = told.cursor() {
                    cursors.push(cursor);
                    (after, heard) = (cursor, heard + 1);
                    ended += i32::from(told.ends_a_run());
                }
            }
        }
        cursors
    };

    let ((), heard) = tokio::join!(speaker, listener);

    let scope = EventScope::Thread(thread.parse().unwrap());
    let all = berth.core.events_after(&scope, 0, 1000).await.unwrap();
    assert_eq!(heard, all.iter().map(|event| event.cursor).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_header_of_a_browser_beats_the_query() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let cursors = stored(&berth.turn(&thread, "/say one").await);
    let path = format!("/runtime/threads/{thread}/events?after_cursor=0");
    let resumed = request(Method::GET, &path).header("last-event-id", cursors[1].to_string());

    let mut events = berth.listen(resumed.body(Body::empty()).unwrap()).await;

    assert_eq!(events.next().await.cursor(), Some(cursors[2]));
    let empty = request(Method::GET, &path).header("last-event-id", "");
    let mut events = berth.listen(empty.body(Body::empty()).unwrap()).await;
    assert_eq!(events.next().await.cursor(), Some(cursors[0]));
    let mut before = berth.events(&thread, Some(-3)).await;
    assert_eq!(before.next().await.cursor(), Some(cursors[0]));
}

#[tokio::test]
async fn a_place_that_is_no_number_or_not_reached_yet_is_refused() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let last = *stored(&berth.turn(&thread, "/say one").await).last().unwrap();
    let path = format!("/runtime/threads/{thread}/events");
    for odd in ["x", "1.5", "0x10", "99999999999999999999", "1 2"] {
        let request = request(Method::GET, &path).header("last-event-id", odd);
        let error = berth.send(request.body(Body::empty()).unwrap()).await.refuses(422, "invalid_request");
        assert_eq!(error["details"]["errors"][0]["field"], "Last-Event-ID", "{odd}");
    }
    let ahead = last + 1;
    let request = request(Method::GET, &path).header("last-event-id", ahead.to_string());
    let error = berth.send(request.body(Body::empty()).unwrap()).await.refuses(422, "invalid_request");
    assert!(
        error["message"].as_str().unwrap().contains(&format!("ahead of the last event, {last}")),
        "{error}"
    );
    berth.get(&format!("{path}?after_cursor={ahead}")).await.refuses(422, "invalid_request");
    berth.get(&format!("{path}?after_cursor=x")).await.refuses(422, "invalid_request");
    berth.get(&format!("/runtime/threads/thr_{:032x}/events", 0xdead)).await.refuses(404, "thread_not_found");
}

#[tokio::test]
async fn a_listener_hears_its_own_thread_alone() {
    let berth = Berth::start().await;
    let (thread, other) = (berth.thread().await, berth.thread().await);
    let mut events = berth.events(&thread, Some(0)).await;

    berth.turn(&other, "/say theirs").await;
    berth.turn(&thread, "/say mine").await;

    let told = events.until("run.completed").await;
    let threads: BTreeSet<_> = told.iter().map(|told| told.data["thread_id"].as_str().unwrap()).collect();
    assert_eq!(threads, BTreeSet::from([thread.as_str()]));
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_nobody_back_and_catches_up_from_the_store() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let told = berth.turn(&thread, "/say one").await;
    let run = told[0].data["run_id"].as_str().unwrap();
    let after = *stored(&told).last().unwrap();
    let mut sleeper = berth.events(&thread, Some(after)).await;
    let mut reader = berth.events(&thread, Some(after)).await;

    // More than the bus keeps for anybody, while one of the two does not read at all.
    berth.flood(run, 6000, "").await;
    berth.say(&thread, "/say two").await;
    let read = reader.until("run.completed").await;

    let slept = sleeper.until("run.completed").await;
    assert_eq!(stored(&slept), stored(&read));
    assert!(stored(&slept).len() > 6000);
    assert!(stored(&slept).windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[tokio::test]
async fn one_stream_more_than_there_may_be_is_refused_until_one_ends() {
    let berth = Berth::start_with(|http, _| http.max_event_streams = 2).await;
    let thread = berth.thread().await;
    let path = format!("/runtime/threads/{thread}/events");
    let (one, _two) = (berth.events(&thread, None).await, berth.events(&thread, None).await);

    let error = berth.get(&path).await.refuses(503, "event_streams_exhausted");

    assert_eq!(error["retryable"], true);
    drop(one);
    let _three: Events = berth.events(&thread, None).await;
}

#[tokio::test]
async fn a_stream_of_a_host_that_stops_says_so_and_ends() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let mut events = berth.events(&thread, None).await;

    berth.core.shutdown().await;

    let last = events.next().await;
    assert_eq!((last.kind.as_str(), &last.data["code"]), ("stream.closed", &json!("host_stopping")));
    assert_eq!(last.data["retryable"], true);
    assert_eq!(events.maybe_next().await, None);
}

#[tokio::test]
async fn a_stream_is_neither_kept_by_proxies_nor_by_browsers() {
    let berth = Berth::start().await;
    let path = format!("/runtime/threads/{}/events", berth.thread().await);
    let request = request(Method::GET, &path).body(Body::empty()).unwrap();

    let response = tower::ServiceExt::oneshot(berth.app.clone(), request).await.unwrap();

    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
}
