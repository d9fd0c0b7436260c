//! Plugins that stand on a shelf: tools of each kind, and what an operator does with their plugin.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_core::port::clock::Clock;
use berth_core::port::store::AuditFilter;
use berth_core::port::target::{PluginTarget, ToolCall};
use berth_http::{
    AdminError, CapabilityDiff, DiffEntry, Extent, Installed, NewGrant, PackageAt, PluginAdmin, PluginHealth,
    PluginLogLine, PluginRemoved, PluginUsage, PluginView, Suggestion, Upgraded, Wish,
};
use berth_model::audit::AuditRow;
use berth_model::generation::{Generation, GenerationState, Origin, Provenance};
use berth_model::plugin::{Grant, Plugin, PluginStatus};
use berth_model::tool::{Blame, Risk, ToolFailure, ToolOutcome, ToolSpec};
use berth_model::{GrantId, PluginId};
use berth_testkit::{SteppedClock, plugin_tool};
use serde_json::{Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

pub const NOTES: &str = "notes";

pub struct Shelf {
    clock: Arc<SteppedClock>,
    plugins: Mutex<Vec<Plugin>>,
    grants: Mutex<Vec<Grant>>,
    pub audit: Mutex<Vec<AuditRow>>,
    pub calls: Mutex<Vec<(String, Value)>>,
    /// Rung when `notes_wait` has begun; it ends when it is cancelled.
    pub waiting: Notify,
    pub is_broken: AtomicBool,
    pub is_starting: AtomicBool,
}

impl Shelf {
    pub fn new(clock: Arc<SteppedClock>) -> Self {
        let now = clock.now();
        let tools = json!([{
            "name": "notes_read", "title": "Read", "description": "Reads a note", "risk": "read", "confirm": false,
            "timeout_ms": 30_000, "input_schema": { "type": "object" }, "output_schema": null,
        }]);
        let plugin = Plugin {
            id: PluginId::fixed(NOTES),
            version: "1.0.0".to_owned(),
            digest: "ab".repeat(32),
            manifest: String::new(),
            tools,
            status: PluginStatus::Active,
            last_error: String::new(),
            installed_at: now,
            updated_at: now,
        };
        Self {
            clock,
            plugins: Mutex::new(vec![plugin]),
            grants: Mutex::default(),
            audit: Mutex::default(),
            calls: Mutex::default(),
            waiting: Notify::new(),
            is_broken: AtomicBool::new(false),
            is_starting: AtomicBool::new(false),
        }
    }

    fn view(&self, plugin: Plugin) -> PluginView {
        let grants =
            self.grants.lock().unwrap().iter().filter(|grant| grant.plugin == plugin.id).cloned().collect();
        let wish = Wish {
            capability: "files".to_owned(),
            scope: json!({ "guest": "/", "access": "ro" }),
            reason: "reads notes".to_owned(),
            is_required: true,
        };
        PluginView {
            is_ready: plugin.status == PluginStatus::Active,
            plugin,
            wishes: vec![wish],
            grants,
            waiting: None,
            waiting_digest: None,
            usage: PluginUsage { calls: 3, denials: 1, ..PluginUsage::default() },
        }
    }

    fn set(&self, id: &PluginId, status: PluginStatus) -> Result<(), AdminError> {
        let mut plugins = self.plugins.lock().unwrap();
        plugins.iter_mut().find(|plugin| plugin.id == *id).ok_or_else(|| unknown(id))?.status = status;
        Ok(())
    }
}

/// What a version asks for beyond another.
pub fn more() -> CapabilityDiff {
    let entry = |capability: &str, before, after, line: &str| DiffEntry {
        capability: capability.to_owned(),
        before,
        after,
        required: true,
        reason: "to help".to_owned(),
        line: line.to_owned(),
    };
    let extent = |scope| Extent { scope, limit: json!({ "per_minute": 6 }) };
    CapabilityDiff {
        added: vec![entry("endpoint", None, Some(extent(json!({}))), "new: endpoint")],
        removed: vec![entry(
            "files",
            Some(extent(json!({ "guest": "/" }))),
            None,
            "no longer files (guest /)",
        )],
        ..CapabilityDiff::default()
    }
}

fn refusal(code: &str, message: impl Into<String>) -> AdminError {
    AdminError { code: code.to_owned(), message: message.into(), retryable: false }
}

fn unknown(id: &PluginId) -> AdminError {
    refusal("PLUGIN_NOT_FOUND", format!("no plugin `{id}` is installed"))
}

#[async_trait]
impl PluginTarget for Shelf {
    fn catalogue(&self) -> Arc<Vec<ToolSpec>> {
        let tool = |name, risk, confirmed| plugin_tool(NOTES, name, risk, confirmed);
        Arc::new(vec![
            tool("notes_read", Risk::Read, false),
            tool("notes_erase", Risk::Destructive, true),
            tool("notes_wait", Risk::Read, false),
            tool("notes_trap", Risk::Read, false),
        ])
    }

    async fn call(&self, _plugin: &PluginId, call: ToolCall) -> Result<ToolOutcome, ToolFailure> {
        self.calls.lock().unwrap().push((call.key.to_string(), call.arguments.clone()));
        match call.key.as_str() {
            "notes_wait" => {
                self.waiting.notify_one();
                call.cancel.cancelled().await;
                Err(ToolFailure::new("PLUGIN_CANCELLED", "the call was cancelled", Blame::Caller))
            }
            "notes_trap" => Err(ToolFailure::new("PLUGIN_TRAP", "the plugin broke off", Blame::Guest)),
            _ => Ok(ToolOutcome {
                content: json!({ "echo": call.arguments }),
                is_error: call.arguments["error"] == true,
                receipt: json!({ "cpu_us": 7 }),
            }),
        }
    }
}

#[async_trait]
impl PluginAdmin for Shelf {
    async fn install(&self, package: PackageAt) -> Result<Installed, AdminError> {
        let path = package.path;
        if !path.ends_with("diary") {
            let message = format!("{} has no plugin.toml", path.display());
            return Err(refusal("PLUGIN_PACKAGE_UNREADABLE", message));
        }
        let now = self.clock.now();
        let plugin = Plugin {
            id: PluginId::fixed("diary"),
            version: "0.1.0".to_owned(),
            digest: "cd".repeat(32),
            manifest: String::new(),
            tools: json!([]),
            status: PluginStatus::Active,
            last_error: String::new(),
            installed_at: now,
            updated_at: now,
        };
        self.plugins.lock().unwrap().push(plugin.clone());
        let warnings = vec!["it has no tools".to_owned()];
        Ok(Installed { view: self.view(plugin), diff: more(), warnings })
    }

    async fn list(&self) -> Result<Vec<PluginView>, AdminError> {
        let plugins = self.plugins.lock().unwrap().clone();
        Ok(plugins.into_iter().map(|plugin| self.view(plugin)).collect())
    }

    async fn show(&self, id: &PluginId) -> Result<PluginView, AdminError> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(refusal("SOMETHING_INSIDE", "/srv/secret: no such file"));
        }
        let plugins = self.plugins.lock().unwrap().clone();
        let plugin = plugins.into_iter().find(|plugin| plugin.id == *id).ok_or_else(|| unknown(id))?;
        Ok(self.view(plugin))
    }

    async fn upgrade(&self, id: &PluginId, package: PackageAt) -> Result<Upgraded, AdminError> {
        self.show(id).await?;
        let found = "ef".repeat(32);
        if package.digest.is_some_and(|wanted| wanted != found) {
            return Err(refusal("PLUGIN_OTHER_DIGEST", format!("this is sha256:{found}")));
        }
        Ok(Upgraded {
            generation: 2,
            version: "0.2.0".to_owned(),
            outcome: if package.is_agreed { "active" } else { "waiting" },
            waiting_digest: (!package.is_agreed).then_some(found),
            diff: Some(more()),
            warnings: vec![],
        })
    }

    async fn accept(&self, id: &PluginId, digest: Option<String>) -> Result<Upgraded, AdminError> {
        self.upgrade(id, PackageAt { digest, is_agreed: true, ..PackageAt::default() }).await
    }

    async fn decline(&self, id: &PluginId) -> Result<Upgraded, AdminError> {
        self.show(id).await?;
        Err(refusal("PLUGIN_NOTHING_WAITS", format!("no generation of the plugin `{id}` waits for consent")))
    }

    async fn rollback(&self, id: &PluginId, to: Option<i64>) -> Result<(), AdminError> {
        self.show(id).await?;
        match to {
            Some(1) | None => Ok(()),
            Some(_) => Err(refusal("PLUGIN_NO_EARLIER_GENERATION", "there is none")),
        }
    }

    async fn resume(&self, id: &PluginId) -> Result<(), AdminError> {
        self.set(id, PluginStatus::Active)
    }

    async fn check(&self, id: &PluginId) -> Result<Option<Result<(), AdminError>>, AdminError> {
        self.show(id).await?;
        Ok(None)
    }

    async fn generations(&self, id: &PluginId) -> Result<Vec<Generation>, AdminError> {
        let plugin = self.show(id).await?.plugin;
        Ok(vec![Generation {
            plugin: plugin.id,
            number: 1,
            origin: Origin::Install,
            digest: plugin.digest,
            version: plugin.version,
            manifest: plugin.manifest,
            provenance: Provenance::default(),
            tools: plugin.tools,
            state: GenerationState::Active,
            is_proven: true,
            failed_starts: 0,
            last_error: String::new(),
            created_at: plugin.installed_at,
            activated_at: Some(plugin.installed_at),
            retired_at: None,
        }])
    }

    async fn enable(&self, id: &PluginId) -> Result<(), AdminError> {
        self.set(id, PluginStatus::Active)
    }

    async fn disable(&self, id: &PluginId) -> Result<(), AdminError> {
        self.set(id, PluginStatus::Disabled)
    }

    async fn remove(&self, id: &PluginId, purge: bool) -> Result<PluginRemoved, AdminError> {
        let mut plugins = self.plugins.lock().unwrap();
        let known = plugins.len();
        plugins.retain(|plugin| plugin.id != *id);
        if plugins.len() == known {
            return Err(unknown(id));
        }
        let (kept_pairs, purged_pairs) = if purge { (0, 2) } else { (2, 0) };
        Ok(PluginRemoved { kept_pairs, purged_pairs })
    }

    async fn grant(&self, new: NewGrant) -> Result<Grant, AdminError> {
        if new.capability != "files" {
            return Err(refusal(
                "GRANT_CAPABILITY_UNKNOWN",
                format!("there is no capability `{}`", new.capability),
            ));
        }
        let mut grants = self.grants.lock().unwrap();
        let id = GrantId::from_uuid(Uuid::from_u128(grants.len() as u128 + 1));
        let grant = new.into_grant(id, self.clock.now());
        grants.push(grant.clone());
        Ok(grant)
    }

    async fn list_grants(&self, plugin: Option<&PluginId>) -> Result<Vec<Grant>, AdminError> {
        let grants = self.grants.lock().unwrap().clone();
        Ok(grants.into_iter().filter(|grant| plugin.is_none_or(|id| grant.plugin == *id)).collect())
    }

    async fn revoke(&self, id: GrantId) -> Result<Grant, AdminError> {
        let mut grants = self.grants.lock().unwrap();
        let grant = grants.iter_mut().find(|grant| grant.id == id);
        let grant = grant.ok_or_else(|| refusal("GRANT_NOT_FOUND", format!("there is no grant `{id}`")))?;
        grant.revoked_at.get_or_insert(self.clock.now());
        Ok(grant.clone())
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditRow>, AdminError> {
        let rows = self.audit.lock().unwrap();
        let is_meant = |row: &&AuditRow| {
            filter.plugin.as_ref().is_none_or(|id| row.plugin == *id)
                && filter.decision.is_none_or(|decision| row.decision == decision)
        };
        Ok(rows.iter().filter(is_meant).take(filter.limit as usize).cloned().collect())
    }

    async fn suggest(&self, id: &PluginId) -> Result<Suggestion, AdminError> {
        self.show(id).await?;
        let wish = Wish {
            capability: "files".to_owned(),
            scope: json!({ "guest": "/notes" }),
            reason: String::new(),
            is_required: true,
        };
        Ok(Suggestion { wishes: vec![wish], manifest: "[[capability]]\n".to_owned(), uses: 2 })
    }

    async fn logs(&self, id: &PluginId) -> Result<Vec<PluginLogLine>, AdminError> {
        self.show(id).await?;
        Ok(vec![PluginLogLine { level: "stdout".to_owned(), text: "hello".to_owned() }])
    }

    async fn health(&self) -> PluginHealth {
        let broken = self.is_broken.load(Ordering::Relaxed);
        PluginHealth {
            starting: self.is_starting.load(Ordering::Relaxed),
            allocator: "on_demand".to_owned(),
            installed: 1,
            ready: usize::from(!broken),
            failed: usize::from(broken),
            problem: None,
        }
    }
}
