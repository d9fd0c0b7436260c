//! The settings of a case, checked with the schema of the plugin as a host does it.

use std::sync::Arc;

use berth_wasm::capability::config::{ConfigSource, Values, resolve};
use serde_json::Value;

/// Settings that were found to fit.
pub struct Settings(Values);

impl Settings {
    /// Fails with what is wrong with them.
    pub fn new(settings: &Value, schema: Option<&Value>) -> Result<Self, String> {
        resolve(settings, schema).map(|values| Self(Arc::new(values)))
    }
}

impl ConfigSource for Settings {
    fn values(&self, _: &str) -> Result<Values, String> {
        Ok(self.0.clone())
    }

    fn learn(&self, _: &str, _: Option<Value>) {}
}
