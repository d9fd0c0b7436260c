//! What every route shares.

use std::sync::{Arc, OnceLock};

use berth_core::Core;
use berth_core::port::ids::Ids;
use tokio::sync::Semaphore;

use crate::admin::PluginAdmin;
use crate::channels::{ChannelDoor, NoChannels};
use crate::config::HttpConfig;
use crate::secrets::SecretAdmin;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct HttpState(Arc<Inner>);

struct Inner {
    core: Core,
    plugins: Arc<dyn PluginAdmin>,
    secrets: Arc<dyn SecretAdmin>,
    ids: Arc<dyn Ids>,
    channels: OnceLock<Arc<dyn ChannelDoor>>,
    streams: Arc<Semaphore>,
    config: HttpConfig,
}

impl HttpState {
    pub fn new(
        core: Core,
        plugins: Arc<dyn PluginAdmin>,
        secrets: Arc<dyn SecretAdmin>,
        ids: Arc<dyn Ids>,
        config: HttpConfig,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(config.max_event_streams));
        Self(Arc::new(Inner { core, plugins, secrets, ids, channels: OnceLock::new(), streams, config }))
    }

    /// Opens the web addresses of channels. Once; without it there are none.
    #[must_use]
    pub fn with_channels(self, channels: Arc<dyn ChannelDoor>) -> Self {
        if self.0.channels.set(channels).is_err() {
            tracing::warn!("the web addresses of channels were opened already");
        }
        self
    }

    pub(crate) fn channels(&self) -> &dyn ChannelDoor {
        self.0.channels.get().map_or(&NoChannels, |channels| &**channels)
    }

    pub(crate) fn core(&self) -> &Core {
        &self.0.core
    }

    pub(crate) fn plugins(&self) -> &dyn PluginAdmin {
        &*self.0.plugins
    }

    pub(crate) fn secrets(&self) -> &dyn SecretAdmin {
        &*self.0.secrets
    }

    pub(crate) fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    pub(crate) fn streams(&self) -> &Arc<Semaphore> {
        &self.0.streams
    }

    /// `<prefix>_` and 32 hex digits.
    pub(crate) fn new_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}", self.0.ids.uuid().simple())
    }
}
