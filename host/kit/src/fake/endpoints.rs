//! Endpoints that are connected.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use berth_wasm::capability::CapabilityError;
use berth_wasm::capability::context::CallContext;
use berth_wasm::capability::endpoint::{EndpointCaller, EndpointInfo};
use berth_wasm::capability::surroundings::{Surroundings as _, Waiter};
use berth_wasm::manifest::json;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Failures, Uses, lock};
use crate::matching;
use crate::report::Failure;
use crate::story::{EndpointFault, EndpointFile};
use crate::time::Time;

/// Longer than any call takes.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Endpoints with the tools of a story.
pub struct Endpoints {
    calls: Mutex<Vec<Uses<EndpointFile>>>,
    failures: Failures,
    time: Arc<Time>,
}

impl Endpoints {
    pub fn new(files: Vec<EndpointFile>, failures: Failures, time: Arc<Time>) -> Self {
        Self { calls: Uses::of(files), failures, time }
    }

    /// Calls that did not come as often as they should.
    pub fn unused(&self) -> Vec<Failure> {
        let calls = lock(&self.calls);
        let is_open = |uses: &&Uses<EndpointFile>| {
            let is_away = uses.file.fault == Some(EndpointFault::Offline);
            !uses.file.optional && !is_away && uses.used < uses.file.times
        };
        let unused = calls.iter().filter(is_open);
        unused
            .map(|uses| {
                Failure::new(format!("{} of {} was not called", uses.file.tool, uses.file.endpoint))
                    .with(format!("{} times", uses.file.times), format!("{} times", uses.used))
            })
            .collect()
    }
}

fn fits(file: &EndpointFile, arguments: &Value) -> bool {
    file.args.as_ref().is_none_or(|wanted| {
        matching::difference(&json(toml::Value::Table(wanted.clone())), arguments).is_none()
    })
}

#[async_trait]
impl EndpointCaller for Endpoints {
    async fn list(&self, tool_key: &str, _: &CallContext) -> Result<Vec<EndpointInfo>, CapabilityError> {
        let mut found: Vec<EndpointInfo> = Vec::new();
        for uses in lock(&self.calls).iter().filter(|uses| uses.file.tool == tool_key) {
            let file = &uses.file;
            if !found.iter().any(|known| known.endpoint_id == file.endpoint) {
                found.push(EndpointInfo {
                    endpoint_id: file.endpoint.clone(),
                    provider_type: file.provider.clone(),
                    display_name: file.endpoint.clone(),
                    online: file.fault != Some(EndpointFault::Offline),
                });
            }
        }
        Ok(found)
    }

    async fn call(
        &self,
        endpoint: &EndpointInfo,
        tool_key: &str,
        arguments: Value,
        _: &CallContext,
        cancel: &CancellationToken,
    ) -> Result<Value, CapabilityError> {
        self.time.moved();
        let file = self.take(endpoint, tool_key, &arguments)?;
        match file.fault {
            Some(EndpointFault::GoneAfterAccept) => {
                let message = format!("{} left during the call", endpoint.endpoint_id);
                return Err(CapabilityError {
                    retryable: true,
                    ..CapabilityError::new("ENDPOINT_GONE", message)
                });
            }
            Some(EndpointFault::TimeoutAfterAccept) => tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    return Err(CapabilityError::new("cancelled", "the call was cancelled"));
                }
                // The call ends before this.
                () = self.time.until(self.time.monotonic() + SILENCE, Waiter::Guest) => {}
            },
            Some(EndpointFault::Offline) | None => {}
        }
        match (&file.error, file.result) {
            (Some(error), _) => Err(error.error()),
            (None, result) => Ok(result.map_or(Value::Null, json)),
        }
    }
}

impl Endpoints {
    fn take(
        &self,
        endpoint: &EndpointInfo,
        tool_key: &str,
        arguments: &Value,
    ) -> Result<EndpointFile, CapabilityError> {
        let mut calls = lock(&self.calls);
        let found = calls.iter_mut().find(|uses| {
            uses.used < uses.file.times
                && uses.file.tool == tool_key
                && uses.file.endpoint == endpoint.endpoint_id
                && fits(&uses.file, arguments)
        });
        let Some(uses) = found else {
            drop(calls);
            self.failures.add(
                Failure::new(format!(
                    "nobody expects {tool_key} at {} with {}",
                    endpoint.endpoint_id,
                    matching::shown(arguments)
                ))
                .hint(format!(
                    "[[case.endpoint]]\ntool = \"{tool_key}\"\nendpoint = \"{}\"\nresult = {{}}",
                    endpoint.endpoint_id
                )),
            );
            return Err(CapabilityError::new("KIT_UNSCRIPTED", "the story has no answer to this"));
        };
        uses.used += 1;
        Ok(uses.file.clone())
    }
}
