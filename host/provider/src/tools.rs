//! Capabilities with the code that serves them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::call::{Answer, CallContext, CallError, Handler};
use crate::capability::Capability;

/// The tools of a provider, sorted by key.
#[derive(Clone, Default)]
pub struct Tools {
    by_key: BTreeMap<String, Arc<Tool>>,
}

pub(crate) struct Tool {
    pub capability: Capability,
    pub handler: Arc<dyn Handler>,
    /// One call at a time of a tool that is not parallel.
    pub turn: Arc<tokio::sync::Semaphore>,
}

impl Tools {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool; one with the same key is replaced.
    #[must_use]
    pub fn with(mut self, capability: Capability, handler: impl Handler) -> Self {
        self.add(capability, Arc::new(handler));
        self
    }

    pub fn add(&mut self, capability: Capability, handler: Arc<dyn Handler>) {
        let turn = Arc::new(tokio::sync::Semaphore::new(1));
        let key = capability.tool_key.clone();
        self.by_key.insert(key, Arc::new(Tool { capability, handler, turn }));
    }

    /// Adds the tools of `other`.
    pub fn extend(&mut self, other: Self) {
        self.by_key.extend(other.by_key);
    }

    /// Keeps the tools whose key passes.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.by_key.retain(|key, _| keep(key));
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(String::as_str)
    }

    /// Calls a tool without a Core: no limit of time, no queue.
    pub async fn call(&self, tool_key: &str, arguments: Value) -> Answer {
        let tool = self.get(tool_key)?;
        let Value::Object(arguments) = arguments else {
            return Err(CallError::invalid_arguments("the arguments are no object"));
        };
        tool.handler.call(CallContext::local(tool_key, arguments)).await
    }

    pub(crate) fn get(&self, tool_key: &str) -> Result<&Arc<Tool>, CallError> {
        self.by_key.get(tool_key).ok_or_else(|| {
            CallError::new("capability_not_found", format!("this endpoint has no tool `{tool_key}`"))
        })
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Tool> {
        self.by_key.values().map(Arc::as_ref)
    }
}
