//! What is of the machine and of the host: environment, input, programs, sockets, endpoints.

use serde_json::json;

use super::arena::{Arena, LIMITS, assert_table, said};

#[test]
fn a_guest_finds_nothing_of_the_machine_it_runs_on() {
    let arena = Arena::start();
    arena.install_attacker(LIMITS);
    let attack = |name: &str| json!({ "attack": name });

    assert_table(
        &arena,
        vec![
            (attack("environment"), said(json!({ "variables": 0 }))),
            (attack("token"), said(json!({ "found": false }))),
            (attack("arguments"), said(json!({ "arguments": 0 }))),
            (attack("input"), said(json!({ "bytes": 0, "ended": true }))),
            (attack("program"), said(json!({ "started": false }))),
            (attack("connect"), said(json!({ "connected": false }))),
            (
                json!({ "attack": "connect", "address": arena.host.address() }),
                said(json!({ "connected": false })),
            ),
            (attack("listen"), said(json!({ "bound": false }))),
            (attack("datagram"), said(json!({ "bound": false }))),
            (attack("endpoint"), said(json!({ "code": "PERMISSION_DENIED" }))),
            (attack("endpoint_odd"), said(json!({ "codes": vec!["INVALID_ARGUMENTS"; 6] }))),
            (attack("endpoints"), said(json!({ "listed": 0 }))),
        ],
    );
}
