//! What the operator allowed.

use super::wit;
use crate::call::state::PluginState;
use crate::capability::Capability;

impl wit::capabilities::Host for PluginState {
    fn granted(&mut self) -> wasmtime::Result<Vec<String>> {
        self.count_host_call();
        Ok(self.grants().granted().into_iter().map(str::to_owned).collect())
    }

    fn check(&mut self, name: String, scope: String) -> wasmtime::Result<bool> {
        self.count_host_call();
        let Some(capability) = Capability::lookup(&name) else { return Ok(false) };
        let Ok(wanted) = serde_json::from_str::<serde_json::Value>(&scope) else { return Ok(false) };
        Ok(crate::capability::granted_scope(&self.grants(), capability, &wanted))
    }
}
