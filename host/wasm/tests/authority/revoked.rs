//! What becomes of a use that is under way when its grant is taken back.

use berth_model::PluginId;
use berth_model::audit::AuditDecision;
use berth_model::plugin::{GrantMode, NewGrant};
use berth_wasm::capability::grants::{Ceiling, Permission};
use serde_json::json;

use crate::support::core_world::World;
use crate::support::host::fixture;

#[tokio::test]
async fn a_revoked_grant_stops_a_guest_in_a_loop_at_its_next_host_call() {
    let berth = World::start().await;
    let grant = berth.grant(GrantMode::Allow, |new| new).await;

    // The guest asks the Pi for as long as it is let, and says how often that was.
    let (told, ()) = futures::join!(berth.finished(berth.ask("host_waiter_ask_on", json!({}))), async {
        while berth.heard() < 3 {
            tokio::task::yield_now().await;
        }
        berth.host.revoke(grant.id).await.unwrap();
    });

    assert_eq!(told["code"], "PERMISSION_DENIED");
    assert_eq!(told["calls"], berth.heard(), "no call after the first that was denied");
    let rows = berth.audit().await;
    let uses: Vec<_> = rows.iter().map(|row| (row.decision, row.uses)).collect();
    let heard = i64::try_from(berth.heard()).unwrap();
    assert_eq!(uses, [(AuditDecision::Allowed, heard), (AuditDecision::Denied, 1)]);
}

#[tokio::test]
async fn a_hop_that_waits_ends_with_its_grant_and_not_with_its_answer() {
    let berth = World::start().await;
    let grant = berth.grant(GrantMode::Allow, |new| new).await;

    let hop = berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.gate" }));
    let (told, ()) = futures::join!(berth.finished(hop), async {
        berth.pi.at_the_gate.acquire().await.unwrap().forget();
        berth.host.revoke(grant.id).await.unwrap();
    });

    assert_eq!(told["code"], "PERMISSION_DENIED");
    let last = berth.audit().await.pop().unwrap();
    assert_eq!((last.decision, last.scope["tools"][0].as_str()), (AuditDecision::Denied, Some("rpi.gate")));
}

#[tokio::test]
async fn a_hop_that_waits_ends_with_a_new_refusal_too_and_with_no_other_change() {
    let berth = World::start().await;
    berth.grant(GrantMode::Allow, |new| new).await;
    let other = berth.grant(GrantMode::Allow, |new| new).await;

    let hop = berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.gate" }));
    let (told, ()) = futures::join!(berth.finished(hop.clone()), async {
        berth.pi.at_the_gate.acquire().await.unwrap().forget();
        // The other grant covers it as well.
        berth.host.revoke(other.id).await.unwrap();
        berth.pi.gate.add_permits(1);
    });
    assert_eq!(told, json!({ "done": true }));

    let (told, ()) = futures::join!(berth.finished(hop), async {
        berth.pi.at_the_gate.acquire().await.unwrap().forget();
        berth.host.set_ceilings(vec![Ceiling::over_all(Permission::Denied)]);
    });
    assert_eq!(told["code"], "PERMISSION_DENIED");
    assert!(told["message"].as_str().unwrap().contains("a ceiling of the operator's policy"), "{told}");
}

#[tokio::test]
async fn a_program_that_runs_ends_with_its_grant() {
    let berth = World::empty().await;
    let wants = "[[capability]]\nname = \"process\"\nscope = { programs = [\"wait\"] }\n";
    berth.host.install(fixture("process", wants)).await.unwrap();
    let new = NewGrant::allow(PluginId::fixed("process"), "process", json!({ "programs": ["wait"] }));
    let grant = berth.host.grant(new).await.unwrap();

    let run = berth.ask("process_run", json!({ "program": "wait" }));
    let (told, ()) = futures::join!(berth.finished(run), async {
        berth.programs.at_work.acquire().await.unwrap().forget();
        berth.host.revoke(grant.id).await.unwrap();
    });

    assert_eq!(told["code"], "PERMISSION_DENIED");
    assert!(berth.programs.was_dropped(), "nothing of it goes on");
}
