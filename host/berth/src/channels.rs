//! The channels of the plugin engine behind the routes.

use std::sync::Arc;

use async_trait::async_trait;
use berth_http::{
    AdminError, AdmittedHook, ChannelDoor, ChannelView, HookAnswer, HookError, HookRequest, PollView,
};
use berth_model::channel::ChannelEvent;
use berth_model::{EndpointId, PluginId};
use berth_wasm::actor::{Admitted, Channels, HookRefusal, endpoint_of};

use crate::admin::refused;

/// The way to the channels of a host.
pub struct Door(pub Arc<Channels>);

#[async_trait]
impl ChannelDoor for Door {
    fn admit(
        &self,
        plugin: &str,
        hook: &str,
        token: Option<&str>,
        method: &str,
    ) -> Result<Box<dyn AdmittedHook>, HookError> {
        let admitted = self.0.admit(plugin, hook, token, method).map_err(|refusal| told(&refusal))?;
        Ok(Box::new(LetIn(admitted)))
    }

    fn endpoint(&self, plugin: &PluginId) -> Option<EndpointId> {
        endpoint_of(plugin).ok()
    }

    async fn show(&self, plugin: &PluginId) -> Result<ChannelView, AdminError> {
        let view = self.0.view(plugin).ok_or_else(|| AdminError {
            code: HookRefusal::Away.code().to_owned(),
            message: format!("`{plugin}` is no channel that is at work"),
            retryable: true,
        })?;
        Ok(ChannelView {
            endpoint_id: view.endpoint.to_string(),
            hooks: view.hooks,
            residents: view.residents,
            waiting: view.waiting,
            polls: view.polls.into_iter().map(shown).collect(),
        })
    }

    async fn events(&self, plugin: &PluginId) -> Result<Vec<ChannelEvent>, AdminError> {
        self.0.events(plugin).await.map_err(|error| refused(&error))
    }

    async fn retry(&self, plugin: &PluginId, event: &str) -> Result<ChannelEvent, AdminError> {
        self.0.retry_event(plugin, event).await.map_err(|error| refused(&error))
    }

    async fn drop_event(&self, plugin: &PluginId, event: &str) -> Result<(), AdminError> {
        self.0.drop_event(plugin, event).await.map_err(|error| refused(&error))
    }
}

fn shown(poll: berth_wasm::actor::PollView) -> PollView {
    let berth_wasm::actor::PollView { name, failures, error, asked_at } = poll;
    PollView { name, failures, error, asked_at }
}

struct LetIn(Admitted);

#[async_trait]
impl AdmittedHook for LetIn {
    async fn answer(self: Box<Self>, request: HookRequest) -> Result<HookAnswer, HookError> {
        let HookRequest { method, query, headers, body } = request;
        let answer = self.0.answer(&method, &query, headers, body).await.map_err(|refusal| told(&refusal))?;
        Ok(HookAnswer {
            status: answer.status,
            content_type: answer.content_type,
            retry_after: answer.retry_after,
            body: answer.body,
        })
    }
}

fn told(refusal: &HookRefusal) -> HookError {
    let retry_after = match refusal {
        HookRefusal::TooMany { retry_after_seconds } => Some(*retry_after_seconds),
        _ => None,
    };
    HookError { code: refusal.code(), message: refusal.to_string(), retry_after }
}
