//! More than anybody wants to hear.

use serde_json::json;

use super::arena::{Arena, Ended, LIMITS, assert_table, code, said};

#[test]
fn who_floods_the_host_is_cut_and_nobody_waits_for_it() {
    let arena = Arena::start();
    arena.install_attacker(&LIMITS.replace("cpu_ms = 200", "cpu_ms = 9000").replace("6000", "60000"));
    let attack = |name: &str| json!({ "attack": name });

    assert_table(
        &arena,
        vec![
            (attack("flood_stderr"), said(json!({ "printed": 100_000 }))),
            (attack("flood_stdout"), said(json!({ "printed": 100_000 }))),
            (attack("endless_line"), said(json!({ "printed": 120_000_000 }))),
            (attack("escape_terminal"), said(json!({ "printed": true }))),
            (attack("flood_progress"), said(json!({ "reported": 200_000 }))),
            (attack("odd_progress"), said(json!({ "reported": true }))),
            (attack("huge_progress"), code("PLUGIN_HOSTCALL_LIMIT")),
            (attack("flood_partial"), said(json!({ "taken": 2000 }))),
            (attack("huge_partial"), code("PLUGIN_HOSTCALL_LIMIT")),
            (attack("huge_name"), code("PLUGIN_HOSTCALL_LIMIT")),
            (attack("deep_scope"), said(json!({ "granted": false }))),
            (attack("odd_scopes"), said(json!({ "granted": 0 }))),
        ],
    );
}

#[test]
fn what_a_plugin_prints_cannot_draw_on_the_terminal_of_its_operator() {
    let arena = Arena::start();
    arena.install_attacker(LIMITS);

    assert_eq!(arena.attack(json!({ "attack": "escape_terminal" })), Ended::Said(json!({ "printed": true })));
    let shown = arena.host.cli(&["plugin", "logs", "attacker"]).ok();

    assert!(shown.contains("red") && shown.contains("second"), "{shown}");
    let odd: Vec<char> = shown.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert!(odd.is_empty(), "{odd:?}");
    assert!(!arena.output().contains('\u{1b}'), "the log of the host has none either");
}
