//! The plugins as core's ToolRouter calls them.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use berth_core::port::target::{ApprovalAnswered, PluginTarget, Progress, ToolCall};
use berth_model::generation::Verdict;
use berth_model::tool::{Blame, ToolFailure, ToolOutcome, ToolSpec};
use berth_model::{Origin, PluginId};
use serde_json::Value;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::PluginHost;
use super::flight::Flight;
use super::registry::LiveGrants;
use super::shelf::{Boarding, Live};
use crate::call::{Measured, Receipt, ToolInvocation};
use crate::capability::context::CallContext;
use crate::capability::progress::ProgressSink;
use crate::error::CallError;

#[async_trait]
impl PluginTarget for PluginHost {
    fn catalogue(&self) -> Arc<Vec<ToolSpec>> {
        self.registry.shelf.catalogue()
    }

    async fn call(&self, plugin: &PluginId, call: ToolCall) -> Result<ToolOutcome, ToolFailure> {
        let (live, boarded) = self.board(plugin, &call).await?;
        if !self.registry.is_approved(&live.plugin) {
            return Err(ToolFailure::new(
                "PLUGIN_NOT_APPROVED",
                format!("nobody approved this build of `{plugin}`: `berth plugin enable {plugin}` does"),
                Blame::Operator,
            ));
        }
        call.progress.accepted();
        let loaded = live.plugin;
        let grants = Arc::new(LiveGrants {
            registry: self.registry.clone(),
            plugin: loaded.clone(),
            workspace: call.workspace.clone(),
            origin: Origin::of(&call.actor),
            run: call.run,
            operation: call.operation,
            clock: self.parts.clock.clone(),
        });
        let cancel = call.cancel.child_token();
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
                locale: call.locale,
                dry_run: call.dry_run,
                idempotency_key: call.idempotency_key,
                meta: Vec::new(),
            },
            grants,
            progress: Arc::new(Told(call.progress)),
            services: self.parts.services.clone(),
            timeout: call.timeout,
            cancel: cancel.clone(),
        };
        let mut running = pin!(loaded.measured(invocation));
        let (ended, is_late) = tokio::select! {
            biased;
            ended = &mut running => (ended, false),
            () = live.flight.stopped() => {
                cancel.cancel();
                (running.await, true)
            }
        };
        let Measured { outcome, receipt } = ended;
        self.judge(plugin, &live.flight, outcome.as_ref().err());
        drop(boarded);
        let told = |receipt: &Receipt| serde_json::to_value(receipt).unwrap_or(Value::Null);
        let outcome = outcome.map_err(|error| {
            let failure = match error {
                CallError::Cancelled if is_late && !call.cancel.is_cancelled() => replaced(plugin),
                error => error.into(),
            };
            ToolFailure { receipt: receipt.as_ref().map(|receipt| Box::new(told(receipt))), ..failure }
        })?;
        Ok(ToolOutcome {
            content: outcome.content,
            is_error: outcome.is_error,
            receipt: told(&outcome.receipt),
        })
    }

    async fn grants_changed(&self) {
        let read = async {
            let mut tx = self.parts.store.read().await?;
            tx.list_grants(None).await
        };
        match read.await {
            Ok(grants) => self.registry.set_grants(grants),
            // The next change of grants brings it; until then the call is denied.
            Err(error) => tracing::warn!(%error, "the grants could not be looked at again"),
        }
    }

    fn approval_answered(&self, answered: ApprovalAnswered) {
        self.approvals.tell(answered);
    }
}

impl PluginHost {
    /// Takes a place in the generation that takes calls; waits for one that is being loaded.
    async fn board(
        &self,
        plugin: &PluginId,
        call: &ToolCall,
    ) -> Result<(Live, TaskTrackerToken), ToolFailure> {
        loop {
            let mut loading = match self.registry.shelf.board(plugin) {
                Boarding::Ready(live, boarded) => return Ok((live, boarded)),
                Boarding::Loading(done) => done,
                Boarding::Nothing => {
                    let message = format!("the plugin `{plugin}` is not active");
                    return Err(ToolFailure::new("PLUGIN_NOT_ACTIVE", message, Blame::Operator));
                }
            };
            tokio::select! {
                biased;
                // An error is the end of the load.
                _ = loading.changed() => {}
                () = call.cancel.cancelled() => return Err(CallError::Cancelled.into()),
                () = tokio::time::sleep(call.timeout) => {
                    let message = format!("the plugin `{plugin}` is still being loaded");
                    return Err(ToolFailure::new("PLUGIN_NOT_ACTIVE", message, Blame::Host).retryable());
                }
            }
        }
    }

    /// Takes in how a call of a new generation ended, and acts when that is enough to judge it.
    fn judge(&self, plugin: &PluginId, flight: &Flight, error: Option<&CallError>) {
        let verdict = flight.record(error.is_some_and(CallError::is_fault));
        if verdict == Verdict::Watching {
            return;
        }
        let Ok(host) = self.strong() else { return };
        let (id, number) = (plugin.clone(), flight.number);
        let last = error.map(|error| format!("{}: {error}", error.code())).unwrap_or_default();
        self.tasks.spawn(async move {
            if let Verdict::Bad { calls, failures } = verdict {
                let why = format!("{failures} of its first {calls} calls failed, at last with {last}");
                host.give_up(&id, number, &why).await;
            } else if let Err(error) = host.prove(&id, number).await {
                tracing::warn!(plugin.id = %id, %error, "that the plugin works could not be stored");
            }
        });
    }
}

fn replaced(plugin: &PluginId) -> ToolFailure {
    let message =
        format!("the plugin `{plugin}` was replaced or switched off, and the call had no time left");
    ToolFailure::new("PLUGIN_REPLACED", message, Blame::Operator).retryable()
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
