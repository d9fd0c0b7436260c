//! One tool call, as the code that serves it sees it.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use berth_proto::JsonMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::writer::Progress;

/// What a handler answers: a JSON object, or a failure with its code.
pub type Answer = Result<Value, CallError>;

/// Why a call failed, in words that reach Core unchanged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// A stable word of `docs/errors.md`.
    pub code: &'static str,
    pub message: String,
    /// The same call may succeed later.
    pub retryable: bool,
    /// Facts for programs; null when there are none.
    pub details: Value,
}

impl CallError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retryable: false, details: Value::Null }
    }

    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// The arguments do not fit the capability.
    pub fn invalid_arguments(message: impl Into<String>) -> Self {
        Self::new("invalid_arguments", message)
    }

    /// The call was cut off, by Core or by the end of this provider.
    pub fn cancelled() -> Self {
        Self::new("tool_call_cancelled", "the call was cancelled")
    }
}

/// Serves one capability.
///
/// A call is cancelled by dropping its future, so whatever must be undone then belongs into a `Drop`. Work on another
/// thread outlives that: it looks at [`CallContext::cancelled`]. Functions from [`CallContext`] to [`Answer`] are handlers.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    async fn call(&self, call: CallContext) -> Answer;
}

#[async_trait]
impl<F, R> Handler for F
where
    F: Fn(CallContext) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send,
{
    async fn call(&self, call: CallContext) -> Answer {
        self(call).await
    }
}

/// What is known of a call while it runs.
#[derive(Debug, Clone)]
pub struct CallContext {
    pub call_id: String,
    /// The same for every attempt at the same work; empty when Core gave none.
    pub operation_id: String,
    pub tool_key: String,
    pub workspace_id: String,
    /// Who asked; empty when Core does not say.
    pub actor_id: String,
    pub run_id: String,
    pub arguments: JsonMap,
    /// How long the call may take, from its start.
    pub timeout: Duration,
    /// The arguments came encrypted.
    pub(crate) sealed: bool,
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: Progress,
}

impl CallContext {
    /// A call that no Core made: for tests, and to try a capability by hand.
    pub fn local(tool_key: &str, arguments: JsonMap) -> Self {
        Self {
            call_id: "call_local".to_owned(),
            operation_id: String::new(),
            tool_key: tool_key.to_owned(),
            workspace_id: String::new(),
            actor_id: String::new(),
            run_id: String::new(),
            arguments,
            timeout: Duration::from_secs(30),
            sealed: false,
            cancel: CancellationToken::new(),
            progress: Progress::silent(),
        }
    }

    /// Reads the arguments as `T`, or refuses them with `invalid_arguments`, naming the field.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_path_to_error::deserialize(&self.arguments).map_err(|error| {
            if self.sealed {
                // Serde repeats keys and values, which nobody but the two ends shall see.
                return CallError::invalid_arguments("the encrypted arguments do not fit this tool");
            }
            let path = error.path().to_string();
            // Serde names a missing or unknown field itself; a value of the wrong kind it does not.
            let message = if path == "." || error.inner().to_string().contains(&format!("`{path}`")) {
                error.into_inner().to_string()
            } else {
                format!("`{path}`: {}", error.into_inner())
            };
            CallError::invalid_arguments(message)
        })
    }

    /// Tells Core how far the call is. Only informative: dropped when the connection is behind.
    pub fn progress(&self, phase: &str, detail: &str) {
        self.progress.report(phase, detail);
    }

    /// Cancelled once the call has ended or shall end.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        #[expect(dead_code, reason = "only whether it can be read counts")]
        pin: u8,
    }

    #[test]
    fn refused_arguments_name_the_field() {
        for (arguments, named) in [
            (json!({}), "missing field `pin`"),
            (json!({ "pin": 17, "pins": 3 }), "unknown field `pins`, expected `pin`"),
            (json!({ "pin": "x" }), "`pin`: invalid type: string \"x\", expected u8"),
            (json!({ "pin": 300 }), "`pin`: invalid value: integer `300`, expected u8"),
        ] {
            let call = CallContext::local("t", arguments.as_object().unwrap().clone());

            let error = call.parse::<Arguments>().unwrap_err();

            assert_eq!((error.code, error.message.as_str()), ("invalid_arguments", named));
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_what_came_encrypted() {
        for arguments in [json!({ "pin": "hush" }), json!({ "pin": 1, "hush": 2 }), Value::default()] {
            let arguments = arguments.as_object().cloned().unwrap_or_default();
            let call = CallContext { sealed: true, ..CallContext::local("t", arguments) };

            let error = call.parse::<Arguments>().unwrap_err();

            assert_eq!(error.code, "invalid_arguments");
            assert!(!error.message.contains("hush"), "{error}");
        }
    }
}
