//! What calls have used: told of each, however it ended, and added up.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::host::{Harness, fixture};
use support::net::Server;

fn number(receipt: &Value, key: &str) -> u64 {
    receipt[key].as_u64().unwrap_or_else(|| panic!("`{key}` of {receipt}"))
}

#[tokio::test]
async fn bytes_of_requests_and_answers_are_in_the_receipt() {
    let server = Server::start().await;
    let berth = Harness::start().await;
    let hosts = [server.url("")];
    berth.grant("http", "http", json!({ "hosts": hosts })).await;
    let manifest = format!("[[capability]]\nname = \"http\"\nscope = {{ hosts = {} }}\n", json!(hosts));
    berth.install_fixture("http", &manifest).await.unwrap();
    let receipt = async |request: Value| berth.call("http_send", request).await.unwrap().receipt;

    let small = receipt(json!({ "url": server.url("/hello") })).await;
    let large = receipt(json!({ "url": server.url("/large") })).await;
    let body = "b".repeat(50_000);
    let posted = receipt(json!({ "method": "POST", "url": server.url("/hello"), "body": body })).await;
    let denied = receipt(json!({ "url": "https://a.example/" })).await;

    assert!(number(&large, "received_bytes") >= number(&small, "received_bytes") + 99_000, "{large}");
    assert!(number(&posted, "sent_bytes") >= number(&small, "sent_bytes") + 50_000, "{posted}");
    assert_eq!((number(&small, "denials"), number(&denied, "denials")), (0, 1), "{denied}");
}

#[tokio::test]
async fn a_call_that_fails_leaves_a_receipt_too() {
    let berth = Harness::start().await;
    berth.install_fixture("spin", "[limits]\ncpu_ms = 100\n").await.unwrap();
    berth.install_fixture("typed", "").await.unwrap();
    berth.install_fixture("memory-eater", "[limits]\nmemory_bytes = 16777216\n").await.unwrap();

    let spun = berth.failure("spin_spin", json!({})).await;
    let receipt = spun.receipt.unwrap();
    assert_eq!(spun.code, "PLUGIN_CPU_LIMIT");
    assert!(number(&receipt, "cpu_us") >= 90_000 && number(&receipt, "wall_us") >= 90_000, "{receipt}");

    let eaten = berth.failure("memory_eater_eat", json!({})).await;
    let receipt = eaten.receipt.unwrap();
    assert_eq!(eaten.code, "PLUGIN_MEMORY_LIMIT");
    assert!((8 << 20..=16 << 20).contains(&number(&receipt, "peak_memory_bytes")), "{receipt}");

    let unfit = berth.failure("typed_join", json!({ "no": "such argument" })).await;
    assert_eq!(
        (unfit.code.as_str(), unfit.receipt),
        ("INVALID_ARGUMENTS", None),
        "what never ran has used nothing"
    );
}

#[tokio::test]
async fn receipts_add_up_over_generations_until_the_plugin_is_removed() {
    let berth = Harness::start().await;
    berth.install_fixture("spin", "[limits]\ncpu_ms = 50\n").await.unwrap();
    let spin = "spin".parse().unwrap();
    let usage = async || berth.host.show(&spin).await.unwrap().usage;
    assert_eq!(usage().await.calls, 0);

    berth.failure("spin_spin", json!({})).await;
    let first = usage().await;
    assert_eq!((first.calls, first.failures), (1, 1));
    assert!(first.cpu_us >= 45_000 && first.peak_memory_bytes > 0, "{first:?}");
    let mut next = fixture("spin", "[limits]\ncpu_ms = 60\n");
    next.manifest = next.manifest.replace("0.1.0", "0.2.0");
    berth.host.install(next).await.unwrap();
    berth.failure("spin_spin", json!({})).await;
    let both = usage().await;
    assert_eq!((both.calls, both.failures), (2, 2));
    assert!(both.cpu_us >= first.cpu_us + 45_000, "{both:?}");

    berth.host.remove(&spin).await.unwrap();
    berth.install_fixture("spin", "").await.unwrap();
    assert_eq!(usage().await.calls, 0);
}
