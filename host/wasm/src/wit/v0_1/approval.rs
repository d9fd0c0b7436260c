//! Questions to the owner.

use super::{WitError, wit};
use crate::call::state::PluginState;
use crate::capability::approvals::{OwnQuestion, WANTED};
use crate::capability::{Capability, CapabilityError};

impl wit::approval::Host for PluginState {
    async fn ask(
        &mut self,
        title: String,
        risk: String,
        details: String,
    ) -> wasmtime::Result<Result<String, WitError>> {
        self.count_host_call();
        let asked = self.ask_the_owner(&title, &risk, &details).await;
        Ok(asked.map_err(WitError::from))
    }
}

impl PluginState {
    async fn ask_the_owner(
        &mut self,
        title: &str,
        risk: &str,
        details: &str,
    ) -> Result<String, CapabilityError> {
        let question = OwnQuestion::new(title, risk, details)?;
        self.authorize(Capability::Approval, WANTED.clone(), |_| true).await?;
        let _counted = self.throttled(Capability::Approval, |_| true)?;
        let (desk, context, cancel) =
            (self.services().approvals.clone(), self.call_context().clone(), self.cancel().clone());
        let plugin = self.grants().plugin().to_owned();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled()),
            asked = desk.ask_own(&plugin, question, &context) => Ok(asked?.to_string()),
        }
    }
}
