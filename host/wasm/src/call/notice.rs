//! Tells a plugin that one of its calls was cancelled: the call itself cannot hear it while it waits, and what it has begun
//! elsewhere goes on without it.
//!
//! The optional export `tool-cancel` is asked in an instance of its own, beside the call that is being ended, for as long
//! as that one has to return. Plugins without it pay nothing.

use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::ToolInvocation;
use super::extra::Extra;
use super::resident::{Question, Resident};
use super::run::Work;
use crate::capability::context::CallContext;
use crate::capability::grants::GrantSource;
use crate::capability::progress::NoProgress;
use crate::capability::services::Services;
use crate::error::CallError;
use crate::limits;
use crate::plugin::Loaded;

/// What the notice of a call needs; only calls of plugins that want one have it.
pub(super) struct Notice {
    plugin: Arc<Loaded>,
    context: CallContext,
    grants: Arc<dyn GrantSource>,
    services: Services,
    cancel: CancellationToken,
}

impl Notice {
    pub fn of(plugin: &Arc<Loaded>, invocation: &ToolInvocation, work: &Work) -> Option<Self> {
        let is_call = !matches!(work, Work::Describe { .. });
        (is_call && plugin.extras.cancels()).then(|| Self {
            plugin: plugin.clone(),
            context: invocation.context.clone(),
            grants: invocation.grants.clone(),
            services: invocation.services.clone(),
            cancel: invocation.cancel.clone(),
        })
    }

    /// Runs `call` to its end; once it is cancelled, tells the plugin in the time that `call` has to return.
    pub async fn beside<T>(self, mut call: Pin<&mut impl Future<Output = T>>) -> T {
        tokio::select! {
            // One that returns because it was cancelled is told all the same.
            biased;
            () = self.cancel.cancelled() => {}
            ended = &mut call => return ended,
        }
        let told = async {
            match tokio::time::timeout(limits::CANCEL_GRACE, Box::pin(self.tell())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(plugin.id = %self.plugin.id, %error, "a plugin could not be told of a cancelled call");
                }
                Err(_) => {
                    tracing::warn!(plugin.id = %self.plugin.id, "a plugin took too long over a cancelled call")
                }
            }
        };
        tokio::join!(call, told).0
    }

    async fn tell(&self) -> Result<(), CallError> {
        let _places = self.plugin.places()?;
        let resident = Resident::open(self.plugin.clone(), self.invocation()).await?;
        let cancelled = Extra::Cancelled(self.context.call.to_string());
        resident.ask(Question::Extra(cancelled), self.invocation()).await.1?;
        Ok(())
    }

    /// With the grants of the call.
    fn invocation(&self) -> ToolInvocation {
        ToolInvocation {
            tool: "tool-cancel".to_owned(),
            arguments: serde_json::Value::Null,
            context: self.context.clone(),
            grants: self.grants.clone(),
            progress: Arc::new(NoProgress),
            services: self.services.clone(),
            timeout: limits::CANCEL_GRACE,
            cancel: CancellationToken::new(),
        }
    }
}
