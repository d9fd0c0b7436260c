//! Guests that misbehave, as installed plugins: each ends within its limits, and nobody else notices.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use berth_core::port::target::PluginTarget;
use berth_wasm::host::Life;
use serde_json::{Value, json};
use support::host::Harness;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn every_misbehaving_guest_ends_with_its_own_code() {
    let berth = Harness::start().await;
    let endpoint = "[[capability]]\nname = \"endpoint\"\n";
    berth.grant("host-waiter", "endpoint", json!({})).await;
    for (guest, limits) in [
        ("spin", "cpu_ms = 100"),
        ("memory-eater", "memory_bytes = 16777216"),
        ("trapper", ""),
        ("stack-overflow", ""),
        ("host-waiter", "timeout_ms = 200"),
        ("big-answer", ""),
    ] {
        let asks = if guest == "host-waiter" { endpoint } else { "" };
        berth.install_fixture(guest, &format!("{asks}[limits]\n{limits}\n")).await.unwrap();
    }

    for (tool, arguments, code, details) in [
        ("spin_spin", json!({}), "PLUGIN_CPU_LIMIT", json!({ "limit_seconds": 0.1 })),
        ("memory_eater_eat", json!({}), "PLUGIN_MEMORY_LIMIT", json!({ "limit_bytes": 16 * MIB })),
        ("trapper_panic", json!({}), "PLUGIN_TRAP", Value::Null),
        ("trapper_divide", json!({}), "PLUGIN_TRAP", Value::Null),
        ("trapper_outside", json!({}), "PLUGIN_TRAP", Value::Null),
        ("stack_overflow_recurse", json!({}), "PLUGIN_TRAP", Value::Null),
        ("stack_overflow_recurse_lean", json!({}), "PLUGIN_STACK_LIMIT", Value::Null),
        ("host_waiter_wait_clock", json!({}), "PLUGIN_TIMEOUT", json!({ "limit_seconds": 0.2 })),
        ("host_waiter_wait_endpoint", json!({ "tool": "rpi.never" }), "PLUGIN_TIMEOUT", Value::Null),
        ("big_answer_answer", json!({}), "PLUGIN_OUTPUT_TOO_LARGE", json!({ "limit_bytes": MIB })),
        (
            "big_answer_answer",
            json!({ "bytes": 9 * MIB }),
            "PLUGIN_HOSTCALL_LIMIT",
            json!({ "limit_bytes": 8 * MIB }),
        ),
    ] {
        let failure = berth.failure(tool, arguments).await;

        assert_eq!(failure.code, code, "{tool}: {failure:?}");
        assert!(!failure.retryable, "{tool}");
        if tool == "trapper_panic" {
            let message = &failure.message;
            assert!(
                message.contains("it panicked at ") && message.ends_with("this guest panics on demand"),
                "{message}"
            );
        }
        if !details.is_null() {
            assert_eq!(failure.details, details, "{tool}");
        }
    }
    assert_eq!(berth.host.engine().status().running_calls, 0);
}

#[tokio::test]
async fn a_guest_that_never_comes_to_life_is_not_installed() {
    let berth = Harness::start().await;

    let error = berth.install_fixture("spin-in-start", "[limits]\ncpu_ms = 100\n").await.unwrap_err();

    assert_eq!(error.code(), "PLUGIN_CPU_LIMIT");
    assert!(berth.host.catalogue().is_empty());
    assert!(berth.host.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_guest_that_asks_how_much_memory_there_is_gets_its_limit_and_can_say_so() {
    let berth = Harness::start().await;
    berth.install_fixture("memory-eater", "[limits]\nmemory_bytes = 16777216\n").await.unwrap();

    let outcome = berth.call("memory_eater_measure", json!({})).await.unwrap();

    assert!(outcome.content["bytes"].as_u64().unwrap() < 16 * MIB as u64);
    assert!(outcome.receipt["peak_memory_bytes"].as_u64().unwrap() <= 16 * MIB as u64);
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_counted() {
    let berth = Harness::start().await;
    let installed = berth.install_fixture("log-flood", "").await.unwrap();

    let flood = json!({ "lines": 1000, "bytes": 9000 });
    let outcome = berth.call("log_flood_flood", flood).await.unwrap();

    let lines = outcome.receipt["logs"].as_array().unwrap();
    assert_eq!(lines.len(), 256);
    assert!(lines.iter().all(|line| line["text"].as_str().unwrap().len() <= 4096));
    assert!(outcome.receipt["dropped_log_lines"].as_u64().unwrap() >= 744);
    assert_eq!(berth.host.logs(&installed.plugin.id).unwrap().len(), 256);
}

#[tokio::test]
async fn the_receipt_of_a_call_tells_what_it_took_and_what_it_was_denied() {
    let berth = Harness::start().await;
    // A hundred thousand lines take their time on a busy machine.
    let manifest = "[[capability]]\nname = \"endpoint\"\n[limits]\ncpu_ms = 60000\ntimeout_ms = 120000\n";
    berth.install_fixture("attacker", manifest).await.unwrap();

    let denied = berth.call("attacker_try", json!({ "attack": "endpoint" })).await.unwrap().receipt;
    let printed = berth.call("attacker_try", json!({ "attack": "flood_stderr" })).await.unwrap().receipt;

    assert_eq!((denied["denials"].as_u64(), printed["denials"].as_u64()), (Some(1), Some(0)), "{denied}");
    assert!(denied["sent_bytes"].as_u64().unwrap() > 0, "{denied}");
    assert!(printed["sent_bytes"].as_u64().unwrap() > 1_000_000, "{printed}");
    assert!(printed["host_calls"].as_u64().unwrap() >= 100_000, "{printed}");
    assert!(printed["cpu_us"].as_u64().unwrap() > 0 && printed["peak_memory_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn an_endless_loop_a_memory_eater_and_a_waiter_at_once_do_not_hold_up_others_on_one_thread() {
    all_at_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_a_memory_eater_and_a_waiter_at_once_do_not_hold_up_others_on_two_threads() {
    all_at_once().await;
}

async fn all_at_once() {
    let berth = Harness::with_life(Life { watches_first_calls: false, ..Life::default() }).await;
    berth.install("echo").await;
    berth.install_fixture("spin", "[limits]\ncpu_ms = 1000\n").await.unwrap();
    berth.install_fixture("memory-eater", "[limits]\nmemory_bytes = 16777216\n").await.unwrap();
    let asks = "[[capability]]\nname = \"endpoint\"\n[limits]\ntimeout_ms = 1000\n";
    berth.install_fixture("host-waiter", asks).await.unwrap();

    let mut bad = vec![
        ("PLUGIN_CPU_LIMIT", berth.spawn("spin_spin", json!({}))),
        ("PLUGIN_TIMEOUT", berth.spawn("host_waiter_wait_clock", json!({}))),
        ("PLUGIN_MEMORY_LIMIT", berth.spawn("memory_eater_eat", json!({}))),
    ];
    berth.until_accepted(3).await;
    let mut served_beside = BTreeSet::new();
    while !bad.is_empty() {
        served_beside.extend(bad.iter().map(|(code, _)| *code));
        assert_eq!(berth.answer("echo_say", json!({ "text": "still here" })).await["text"], "still here");
        // The eater is done in a moment: another takes its place as long as the others last.
        for (code, task) in bad.extract_if(.., |(_, task)| task.is_finished()).collect::<Vec<_>>() {
            assert_eq!(task.await.unwrap().unwrap_err().code, code);
            if code == "PLUGIN_MEMORY_LIMIT" && !bad.is_empty() {
                bad.push((code, berth.spawn("memory_eater_eat", json!({}))));
            }
        }
    }

    assert_eq!(served_beside.len(), 3);
    assert_eq!(berth.host.engine().status().running_calls, 0);
    berth.answer("echo_say", json!({ "text": "and after it" })).await;
}
