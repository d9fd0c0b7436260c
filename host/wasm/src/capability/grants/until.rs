//! Waiting for the end of an authority while a use of it goes on.

use std::sync::Arc;
use std::time::Duration;

use berth_core::port::clock::Clock;
use serde_json::Value;

use super::{Capability, GrantSource, GrantView, HeldScope};

/// The longest sleep, so that a clock that was set is noticed.
const LONGEST: Duration = Duration::from_secs(60);

/// Ends when a use that was allowed may not go on: its grant was taken back, has expired, or something refuses it by now.
///
/// `view` is what counted last; while nothing changes no other is made.
pub async fn until_refused(
    source: &dyn GrantSource,
    clock: &dyn Clock,
    mut view: Arc<GrantView>,
    capability: Capability,
    wanted: &Value,
    covers: impl Fn(&HeldScope) -> bool,
) {
    let mut changes = source.changes();
    loop {
        let is_due = view.next_change().is_some_and(|at| at <= clock.now());
        if is_due || source.generation() != view.generation() {
            view = source.view();
        }
        if !view.goes_on(capability, wanted, &covers) {
            return;
        }
        let changed = async {
            match &mut changes {
                // The sender ends with the host.
                Some(changes) => changes.changed().await.is_ok(),
                None => false,
            }
        };
        let due = async {
            match view.next_change() {
                Some(at) => tokio::time::sleep(at.since(clock.now()).min(LONGEST)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            is_changed = changed => if !is_changed {
                std::future::pending::<()>().await;
            },
            () = due => {}
        }
    }
}
