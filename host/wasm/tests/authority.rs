//! Grants that ask, count, watch and end, with a person who answers.
#![allow(clippy::unwrap_used)]

#[path = "authority/limits.rs"]
mod limits;
#[path = "authority/revoked.rs"]
mod revoked;
mod support;

use berth_core::port::store::Store;
use berth_model::approval::ApprovalAnswer;
use berth_model::audit::AuditDecision;
use berth_model::operation::OperationStatus;
use berth_model::plugin::{Consent, DigestRule, GrantMode, NewGrant};
use berth_model::{ActorId, PluginId, Timestamp};
use berth_wasm::Package;
use berth_wasm::capability::grants::{Ceiling, Permission};
use berth_wasm::host::policies::PolicyChanges;
use serde_json::json;
use support::core_world::World;
use support::host::{fixture, plugin_folder};

fn ok() -> serde_json::Value {
    json!({ "done": true })
}

#[tokio::test]
async fn a_call_of_the_owner_waits_for_the_answer_and_goes_on() {
    let berth = World::start().await;
    let grant = berth.grant(GrantMode::Ask, |new| new).await;

    let call = berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.read" }));
    let yes = berth.answered(call.clone(), &[ApprovalAnswer::Once]).await;
    let no = berth.answered(call, &[ApprovalAnswer::No]).await;

    assert_eq!(yes.outcome.unwrap().content, ok());
    let refused = no.outcome.unwrap().content;
    assert_eq!(refused["code"], "PERMISSION_DENIED");
    assert!(refused["message"].as_str().unwrap().contains("the owner said no"), "{refused}");
    assert_eq!(berth.heard(), 1);
    let rows = berth.audit().await;
    assert_eq!((rows[0].decision, rows[0].operation), (AuditDecision::Allowed, yes.operation.id));
    assert_eq!((rows[0].approval, rows[0].grant), (yes.operation.approval, None));
    assert_eq!((rows[1].decision, rows[1].approval), (AuditDecision::Denied, no.operation.approval));
    assert_eq!(rows[1].scope, json!({ "tools": ["rpi.read"], "endpoints": ["pi"] }));
    assert!(grant.is_live(Timestamp::from_micros(1)));
}

#[tokio::test]
async fn once_is_for_one_use_and_an_hour_for_an_hour() {
    let berth = World::start().await;
    berth.grant(GrantMode::Ask, |new| new).await;
    let call = berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.read" }));

    berth.answered(call.clone(), &[ApprovalAnswer::Once]).await;
    berth.answered(call.clone(), &[ApprovalAnswer::Hour]).await;
    assert_eq!(berth.asks_the_pi().await, ok());
    berth.clock.advance(59 * 60);
    assert_eq!(berth.asks_the_pi().await, ok());
    berth.clock.advance(60);
    let later = berth.answered(call, &[ApprovalAnswer::No]).await;

    assert_eq!(later.outcome.unwrap().content["code"], "PERMISSION_DENIED");
    assert_eq!(berth.heard(), 4);
}

#[tokio::test]
async fn a_yes_for_this_run_is_none_for_the_next_operation() {
    let berth = World::start().await;
    berth.grant(GrantMode::Ask, |new| new).await;
    let call = berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.read" }));

    let first = berth.answered(call.clone(), &[ApprovalAnswer::Run]).await;
    let second = berth.answered(call, &[ApprovalAnswer::No]).await;

    assert_eq!(first.outcome.unwrap().content, ok());
    assert_eq!(second.outcome.unwrap().content["code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_call_that_nobody_waits_at_is_parked_and_run_again() {
    let berth = World::start().await;
    berth.grant(GrantMode::Ask, |new| new).await;
    let mut call = berth.ask("host_waiter_ask_twice", json!({}));
    call.actor = ActorId::fixed("system.scheduler");
    berth.pi.gate.add_permits(10);

    let finished = berth.answered(call, &[ApprovalAnswer::Once, ApprovalAnswer::Once]).await;

    assert_eq!(finished.outcome.unwrap().content, json!({ "first": "ok", "second": "ok" }));
    assert_eq!(finished.operation.status, OperationStatus::Succeeded);
    // The gate was passed again when the second question had its answer.
    assert_eq!(berth.heard(), 3);
}

#[tokio::test]
async fn an_owner_who_does_not_answer_in_time_finds_the_call_parked() {
    let berth = World::start().await;
    berth.grant(GrantMode::Ask, |new| new).await;
    let mut call = berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.read" }));
    call.timeout = Some(std::time::Duration::from_millis(400));
    let mut steps = berth.core.operation_updates();

    let core = berth.core.clone();
    let running = tokio::spawn(async move { core.operate(call).await });
    let question = berth.question().await;
    // The wait in the guest is over when the call has been told of twice: it waits, and it is parked.
    while steps.recv().await.unwrap().phase != "parked" {}
    berth.answer(&question, ApprovalAnswer::Once).await;

    assert_eq!(running.await.unwrap().unwrap().outcome.unwrap().content, ok());
    assert_eq!(berth.heard(), 1);
}

#[tokio::test]
async fn what_is_refused_while_a_call_waits_is_refused_whatever_the_answer() {
    let berth = World::start().await;
    berth.grant(GrantMode::Ask, |new| new).await;
    let call = berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.read" }));

    let (finished, ()) = futures::join!(berth.core.operate(call), async {
        let question = berth.question().await;
        berth.grant(GrantMode::Deny, |new| new).await;
        berth.answer(&question, ApprovalAnswer::Always).await;
    });

    assert_eq!(finished.unwrap().outcome.unwrap().content["code"], "PERMISSION_DENIED");
    assert_eq!(berth.heard(), 0);
}

#[tokio::test]
async fn a_counted_grant_is_used_as_often_as_it_says_however_many_want_it() {
    let berth = World::start().await;
    let grant = berth.grant(GrantMode::Allow, |new| NewGrant { uses_left: Some(3), ..new }).await;

    let calls = futures::future::join_all((0..6).map(|_| berth.asks_the_pi())).await;

    let allowed = calls.iter().filter(|answer| **answer == ok()).count();
    let denied = calls.iter().filter(|answer| answer["code"] == "PERMISSION_DENIED").count();
    assert_eq!((allowed, denied, berth.heard()), (3, 3, 3));
    let stored = berth.store.read().await.unwrap().lookup_grant(grant.id).await.unwrap().unwrap();
    assert_eq!(stored.uses_left, Some(0));
    let rows = berth.audit().await;
    let taken = rows.iter().filter(|row| row.grant == Some(grant.id)).count();
    assert_eq!((taken, rows.len()), (3, 6));
}

#[tokio::test]
async fn a_denial_and_a_use_that_changes_something_leave_a_row_of_their_call() {
    let berth = World::start().await;
    let call = berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.read" }));

    let denied = berth.core.operate(call.clone()).await.unwrap();
    let grant = berth.grant(GrantMode::Allow, |new| new).await;
    let allowed = berth.core.operate(call).await.unwrap();

    let rows = berth.audit().await;
    let of = |index: usize| {
        let row = &rows[index];
        (row.decision, row.operation, row.call, row.grant)
    };
    assert_eq!(of(0), (AuditDecision::Denied, denied.operation.id, denied.operation.call, None));
    assert_eq!(of(1), (AuditDecision::Allowed, allowed.operation.id, allowed.operation.call, Some(grant.id)));
    assert_eq!((rows.len(), rows[0].is_write, rows[0].uses), (2, true, 1));
    assert_eq!((rows[0].plugin.as_str(), rows[0].capability.as_str()), ("host-waiter", "endpoint"));
    assert_eq!(rows[0].actor, ActorId::fixed("user:self"));
}

#[tokio::test]
async fn a_grant_that_observes_lets_a_use_pass_and_writes_it_down() {
    let berth = World::start().await;
    let grant = berth.grant(GrantMode::Observe, |new| new).await;

    assert_eq!(berth.asks_the_pi().await, ok());

    let rows = berth.audit().await;
    assert_eq!((rows[0].decision, rows[0].grant, rows.len()), (AuditDecision::Observed, Some(grant.id), 1));
}

#[tokio::test]
async fn a_grant_that_expires_during_a_call_counts_no_more_at_its_next_step() {
    let berth = World::start().await;
    let ends = {
        use berth_core::port::clock::Clock;
        berth.clock.now().plus(std::time::Duration::from_secs(60))
    };
    berth.grant(GrantMode::Allow, |new| NewGrant { expires_at: Some(ends), ..new }).await;

    let (answer, ()) = futures::join!(berth.finished(berth.ask("host_waiter_ask_twice", json!({}))), async {
        berth.pi.at_the_gate.acquire().await.unwrap().forget();
        berth.clock.advance(61);
        berth.pi.gate.add_permits(1);
    });

    assert_eq!(answer, json!({ "first": "ok", "second": "PERMISSION_DENIED" }));
}

#[tokio::test]
async fn a_ceiling_bounds_calls_that_are_under_way() {
    let berth = World::start().await;
    berth.grant(GrantMode::Allow, |new| new).await;

    let (answer, ()) = futures::join!(berth.finished(berth.ask("host_waiter_ask_twice", json!({}))), async {
        berth.pi.at_the_gate.acquire().await.unwrap().forget();
        berth.host.set_ceilings(vec![Ceiling::over_all(Permission::Denied)]);
    });

    assert_eq!(answer, json!({ "first": "PERMISSION_DENIED", "second": "PERMISSION_DENIED" }));
}

#[tokio::test]
async fn an_upgrade_to_another_build_loses_a_grant_of_the_exact_one() {
    let berth = World::start().await;
    let wants = "[[capability]]\nname = \"endpoint\"\n";
    let package = fixture("host-waiter", wants);
    let digest = berth_wasm::digest(&package.component);
    berth.grant(GrantMode::Allow, |new| NewGrant { rule: DigestRule::Exact(digest), ..new }).await;
    assert_eq!(berth.asks_the_pi().await, ok());

    // A custom section more makes another component of it.
    let mut component = package.component.to_vec();
    component.extend_from_slice(&[0, 5, 4, b'm', b'o', b'r', b'e']);
    berth.host.install(Package { component: component.into(), ..package }).await.unwrap();

    assert_eq!(berth.asks_the_pi().await["code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_build_that_was_put_in_place_by_hand_is_inert_until_the_owner_enables_it() {
    let berth = World::start().await;
    berth.grant(GrantMode::Allow, |new| new).await;
    let id = PluginId::fixed("host-waiter");
    let consent = Consent {
        plugin: id.clone(),
        digest: "ab".repeat(32),
        given_by: "user:self".to_owned(),
        given_at: Timestamp::from_micros(0),
    };
    let mut tx = berth.store.write().await.unwrap();
    tx.give_consent(&consent).await.unwrap();
    tx.commit().await.unwrap();
    berth.host.boot().await.unwrap();
    let call = berth.ask("host_waiter_wait_clock", json!({ "ms": 1 }));

    let inert = berth.core.operate(call.clone()).await.unwrap();
    assert_eq!(inert.outcome.unwrap_err().code, "PLUGIN_NOT_APPROVED");
    assert!(berth.host.show(&id).await.unwrap().is_ready, "it is described all the same");

    berth.host.enable(&id).await.unwrap();
    assert_eq!(berth.finished(call).await, json!({ "waited": true }));
}

#[tokio::test]
async fn a_folder_is_asked_for_before_the_guest_begins() {
    let berth = World::empty().await;
    berth.host.install(Package::read(&plugin_folder("files")).unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("today.md"), "buy milk").unwrap();
    let scope = json!({ "guest": "/notes", "host": folder.path(), "access": "rw" });
    let new = NewGrant::allow(PluginId::fixed("files"), "files", scope);
    berth.host.grant(NewGrant { mode: GrantMode::Ask, ..new }).await.unwrap();
    let read = berth.ask("files_read", json!({ "path": "/notes/today.md" }));

    let yes = berth.answered(read.clone(), &[ApprovalAnswer::Once]).await;
    let no = berth.answered(read.clone(), &[ApprovalAnswer::No]).await;
    let hour = berth.answered(read.clone(), &[ApprovalAnswer::Hour]).await;
    let after = berth.core.operate(read).await.unwrap();

    assert_eq!(yes.outcome.unwrap().content["content"], "buy milk");
    assert_eq!(no.outcome.unwrap().content["code"], "denied");
    assert_eq!(hour.outcome.unwrap().content["content"], "buy milk");
    assert_eq!(after.outcome.unwrap().content["content"], "buy milk");
}

const POLICIES: &str = r#"
[[grant]]
plugin = "host-waiter"
capability = "endpoint"
scope = { tools = ["rpi.read"] }
"#;

#[tokio::test]
async fn policies_grant_what_they_say_and_revoke_what_they_say_no_more() {
    let berth = World::start().await;
    let live = async || {
        let grants = berth.host.list_grants(None).await.unwrap();
        grants.into_iter().filter(|grant| grant.revoked_at.is_none()).count()
    };
    let other = POLICIES.replace("rpi.read", "rpi.write");
    let changes = |given, revoked, withheld| PolicyChanges { given, revoked, withheld };

    assert_eq!(berth.host.apply_policies(POLICIES).await.unwrap(), changes(1, 0, 0));
    assert_eq!(berth.asks_the_pi().await, ok());
    assert_eq!(berth.host.apply_policies(POLICIES).await.unwrap(), changes(0, 0, 0));
    assert_eq!(berth.host.apply_policies(&other).await.unwrap(), changes(1, 1, 0));
    assert_eq!(berth.asks_the_pi().await["code"], "PERMISSION_DENIED");
    assert_eq!(berth.host.apply_policies(POLICIES).await.unwrap(), changes(1, 1, 0));
    assert_eq!(berth.asks_the_pi().await, ok());

    let grants = berth.host.list_grants(None).await.unwrap();
    let grant = grants.iter().find(|grant| grant.revoked_at.is_none()).unwrap();
    berth.host.revoke(grant.id).await.unwrap();
    assert_eq!(berth.host.apply_policies(POLICIES).await.unwrap(), changes(0, 0, 1));
    assert_eq!(live().await, 0, "what was revoked by hand stays so");
    assert_eq!(berth.host.apply_policies("").await.unwrap(), changes(0, 0, 0));
}

#[tokio::test]
async fn policies_that_are_not_right_change_nothing_and_name_the_line() {
    let berth = World::start().await;
    let wrong = format!(
        "{POLICIES}\n[[grant]]\nplugin = \"x\"\ncapability = \"files\"\nscope = {{ host = \"a\" }}\n"
    );

    let error = berth.host.apply_policies(&wrong).await.unwrap_err().to_string();

    assert!(error.starts_with("policies/grants.toml:10: "), "{error}");
    assert!(error.contains("absolute path"), "{error}");
    assert!(berth.host.list_grants(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_ceiling_of_the_policies_bounds_what_is_granted() {
    let berth = World::start().await;
    berth.grant(GrantMode::Allow, |new| new).await;

    berth.host.apply_policies("[[ceiling]]\ncapability = \"endpoint\"\nmode = \"deny\"\n").await.unwrap();

    assert_eq!(berth.asks_the_pi().await["code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn the_suggestion_is_the_smallest_manifest_for_what_was_observed() {
    let berth = World::start().await;
    berth.grant(GrantMode::Observe, |new| new).await;
    let id = PluginId::fixed("host-waiter");
    assert_eq!(berth.host.suggest(&id).await.unwrap().manifest, "");
    for tool in ["rpi.read", "rpi.write", "rpi.read"] {
        berth.finished(berth.ask("host_waiter_wait_endpoint", json!({ "tool": tool }))).await;
    }

    let suggestion = berth.host.suggest(&id).await.unwrap();

    assert_eq!(suggestion.uses, 3);
    assert_eq!(suggestion.wishes.len(), 1);
    let scope = json!({ "tools": ["rpi.read", "rpi.write"], "endpoints": ["pi"] });
    assert_eq!(suggestion.wishes[0].scope, scope);
    assert!(suggestion.manifest.contains("name = \"endpoint\""), "{}", suggestion.manifest);
}

#[tokio::test]
async fn the_audit_is_kept_for_half_a_year() {
    let berth = World::start().await;
    berth.asks_the_pi().await;
    berth.clock.advance(179 * 24 * 60 * 60);
    berth.asks_the_pi().await;

    let fresh = berth.host.trim_audit().await.unwrap();
    berth.clock.advance(2 * 24 * 60 * 60);
    let old = berth.host.trim_audit().await.unwrap();

    assert_eq!((fresh, old, berth.audit().await.len()), (0, 1, 1));
}
