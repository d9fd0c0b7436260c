//! Which tools an edge offers.

use std::sync::Arc;

use berth_provider::{Answer, CallContext, CallError, Tools};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::roots::Roots;
use crate::{list, plain, read, write};

/// Every tool that `roots` allow: without a root no file tools, without a writable one no `file.write`.
pub fn tools(roots: Roots) -> Tools {
    let tools = Tools::new()
        .with(plain::echo_capability(), plain::echo)
        .with(plain::add_capability(), plain::add)
        .with(plain::divide_capability(), plain::divide);
    if roots.is_empty() {
        return tools;
    }
    let roots = Arc::new(roots);
    let shared = || Arc::clone(&roots);
    let (reads, lists, writes) = (shared(), shared(), shared());
    let tools = tools
        .with(read::capability(&roots), move |call| {
            on_disk(call, Arc::clone(&reads), |roots, arguments, _| read::read(roots, arguments))
        })
        .with(list::capability(&roots), move |call| {
            on_disk(call, Arc::clone(&lists), |roots, arguments, _| list::list(roots, arguments))
        });
    if !roots.any_writable() {
        return tools;
    }
    tools.with(write::capability(&roots), move |call| on_disk(call, Arc::clone(&writes), write::write))
}

/// Reads the arguments and does `work` on a thread that may wait for a disk.
async fn on_disk<T>(
    call: CallContext,
    roots: Arc<Roots>,
    work: impl Fn(&Roots, &T, &CancellationToken) -> Result<Value, CallError> + Send + 'static,
) -> Answer
where
    T: DeserializeOwned + Send + 'static,
{
    let arguments: T = call.parse()?;
    let cancelled = call.cancelled().clone();
    tokio::task::spawn_blocking(move || work(&roots, &arguments, &cancelled))
        .await
        .unwrap_or_else(|_| Err(CallError::new("tool_execution_failed", "the tool broke down")))
}
