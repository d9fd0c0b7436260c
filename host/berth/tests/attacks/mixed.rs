//! Several attacks at once, from several plugins.

use serde_json::json;

use super::arena::{Arena, LIMITS, code, said};
use super::raw::dynamic;
use crate::support::fixture;

#[test]
fn attacks_at_once_end_each_on_its_own_and_leave_nothing_running() {
    let arena = Arena::start();
    arena.install_attacker(LIMITS);
    for guest in ["spin", "memory-eater", "trapper", "stack-overflow", "log-flood", "big-answer"] {
        let component = std::fs::read(fixture(guest)).unwrap();
        assert_eq!(arena.install(guest, &component, LIMITS), said(json!("installed")), "{guest}");
    }
    let attack = |name: &str| ("attacker_try", json!({ "attack": name }));
    let attacks = vec![
        (attack("spin"), code("PLUGIN_CPU_LIMIT")),
        (attack("grow"), code("PLUGIN_MEMORY_LIMIT")),
        (attack("sleep"), code("PLUGIN_TIMEOUT")),
        (attack("spin_calls"), code("PLUGIN_CPU_LIMIT")),
        (("spin_spin", json!({})), code("PLUGIN_CPU_LIMIT")),
        (("memory_eater_eat", json!({})), code("PLUGIN_MEMORY_LIMIT")),
        (("trapper_panic", json!({})), code("PLUGIN_TRAP")),
        (("stack_overflow_recurse_lean", json!({})), code("PLUGIN_STACK_LIMIT")),
        (("big_answer_answer", json!({})), code("PLUGIN_MEMORY_LIMIT")),
    ];

    for _ in 0..3 {
        let (calls, wanted): (Vec<_>, Vec<_>) = attacks.clone().into_iter().unzip();
        assert_eq!(arena.call_all(calls), wanted);
    }

    let (_, health) = arena.request("GET", "/health", None);
    assert_eq!(health["health"]["status"], "ready", "{health}");
}

#[test]
fn more_calls_than_a_plugin_may_have_are_busy_and_the_neighbour_is_not() {
    let arena = Arena::start();
    arena.install_attacker(&format!("{LIMITS}concurrent = 4\n"));

    let ended = arena.call_all((0..12).map(|_| ("attacker_try", json!({ "attack": "sleep" }))).collect());

    let count = |wanted: &str| ended.iter().filter(|ended| **ended == code(wanted)).count();
    assert_eq!((count("PLUGIN_TIMEOUT"), count("PLUGIN_BUSY")), (4, 8), "{ended:?}");
}

#[test]
fn a_plugin_that_fails_at_every_call_harms_itself_alone() {
    let arena = Arena::start();
    let description = r#"[{"name":"go","description":"Goes.","input_schema":{"type":"object"}}]"#;
    let body = super::raw::answers(description.len());
    let component = dynamic(&body, "unreachable", description.as_bytes());
    assert_eq!(arena.install("broken", &component, LIMITS), said(json!("installed")));

    for _ in 0..10 {
        let ended = arena.call("broken_go", json!({}));
        assert!(matches!(&ended, super::arena::Ended::Code(_)), "{ended:?}");
    }
    arena.neighbour_answers();
}
