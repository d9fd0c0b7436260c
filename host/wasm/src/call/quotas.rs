//! The bounds of the folders of one call, found by the handles that lead into them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use berth_model::audit::AuditDecision;
use serde_json::json;

use crate::capability::Capability;
use crate::capability::context::CallContext;
use crate::capability::files::{self, Access, Folder};
use crate::capability::grants::GrantView;
use crate::capability::ledger::{AuditEntry, Ledger};
use crate::capability::logs::LogSink;
use crate::capability::quota::{FolderCounts, Quota};
use crate::engine::EngineConfig;
use crate::lock;

/// See the module. Empty, it costs nothing.
#[derive(Debug, Default)]
pub struct FolderQuotas {
    by_guest: Vec<Arc<Quota>>,
    by_handle: Mutex<HashMap<u32, Arc<Quota>>>,
}

impl FolderQuotas {
    /// The bounds that grants, manifest and operator set for the folders that may be written to. May read them whole.
    pub fn open(
        view: &GrantView,
        folders: &[Folder],
        config: &EngineConfig,
        counts: &FolderCounts,
    ) -> Arc<Self> {
        let bound = |folder: &Folder| {
            let limit = view.limit(Capability::Files, |scope| files::bounds(folder, scope));
            let host = folder.host.canonicalize().ok()?;
            counts.quota(&folder.guest, &host, &limit.both(&config.folder_limit))
        };
        let written = folders.iter().filter(|folder| folder.access == Access::ReadWrite);
        Arc::new(Self { by_guest: written.filter_map(bound).collect(), by_handle: Mutex::default() })
    }

    pub fn is_empty(&self) -> bool {
        self.by_guest.is_empty()
    }

    /// A handle leads to the folder with this path in the guest.
    pub fn opened(&self, handle: u32, guest: &str) {
        if let Some(quota) = self.by_guest.iter().find(|quota| quota.guest() == guest) {
            self.handles().insert(handle, quota.clone());
        }
    }

    /// A handle leads to what is below another one.
    pub fn inherited(&self, parent: Option<&Arc<Quota>>, handle: u32) {
        if let Some(quota) = parent {
            self.handles().insert(handle, quota.clone());
        }
    }

    /// The bound of what a handle leads to.
    pub fn of(&self, handle: u32) -> Option<Arc<Quota>> {
        if self.is_empty() { None } else { self.handles().get(&handle).cloned() }
    }

    pub fn closed(&self, handle: u32) {
        if !self.is_empty() {
            self.handles().remove(&handle);
        }
    }

    /// Writes down in log and audit what was refused.
    pub async fn finish(
        &self,
        plugin: &str,
        logs: &LogSink,
        ledger: &dyn Ledger,
        context: &Arc<CallContext>,
    ) {
        for quota in self.by_guest.iter().filter(|quota| quota.has_refused()) {
            let (guest, bounds) = (quota.guest(), quota.bounds());
            logs.note(&format!("FOLDER_FULL: {guest} holds all that may be in it: {bounds}"));
            let entry = AuditEntry {
                plugin: plugin.to_owned(),
                capability: Capability::Files,
                scope: json!({ "guest": guest, "access": "rw", "full": bounds }),
                decision: AuditDecision::Denied,
                is_write: true,
                grant: None,
                approval: None,
                context: context.clone(),
            };
            if let Err(error) = ledger.record(entry).await {
                tracing::warn!(plugin.id = plugin, code = error.code, "a denial could not be written down");
            }
        }
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<u32, Arc<Quota>>> {
        lock(&self.by_handle)
    }
}
