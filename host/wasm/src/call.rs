//! One call of a tool: a fresh store, the limits around it, and what came of it.

pub mod access;
pub mod asking;
pub mod authorize;
pub(crate) mod errand;
pub mod extra;
pub mod meter;
mod notice;
mod opening;
pub mod outcome;
mod panic;
pub mod quotas;
pub mod ready;
pub(crate) mod resident;
pub mod run;
pub mod spending;
pub mod stage;
pub mod state;
pub mod used;

pub use outcome::{CallOutcome, Measured, Receipt};
pub use used::{Usage, Used};

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::capability::context::CallContext;
use crate::capability::grants::{Fixed, GrantSource, GrantView};
use crate::capability::progress::{NoProgress, ProgressSink};
use crate::capability::services::Services;

/// A call on its way to a plugin.
pub struct ToolInvocation {
    /// The key of the tool: see [`crate::tool::ToolDescription::key`].
    pub tool: String,
    /// A JSON object.
    pub arguments: Value,
    pub context: CallContext,
    pub grants: Arc<dyn GrantSource>,
    pub progress: Arc<dyn ProgressSink>,
    pub services: Services,
    /// Cut to the wall limit of the plugin.
    pub timeout: Duration,
    pub cancel: CancellationToken,
}

impl ToolInvocation {
    /// A call without grants, listeners and services, and with the longest time that the plugin may take.
    pub fn new(tool: impl Into<String>, arguments: Value, context: CallContext) -> Self {
        static NOTHING: LazyLock<Arc<Fixed>> =
            LazyLock::new(|| Arc::new(Fixed(Arc::new(GrantView::nothing("")))));
        static NOBODY: LazyLock<Arc<NoProgress>> = LazyLock::new(|| Arc::new(NoProgress));
        Self {
            tool: tool.into(),
            arguments,
            context,
            grants: NOTHING.clone(),
            progress: NOBODY.clone(),
            services: Services::none(),
            timeout: Duration::MAX,
            cancel: CancellationToken::new(),
        }
    }
}
