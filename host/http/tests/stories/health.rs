//! Whether the host is well, as anybody may ask.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::{Berth, TOKEN, tidy};

fn check<'a>(health: &'a Value, name: &str) -> &'a Value {
    let checks = health["health"]["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()
}

#[tokio::test]
async fn b1_a_host_that_is_well_says_of_what_it_is_made() {
    let berth = Berth::start().await;

    let answer = berth.send(Request::get("/health").body(Body::empty()).unwrap()).await;

    let health = answer.ok();
    assert_eq!(
        (&health["kind"], &health["health"]["service"]),
        (&json!("health"), &json!("meetyou-runtime"))
    );
    assert_eq!((&health["health"]["status"], &health["health"]["ready"]), (&json!("ready"), &json!(true)));
    assert_eq!(health["health"]["build_info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(check(&health, "database")["metadata"]["kind"], "sqlite");
    assert_eq!(check(&health, "plugins")["metadata"]["allocator"], "on_demand");
    assert!(!answer.text.contains(TOKEN));
    let mut told = health.clone();
    told["health"]["version"] = json!("<version>");
    told["health"]["build_info"]["version"] = json!("<version>");
    assert!(told["health"]["checks"][0]["metadata"]["schema_version"].as_i64().unwrap() > 0);
    told["health"]["checks"][0]["metadata"]["schema_version"] = json!("<schema>");
    insta::assert_snapshot!("health", tidy(&told));
    let guarded = berth.get("/operator/health").await.ok();
    assert_eq!(guarded["health"]["status"], "ready");
}

#[tokio::test]
async fn a_database_that_cannot_be_asked_is_an_error_with_its_reason() {
    let berth = Berth::start().await;
    berth.store.close().await;

    let answer = berth.get("/health").await;

    assert_eq!(answer.status, 503);
    let health = answer.json();
    assert_eq!((&health["kind"], &health["health"]["status"]), (&json!("health"), &json!("error")));
    assert_eq!(health["health"]["ready"], false);
    let database = check(&health, "database");
    assert_eq!(database["status"], "error");
    assert_eq!(database["detail"], "sqlite does not answer: it was closed");
    assert_eq!(health["health"]["errors"], json!([{ "check": "database", "message": database["detail"] }]));
}

#[tokio::test]
async fn a_plugin_that_failed_degrades_the_host_which_stays_ready() {
    let berth = Berth::start().await;
    berth.shelf.is_broken.store(true, Ordering::Relaxed);

    let health = berth.get("/health").await.ok();

    assert_eq!(
        (&health["health"]["status"], &health["health"]["degraded"]),
        (&json!("degraded"), &json!(true))
    );
    assert_eq!(check(&health, "plugins")["detail"], "0 of 1 ready, 1 failed");
}

#[tokio::test]
async fn a_host_whose_plugins_are_still_put_in_place_says_so_and_serves_all_the_same() {
    let berth = Berth::start().await;
    berth.shelf.is_starting.store(true, Ordering::Relaxed);

    let answer = berth.get("/health").await;

    assert_eq!((answer.status, &answer.json()["health"]["status"]), (503, &json!("starting")));
    assert_eq!(answer.json()["health"]["ready"], false);
    berth.get("/runtime/threads").await.ok();
    berth.shelf.is_starting.store(false, Ordering::Relaxed);
    assert_eq!(berth.get("/health").await.ok()["health"]["status"], "ready");
}

#[tokio::test]
async fn a_host_that_stops_is_not_ready() {
    let berth = Berth::start().await;
    berth.core.shutdown().await;

    let answer = berth.get("/health").await;

    assert_eq!((answer.status, &answer.json()["health"]["status"]), (503, &json!("stopping")));
}
