//! Time, memory, stack and handles.

use serde_json::json;

use super::arena::{Arena, LIMITS, assert_table, code, said};

#[test]
fn who_takes_all_the_time_or_memory_gets_its_share_and_no_more() {
    let arena = Arena::start();
    arena.install_attacker(LIMITS);
    let attack = |name: &str| json!({ "attack": name });

    assert_table(
        &arena,
        vec![
            (attack("spin"), code("PLUGIN_CPU_LIMIT")),
            (attack("spin_calls"), code("PLUGIN_CPU_LIMIT")),
            (attack("spin_denied"), code("PLUGIN_CPU_LIMIT")),
            (attack("spin_memory"), code("PLUGIN_CPU_LIMIT")),
            (attack("spin_allocate"), code("PLUGIN_CPU_LIMIT")),
            (attack("ignore_cancel"), code("PLUGIN_CPU_LIMIT")),
            (attack("read_clock"), code("PLUGIN_CPU_LIMIT")),
            (attack("random_flood"), code("PLUGIN_CPU_LIMIT")),
            (attack("sleep"), code("PLUGIN_TIMEOUT")),
            (attack("grow"), code("PLUGIN_MEMORY_LIMIT")),
            (attack("grow_slowly"), code("PLUGIN_MEMORY_LIMIT")),
            (attack("reserve_everything"), said(json!({ "refused": true }))),
            (attack("recurse"), code("PLUGIN_STACK_LIMIT")),
            (attack("recurse_mutually"), code("PLUGIN_STACK_LIMIT")),
            (attack("recurse_pointer"), code("PLUGIN_STACK_LIMIT")),
            (attack("recurse_wide"), code("PLUGIN_TRAP")),
        ],
    );
}

#[test]
fn a_host_that_allows_less_is_obeyed() {
    let config =
        "[plugins.limits]\ncpu_ms = 100\n[plugins.ceilings]\nmemory_bytes = 4194304\ntimeout_ms = 4000\n";
    let arena = Arena::with_config(config);
    arena.install_attacker("[limits]\nmemory_bytes = 268435456\n");
    let attack = |name: &str| json!({ "attack": name });

    assert_table(
        &arena,
        vec![
            (attack("spin"), code("PLUGIN_CPU_LIMIT")),
            (attack("grow"), code("PLUGIN_MEMORY_LIMIT")),
            (attack("sleep"), code("PLUGIN_TIMEOUT")),
        ],
    );
    let failed = arena.request(
        "POST",
        "/operator/plugins/call",
        Some(&json!({
            "tool": "attacker_try", "arguments": attack("grow"),
        })),
    );
    assert_eq!(failed.1["error"]["details"]["limit_bytes"], 4_194_304);
}
