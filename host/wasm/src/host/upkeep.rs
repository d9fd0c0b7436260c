//! What the host asks of a plugin by itself, where the plugin has the export for it: whether it is well, what is new, and
//! to take over what another version has stored.

use std::time::Duration;

use berth_model::generation::{Generation, Origin as Made};
use berth_model::plugin::Consent;
use berth_model::{OperationId, PluginId, WorkspaceId};
use serde_json::Value;

use super::{HostError, OWNER, PluginHost};
use crate::call::ToolInvocation;
use crate::call::extra::{Extra, Said};
use crate::capability::context::CallContext;
use crate::error::CallError;
use crate::plugin::LoadedPlugin;

/// How long a plugin may take to say how it is, or what is new.
const LOOK: Duration = Duration::from_secs(10);
/// The workspace in which the host asks.
const WORKSPACE: &str = "personal";
/// The longest sentence of a plugin that is kept, in characters.
const MAX_SENTENCE: usize = 500;

/// How a plugin says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Well,
    /// It could not do its work now, with a code and the reason.
    Ill {
        code: String,
        message: String,
    },
    /// It has no say in it.
    Unknown,
}

impl PluginHost {
    /// Asks a plugin whether it could do its work now. Runs guest code, for 10 s at most.
    ///
    /// Fails with `PLUGIN_NOT_FOUND` for one that is not installed, and with `PLUGIN_NOT_ACTIVE` for one that takes no
    /// calls.
    pub async fn check(&self, id: &PluginId) -> Result<Health, HostError> {
        let Some(loaded) = self.registry.shelf.lookup(id) else {
            self.row(id).await?;
            return Err(HostError::NotActive { id: id.to_string() });
        };
        Ok(self.health_of(&loaded).await)
    }

    pub(crate) async fn health_of(&self, loaded: &LoadedPlugin) -> Health {
        if !loaded.inner.extras.checks() {
            return Health::Unknown;
        }
        let ill = |code: &str, message: &str| Health::Ill {
            code: code.to_owned(),
            message: message.chars().filter(|c| !c.is_control()).take(MAX_SENTENCE).collect(),
        };
        match self.ask(loaded, Extra::Check, LOOK).await {
            Ok(Said::Done) => Health::Well,
            Ok(_) => Health::Unknown,
            Err(CallError::Tool { failure }) => ill(&failure.code, &failure.message),
            Err(error) => ill(error.code(), &error.to_string()),
        }
    }

    /// The plugins that take calls and want to be asked from time to time.
    pub(crate) fn with_pulse(&self) -> Vec<(PluginId, LoadedPlugin)> {
        let mut loaded = self.registry.shelf.all();
        loaded.retain(|(_, plugin)| plugin.inner.extras.has_pulse());
        loaded
    }

    /// What a plugin finds notable since then, in milliseconds of the Unix epoch; `None` when all is quiet.
    pub(crate) async fn pulse_of(
        &self,
        loaded: &LoadedPlugin,
        since_ms: u64,
    ) -> Result<Option<String>, CallError> {
        match self.ask(loaded, Extra::Pulse(since_ms), LOOK).await? {
            Said::Notable(sentence) => {
                let clean: String = sentence.chars().filter(|c| !c.is_control()).take(MAX_SENTENCE).collect();
                Ok(Some(clean).filter(|sentence| !sentence.trim().is_empty()))
            }
            _ => Ok(None),
        }
    }

    /// Has the next version of a plugin take over what the one in place has stored, before calls go to it.
    ///
    /// Fails with `PLUGIN_UPGRADE_FAILED`, whereupon the one in place stays.
    pub(super) async fn upgraded(
        &self,
        generation: &Generation,
        loaded: &LoadedPlugin,
    ) -> Result<(), HostError> {
        if generation.origin != Made::Upgrade || !loaded.inner.extras.upgrades() {
            return Ok(());
        }
        let before = self.row(&generation.plugin).await?;
        if before.digest == generation.digest {
            return Ok(());
        }
        // The operator has agreed to this build; it counts for good when it is in place.
        let was_approved = self.registry.is_approved(loaded);
        self.registry.add_consent(Consent {
            plugin: generation.plugin.clone(),
            digest: generation.digest.clone(),
            given_by: OWNER.to_owned(),
            given_at: self.parts.clock.now(),
        });
        let asked = self.ask(loaded, Extra::Upgrade(before.version.clone()), Duration::MAX).await;
        if !was_approved {
            self.registry.end_consent(&generation.plugin, &generation.digest);
        }
        let Err(error) = asked else { return Ok(()) };
        Err(HostError::Upgrade { from: before.version, message: format!("{}: {error}", error.code()) })
    }

    async fn ask(&self, loaded: &LoadedPlugin, extra: Extra, timeout: Duration) -> Result<Said, CallError> {
        let workspace = WorkspaceId::fixed(WORKSPACE);
        let operation = OperationId::from_uuid(self.parts.ids.uuid());
        let grants = self.live_grants(loaded, &workspace, operation);
        let invocation = || {
            let context =
                CallContext { workspace: workspace.clone(), operation, dry_run: false, ..self.own_context() };
            ToolInvocation {
                grants: grants.clone(),
                services: self.parts.services.clone(),
                timeout,
                ..ToolInvocation::new("upkeep", Value::Null, context)
            }
        };
        loaded.ask_extra(extra, invocation).await
    }
}
