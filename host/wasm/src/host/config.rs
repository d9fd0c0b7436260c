//! The settings of plugins in the configuration of the host.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use serde_json::Value;

use crate::capability::config::{ConfigSource, Values, resolve};

/// The settings as the operator wrote them, by plugin; read once for each schema.
#[derive(Default)]
pub struct OperatorConfig {
    settings: BTreeMap<String, Value>,
    resolved: RwLock<HashMap<String, Result<Values, String>>>,
}

impl OperatorConfig {
    /// Settings by plugin id, each a JSON object.
    pub fn new(settings: BTreeMap<String, Value>) -> Self {
        Self { settings, resolved: RwLock::default() }
    }

    fn resolve(&self, plugin: &str, schema: Option<&Value>) -> Result<Values, String> {
        let settings = self.settings.get(plugin).unwrap_or(&Value::Null);
        resolve(settings, schema)
            .map(Arc::new)
            .map_err(|message| format!("[plugin.{plugin}.config] of berth.toml is not right: {message}"))
    }
}

impl ConfigSource for OperatorConfig {
    fn values(&self, plugin: &str) -> Result<Values, String> {
        let resolved = self.resolved.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        match resolved.get(plugin) {
            Some(known) => known.clone(),
            None => self.resolve(plugin, None),
        }
    }

    fn learn(&self, plugin: &str, schema: Option<Value>) {
        let values = self.resolve(plugin, schema.as_ref());
        if let Err(message) = &values {
            tracing::warn!(plugin.id = plugin, "{message}");
        }
        let mut resolved = self.resolved.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        resolved.insert(plugin.to_owned(), values);
    }
}
