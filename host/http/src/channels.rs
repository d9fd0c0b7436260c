//! Channels, as the facade needs them. The binary implements it over the plugin engine: this crate knows none.

use async_trait::async_trait;
use berth_model::channel::ChannelEvent;
use berth_model::{EndpointId, PluginId, Timestamp};

use crate::admin::AdminError;

/// The way to the channels of the host.
#[async_trait]
pub trait ChannelDoor: Send + Sync {
    /// Lets a request to a web address in before its body is read.
    ///
    /// Fails with `http_404` for whatever is wrong with path, token or method, all alike.
    fn admit(
        &self,
        plugin: &str,
        hook: &str,
        token: Option<&str>,
        method: &str,
    ) -> Result<Box<dyn AdmittedHook>, HookError>;

    /// Under which core knows the channel of a plugin, at work or not.
    fn endpoint(&self, plugin: &PluginId) -> Option<EndpointId>;

    /// How a channel stands; fails with `CHANNEL_AWAY` when it is not at work.
    async fn show(&self, plugin: &PluginId) -> Result<ChannelView, AdminError>;

    /// Events that wait or are parked, oldest first.
    async fn events(&self, plugin: &PluginId) -> Result<Vec<ChannelEvent>, AdminError>;

    /// Fails with `CHANNEL_EVENT_NOT_FOUND`.
    async fn retry(&self, plugin: &PluginId, event: &str) -> Result<ChannelEvent, AdminError>;

    /// Fails with `CHANNEL_EVENT_NOT_FOUND`.
    async fn drop_event(&self, plugin: &PluginId, event: &str) -> Result<(), AdminError>;
}

/// A request that was let in.
#[async_trait]
pub trait AdmittedHook: Send {
    /// Hands it to the channel and waits for the answer.
    async fn answer(self: Box<Self>, request: HookRequest) -> Result<HookAnswer, HookError>;
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRequest {
    pub method: String,
    /// As it stands behind the `?`.
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookAnswer {
    pub status: u16,
    pub content_type: String,
    /// In seconds.
    pub retry_after: Option<u32>,
    pub body: Vec<u8>,
}

/// Why a request has no answer of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookError {
    pub code: &'static str,
    pub message: String,
    /// In seconds.
    pub retry_after: Option<u32>,
}

/// A channel at work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelView {
    pub endpoint_id: String,
    /// Names and paths.
    pub hooks: Vec<(String, String)>,
    pub residents: usize,
    pub waiting: usize,
    /// By name.
    pub polls: Vec<PollView>,
}

/// A request that the host makes again and again for a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollView {
    pub name: String,
    /// Failures since the last answer that was taken.
    pub failures: u32,
    /// What went wrong last; empty when nothing did.
    pub error: String,
    pub asked_at: Option<Timestamp>,
}

/// A host without channels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoChannels;

#[async_trait]
impl ChannelDoor for NoChannels {
    fn admit(&self, _: &str, _: &str, _: Option<&str>, _: &str) -> Result<Box<dyn AdmittedHook>, HookError> {
        Err(HookError { code: "http_404", message: String::new(), retry_after: None })
    }

    fn endpoint(&self, _: &PluginId) -> Option<EndpointId> {
        None
    }

    async fn show(&self, plugin: &PluginId) -> Result<ChannelView, AdminError> {
        Err(away(plugin))
    }

    async fn events(&self, _: &PluginId) -> Result<Vec<ChannelEvent>, AdminError> {
        Ok(Vec::new())
    }

    async fn retry(&self, plugin: &PluginId, _: &str) -> Result<ChannelEvent, AdminError> {
        Err(away(plugin))
    }

    async fn drop_event(&self, plugin: &PluginId, _: &str) -> Result<(), AdminError> {
        Err(away(plugin))
    }
}

fn away(plugin: &PluginId) -> AdminError {
    AdminError {
        code: "CHANNEL_AWAY".to_owned(),
        message: format!("`{plugin}` is no channel that is at work"),
        retryable: true,
    }
}
