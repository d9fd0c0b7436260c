//! Settings that the operator wrote for this plugin. Needs no grant.
//!
//! They are checked against the schema that `[config]` of the manifest names, whose defaults count.
//!
//! ```
//! use berth_plugin::{config, testing};
//!
//! testing::host(|host| host.settings.insert("endpoint".into(), "https://search.example".into()));
//! assert_eq!(config::get("endpoint")?.as_deref(), Some("https://search.example"));
//! assert_eq!(config::get("colour")?, None);
//! # Ok::<(), berth_plugin::Error>(())
//! ```

#[cfg(not(target_family = "wasm"))]
use crate::testing::standards as host;

use crate::{Error, Value};

/// The setting `key`; a table's fields are `table.field`, a list is JSON.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    host::setting(key)
}

/// The setting `key` as JSON, text as it is when it is none. Fails as [`get`] does.
pub fn json(key: &str) -> Result<Option<Value>, Error> {
    Ok(get(key)?.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

#[cfg(target_family = "wasm")]
mod host {
    use crate::Error;
    use crate::bindings::standards::wasi::config::store;

    pub fn setting(key: &str) -> Result<Option<String>, Error> {
        store::get(key).map_err(|error| {
            let (store::Error::Upstream(text) | store::Error::Io(text)) = error;
            Error::new("CONFIG_UNAVAILABLE", text).retryable()
        })
    }
}
