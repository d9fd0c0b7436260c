//! The plugins as core's ToolRouter calls them.

use std::sync::Arc;

use async_trait::async_trait;
use berth_core::port::target::{PluginTarget, Progress, ToolCall};
use berth_model::tool::{Blame, ToolFailure, ToolOutcome, ToolSpec};
use berth_model::{Origin, PluginId};
use serde_json::Value;

use super::PluginHost;
use super::registry::LiveGrants;
use crate::call::ToolInvocation;
use crate::capability::context::CallContext;
use crate::capability::progress::ProgressSink;

#[async_trait]
impl PluginTarget for PluginHost {
    fn catalogue(&self) -> Arc<Vec<ToolSpec>> {
        self.registry.catalogue()
    }

    async fn call(&self, plugin: &PluginId, call: ToolCall) -> Result<ToolOutcome, ToolFailure> {
        let Some(loaded) = self.registry.lookup(plugin) else {
            return Err(ToolFailure::new(
                "PLUGIN_NOT_ACTIVE",
                format!("the plugin `{plugin}` is not active"),
                Blame::Operator,
            ));
        };
        if !self.registry.is_approved(&loaded) {
            return Err(ToolFailure::new(
                "PLUGIN_NOT_APPROVED",
                format!("nobody approved this build of `{plugin}`: `berth plugin enable {plugin}` does"),
                Blame::Operator,
            ));
        }
        call.progress.accepted();
        let grants = Arc::new(LiveGrants {
            registry: self.registry.clone(),
            plugin: loaded.clone(),
            workspace: call.workspace.clone(),
            origin: Origin::of(&call.actor),
            run: call.run,
            operation: call.operation,
            clock: self.parts.clock.clone(),
        });
        let invocation = ToolInvocation {
            tool: call.key.to_string(),
            arguments: call.arguments,
            context: CallContext {
                call: call.id,
                operation: call.operation,
                run: call.run,
                thread: call.thread,
                session: call.session,
                workspace: call.workspace,
                actor: call.actor,
                locale: String::new(),
                dry_run: false,
                idempotency_key: call.idempotency_key,
                meta: Vec::new(),
            },
            grants,
            progress: Arc::new(Told(call.progress)),
            services: self.parts.services.clone(),
            timeout: call.timeout,
            cancel: call.cancel,
        };
        let outcome = loaded.call(invocation).await.map_err(ToolFailure::from)?;
        Ok(ToolOutcome {
            content: outcome.content,
            is_error: outcome.is_error,
            receipt: serde_json::to_value(&outcome.receipt).unwrap_or(Value::Null),
        })
    }
}

struct Told(Arc<dyn Progress>);

#[async_trait]
impl ProgressSink for Told {
    fn report(&self, fraction: Option<f32>, message: &str) {
        self.0.report(fraction, message);
    }

    async fn partial(&self, bytes: Vec<u8>) {
        self.0.partial(bytes).await;
    }
}
