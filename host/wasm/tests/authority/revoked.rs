//! What becomes of a use that is under way when its grant is taken back.

use berth_model::PluginId;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use berth_model::audit::AuditDecision;
use berth_model::plugin::{GrantMode, NewGrant};
use berth_wasm::capability::context::CallContext;
use berth_wasm::capability::endpoint::{EndpointCaller, EndpointInfo};
use berth_wasm::capability::grants::{Ceiling, GrantSource, GrantView, Granted, Permission};
use berth_wasm::capability::services::Services;
use berth_wasm::capability::{Capability, CapabilityError};
use berth_wasm::{Manifest, ToolInvocation};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::core_world::World;
use crate::support::host::fixture;
use crate::support::{context, engine, load_bytes};

/// Grants that never change, and how often somebody had to look at them.
struct Counted {
    view: Arc<GrantView>,
    views: AtomicUsize,
}

impl GrantSource for Counted {
    fn generation(&self) -> u64 {
        self.view.generation()
    }

    fn view(&self) -> Arc<GrantView> {
        self.views.fetch_add(1, Ordering::Relaxed);
        self.view.clone()
    }
}

/// Lets a thousand calls through, each after a turn of the scheduler.
#[derive(Default)]
struct Patient(AtomicUsize);

#[async_trait]
impl EndpointCaller for Patient {
    async fn list(&self, _: &str, _: &CallContext) -> Result<Vec<EndpointInfo>, CapabilityError> {
        Ok(vec![EndpointInfo {
            endpoint_id: "pi".to_owned(),
            provider_type: "rpi".to_owned(),
            display_name: String::new(),
            online: true,
        }])
    }

    async fn call(
        &self,
        _: &EndpointInfo,
        _: &str,
        _: Value,
        _: &CallContext,
        _: &CancellationToken,
    ) -> Result<Value, CapabilityError> {
        tokio::task::yield_now().await;
        if self.0.fetch_add(1, Ordering::Relaxed) < 1000 {
            return Ok(json!({}));
        }
        Err(CapabilityError::new("ENOUGH", "it was asked often enough"))
    }
}

#[tokio::test]
async fn while_nothing_changes_a_host_call_compares_a_number_and_makes_no_view() {
    let wants = "[[capability]]\nname = \"endpoint\"\n";
    let package = fixture("host-waiter", wants);
    let manifest = Manifest::parse(&package.manifest).unwrap();
    let requests = manifest.requests.clone();
    let plugin = load_bytes(&engine(), package.component.to_vec(), manifest).await;
    let allow = Granted { capability: Capability::Endpoint, scope: json!({}).into(), mode: GrantMode::Allow };
    let view = Arc::new(GrantView::new(7, "host-waiter", requests, vec![allow]));
    let source = Arc::new(Counted { view, views: AtomicUsize::new(0) });
    let services = Services::none().with_endpoints(Arc::new(Patient::default()));

    let tool = plugin.tools().iter().find(|tool| tool.name == "host_waiter_ask_on").unwrap();
    let call = ToolInvocation::new(tool.key(), json!({}), context());
    let ended = plugin.call(ToolInvocation { grants: source.clone(), services, ..call }).await.unwrap();

    assert_eq!(ended.content, json!({ "calls": 1000, "code": "ENOUGH" }));
    assert_eq!(source.views.load(Ordering::Relaxed), 1, "the one that the call began with");
}

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
