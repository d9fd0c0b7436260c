//! The call that is being served.

use super::wit;
use crate::call::state::PluginState;

impl wit::call::Host for PluginState {
    fn context(&mut self) -> wasmtime::Result<wit::call::CallContext> {
        self.count_host_call();
        let context = self.call_context();
        Ok(wit::call::CallContext {
            call_id: context.call.to_string(),
            run_id: context.run.map(|id| id.to_string()).unwrap_or_default(),
            thread_id: context.thread.map(|id| id.to_string()).unwrap_or_default(),
            workspace_id: context.workspace.to_string(),
            actor_id: context.actor.to_string(),
            locale: context.locale.clone(),
            deadline_ms: self.deadline_ms(),
            dry_run: context.dry_run,
            idempotency_key: context.idempotency_key.clone(),
            meta: context.meta.clone(),
        })
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        self.count_host_call();
        Ok(self.cancel().is_cancelled())
    }

    fn remaining_ms(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call();
        Ok(self.left_ms())
    }
}
