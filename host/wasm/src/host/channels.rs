//! What the runtime of channels needs of the host.

use std::sync::Arc;

use berth_model::{OperationId, Origin, PluginId, WorkspaceId};
use tokio::sync::watch;

use super::registry::LiveGrants;
use super::{HostError, HostParts, PluginHost};
use crate::capability::grants::GrantSource;
use crate::manifest::Kind;
use crate::plugin::LoadedPlugin;

impl PluginHost {
    pub(crate) fn parts(&self) -> &HostParts {
        &self.parts
    }

    /// Tells each change of what is loaded or granted.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.registry.shelf.changes()
    }

    /// The loaded plugins that are channels.
    pub(crate) fn loaded_channels(&self) -> Vec<(PluginId, LoadedPlugin)> {
        let mut loaded = self.registry.shelf.all();
        loaded
            .retain(|(_, plugin)| plugin.manifest().kind == Kind::Channel && plugin.inner.channel.is_some());
        loaded
    }

    /// The grants of a plugin as they change, for its own upkeep: nobody is there to be asked.
    pub(crate) fn live_grants(
        &self,
        plugin: &LoadedPlugin,
        workspace: &WorkspaceId,
        operation: OperationId,
    ) -> Arc<dyn GrantSource> {
        Arc::new(LiveGrants {
            registry: self.registry.clone(),
            plugin: plugin.clone(),
            workspace: workspace.clone(),
            origin: Origin::Schedule,
            run: None,
            operation,
            clock: self.parts.clock.clone(),
        })
    }

    /// Quarantines a channel that broke off too often, whatever generation it is of.
    pub(crate) async fn leave_alone(&self, id: &PluginId, why: &str) -> Result<(), HostError> {
        let _turn = self.turn(id).await;
        let Some(number) = self.registry.shelf.number(id) else { return Ok(()) };
        tracing::error!(plugin.id = %id, why, "a channel is quarantined");
        self.quarantine(id, number, why).await
    }
}
