//! What is settled before a guest begins: which folders it gets, and whether a person must agree to one of them.

use std::sync::Arc;
use std::time::Instant;

use berth_model::ApprovalId;
use serde_json::Value;

use super::ToolInvocation;
use super::asking::Asking;
use super::authorize::Door;
use crate::capability::Capability;
use crate::capability::files::{self, Access, Folder};
use crate::capability::grants::GrantView;
use crate::error::CallError;
use crate::plugin::Loaded;

/// A call that may begin.
pub(super) struct Opening {
    pub start: Instant,
    pub view: Arc<GrantView>,
    pub folders: Vec<Folder>,
    /// Scopes of folders that a person agreed to for this call alone.
    pub agreed: Vec<Value>,
    pub asking: Arc<Asking>,
}

/// Each folder that grants offer is one use: asked for, counted and written down before the guest begins. A folder that
/// is refused is not there.
pub(super) async fn open(plugin: &Loaded, invocation: &ToolInvocation) -> Result<Opening, CallError> {
    let start = Instant::now();
    let mut view = invocation.grants.view();
    let asking = Arc::new(Asking::default());
    let mut agreed = Vec::new();
    let mut refused = Vec::new();
    let offers = files::offers(&view);
    if !offers.is_empty() {
        let context = Arc::new(invocation.context.clone());
        let wall = invocation.timeout.min(plugin.limits.wall);
        for mut offer in offers {
            if invocation.context.dry_run {
                offer.for_reading();
            }
            let mut door = Door {
                view: &mut view,
                source: &*invocation.grants,
                context: &context,
                services: &invocation.services,
                clock: &*plugin.engine.inner.config.clock,
                asking: &asking,
                cancel: &invocation.cancel,
                deadline: start + wall,
            };
            let use_of = offer.clone();
            let asked =
                door.authorize(Capability::Files, offer.wanted(), move |scope| use_of.is_covered_by(scope));
            let allowed = tokio::select! {
                biased;
                () = invocation.cancel.cancelled() => return Err(CallError::Cancelled),
                allowed = asked => allowed,
                approval = asking.parked() => return Err(parked(approval)),
            };
            match allowed {
                Ok(()) => agreed.push(offer.scope),
                Err(error) if error.code == "PERMISSION_DENIED" => refused.push(offer.scope),
                Err(failure) => return Err(CallError::Tool { failure }),
            }
        }
    }
    let mut folders = files::folders(&view, &agreed);
    if invocation.context.dry_run {
        folders.iter_mut().for_each(|folder| folder.access = Access::ReadOnly);
    }
    folders.retain(|folder| !refused.iter().any(|scope| folder.is_of(scope)));
    Ok(Opening { start, view, folders, agreed, asking })
}

fn parked(approval: ApprovalId) -> CallError {
    CallError::Parked { approval }
}
