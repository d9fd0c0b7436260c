//! The limits of manifests and grants.

use berth_model::plugin::{GrantMode, NewGrant};
use berth_model::tool::Risk;
use berth_model::{PluginId, WorkspaceId};
use serde_json::{Value, json};

use crate::support::core_world::World;
use crate::support::host::fixture;

/// A host with the guest that runs programs, bounded by `limit`.
async fn runner(limit: Value) -> World {
    let berth = World::empty().await;
    let wants = "[[capability]]\nname = \"process\"\nscope = { programs = [\"wait\", \"tell\"] }\n";
    berth.host.install(fixture("process", wants)).await.unwrap();
    let scope = json!({ "programs": ["wait", "tell"] });
    let new = NewGrant::allow(PluginId::fixed("process"), "process", scope);
    berth.host.grant(NewGrant { limit, ..new }).await.unwrap();
    berth
}

#[tokio::test]
async fn no_more_programs_run_at_once_or_in_a_minute_than_the_grant_says() {
    let berth = runner(json!({ "concurrent": 1, "per_minute": 3 })).await;
    let wait = berth.ask("process_run", json!({ "program": "wait" }));
    let tell = || berth.finished(berth.ask("process_run", json!({ "program": "tell" })));

    let (waited, busy) = futures::join!(berth.finished(wait), async {
        berth.programs.at_work.acquire().await.unwrap().forget();
        let busy = tell().await;
        berth.programs.go_on.add_permits(1);
        busy
    });
    let (second, third, fourth) = (tell().await, tell().await, tell().await);

    assert_eq!((&waited["exit"], &busy["code"]), (&json!(0), &json!("CAPABILITY_BUSY")));
    assert_eq!((&second["exit"], &third["exit"]), (&json!(0), &json!(0)));
    assert_eq!((&fourth["code"], &fourth["retryable"]), (&json!("CAPABILITY_RATE_LIMITED"), &json!(true)));
}

#[tokio::test]
async fn a_program_gets_no_more_time_and_room_than_the_grant_says() {
    let berth = runner(json!({ "timeout_ms": 700, "max_output_bytes": 10 })).await;
    let run = |more: Value| {
        let mut arguments = json!({ "program": "tell" });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        berth.finished(berth.ask("process_run", arguments))
    };

    run(json!({})).await;
    run(json!({ "timeout_ms": 5000, "output_bytes": 4000 })).await;
    run(json!({ "timeout_ms": 50, "output_bytes": 5 })).await;

    let given = berth.programs.given();
    let bounds: Vec<_> = given.iter().map(|run| (run.timeout.as_millis(), run.output_bytes)).collect();
    assert_eq!(bounds, [(700, 10), (700, 10), (50, 5)]);
}

#[tokio::test]
async fn an_endpoint_is_asked_as_often_and_waited_for_as_long_as_the_grant_says() {
    let berth = World::start().await;
    let limit = json!({ "per_minute": 2, "timeout_ms": 50 });
    berth.grant(GrantMode::Allow, |new| NewGrant { limit, ..new }).await;
    let gate = berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.gate" }));

    let late = berth.finished(gate).await;
    let second = berth.asks_the_pi().await;
    let third = berth.asks_the_pi().await;

    assert_eq!(late["code"], "CAPABILITY_TIMEOUT");
    assert_eq!(second, json!({ "done": true }));
    assert_eq!(third["code"], "CAPABILITY_RATE_LIMITED");
    assert_eq!(berth.heard(), 2);
}

#[tokio::test]
async fn a_limit_of_the_manifest_bounds_what_is_granted_without_one() {
    let berth = World::empty().await;
    let wants = "[[capability]]\nname = \"endpoint\"\nlimit = { per_minute = 1 }\n";
    berth.host.install(fixture("host-waiter", wants)).await.unwrap();
    berth.grant(GrantMode::Allow, |new| new).await;

    assert_eq!(berth.asks_the_pi().await, json!({ "done": true }));
    assert_eq!(berth.asks_the_pi().await["code"], "CAPABILITY_RATE_LIMITED");
}

#[tokio::test]
async fn a_limit_that_a_capability_does_not_have_is_refused_with_those_that_it_has() {
    let berth = World::empty().await;
    let new = NewGrant::allow(PluginId::fixed("host-waiter"), "endpoint", json!({}));
    for (limit, problem) in [
        (json!({ "per_hour": 3 }), "`per_hour` is no limit of `endpoint`: it has `per_minute`, `timeout_ms`"),
        (json!({ "concurrent": 3 }), "`concurrent` is no limit of `endpoint`"),
        (json!({ "per_minute": 0 }), "`per_minute` must be a number above 0"),
    ] {
        let error = berth.host.grant(NewGrant { limit, ..new.clone() }).await.unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    assert!(berth.host.list_grants(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wish_that_is_refused_leaves_the_plugin_at_work() {
    let berth = World::empty().await;
    let wants = "[[capability]]\nname = \"endpoint\"\nrequired = false\n[[capability]]\nname = \"files\"\n\
                 required = true\nscope = { guest = \"/notes\" }\n";
    berth.host.install(fixture("host-waiter", wants)).await.unwrap();

    let denied = berth.asks_the_pi().await;
    let read = berth.finished(berth.ask("host_waiter_ask_and_read", json!({ "path": "/notes/a.md" }))).await;
    let works = berth.finished(berth.ask("host_waiter_wait_clock", json!({ "ms": 1 }))).await;

    assert_eq!(denied["code"], "PERMISSION_DENIED");
    assert_eq!(read, json!({ "before": false, "asked": false, "after": false }));
    assert_eq!(works, json!({ "waited": true }));
}

#[tokio::test]
async fn what_the_manifest_says_of_a_tool_reaches_the_one_who_calls_it() {
    let berth = World::empty().await;
    let hints =
        "[tool.wait_clock]\nrisk = \"destructive\"\nconfirm = true\ntimeout_ms = 1234\nname = \"tick\"\n";
    let wants = format!("[[capability]]\nname = \"endpoint\"\n{hints}");
    berth.host.install(fixture("host-waiter", &wants)).await.unwrap();

    let offered = berth.core.tools(&WorkspaceId::fixed("personal")).await.unwrap();

    let tool = offered.iter().find(|tool| tool.name.as_str() == "tick").unwrap();
    assert_eq!((tool.risk, tool.requires_confirmation), (Risk::Destructive, true));
    assert_eq!(tool.timeout.as_millis(), 1234);
}
