//! Answers that nobody can use, and ends that nobody asked for.

use serde_json::json;

use super::arena::{Arena, Ended, LIMITS, assert_table, code, said};

#[test]
fn an_answer_that_cannot_be_used_is_refused_with_its_reason() {
    let arena = Arena::start();
    arena.install_attacker(&LIMITS.replace("16777216", "67108864").replace("cpu_ms = 200", "cpu_ms = 5000"));
    let attack = |name: &str| json!({ "attack": name });

    assert_table(
        &arena,
        vec![
            (attack("answer_large"), code("PLUGIN_OUTPUT_TOO_LARGE")),
            (attack("answer_flood"), code("PLUGIN_HOSTCALL_LIMIT")),
            (attack("answer_many"), said(json!(vec![0; 400_000]))),
            (
                attack("answer_escapes"),
                said(json!({ "text": "\u{1b}[2J\u{1b}]0;owned\u{7}\0\u{202e}\u{9b}31m" })),
            ),
            (attack("answer_surrogates"), said(json!({ "text": "\u{d7ff}\u{e000}\u{10ffff}\u{fffe}" }))),
            (attack("overflow_of_floats"), said(json!({ "number": null }))),
            (
                attack("failure_of_the_host"),
                Ended::Sorry(json!({ "code": "PERMISSION_DENIED", "message": "trust me" })),
            ),
            (attack("failure_large"), code("PLUGIN_OUTPUT_TOO_LARGE")),
            (attack("failure_forged"), code("PERMISSION_DENIED")),
            (attack("failure_named_oddly"), code("PLUGIN_ERROR")),
            (attack("failure_without_end"), code("PLUGIN_ERROR")),
            (attack("failure_bad_details"), code("odd")),
            (attack("refusal_large"), code("INVALID_ARGUMENTS")),
            (attack("no such attack"), code("INVALID_ARGUMENTS")),
            (attack("panic"), code("PLUGIN_TRAP")),
            (attack("panic_large"), code("PLUGIN_TRAP")),
            (attack("abort"), code("PLUGIN_TRAP")),
            (attack("divide"), code("PLUGIN_TRAP")),
            (attack("outside"), code("PLUGIN_TRAP")),
            (attack("exit_well"), code("PLUGIN_EXIT")),
            (attack("exit_badly"), code("PLUGIN_EXIT")),
        ],
    );
}

#[test]
fn an_answer_that_nests_without_end_does_not_end_the_host() {
    let arena = Arena::start();
    arena.install_attacker(LIMITS);

    let ended = arena.attack(json!({ "attack": "answer_deep" }));

    assert!(matches!(ended, Ended::Said(_) | Ended::Code(_)), "{ended:?}");
}

#[test]
fn arguments_that_nobody_expects_never_reach_a_guest() {
    let arena = Arena::start();
    arena.install_attacker(LIMITS);

    let mut deep = json!({});
    for _ in 0..120 {
        deep = json!({ "a": [deep] });
    }
    assert_eq!(arena.call("attacker_try", json!({ "attack": deep })), code("invalid_json"));
    let keys: serde_json::Map<_, _> = (0..50_000).map(|n| (format!("key-{n}"), json!(n))).collect();
    assert_eq!(arena.call("attacker_try", json!(keys)), code("INVALID_ARGUMENTS"));
    for arguments in [json!([]), json!("text"), json!(7)] {
        assert_eq!(arena.call("attacker_try", arguments), code("invalid_request"));
    }
    assert_eq!(arena.call("attacker_try\0", json!({})), code("nul_character"));
}
