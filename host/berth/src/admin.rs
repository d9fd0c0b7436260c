//! The plugin engine behind the operator's routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use berth_core::port::store::AuditFilter;
use berth_http::{
    AdminError, CapabilityDiff, DiffEntry, Extent, Installed, NewGrant, PackageAt, Pinned, PluginAdmin,
    PluginHealth, PluginLogLine, PluginRemoved, PluginUsage, PluginView, PublisherChange, Suggestion,
    Upgraded, Wish,
};
use berth_model::audit::AuditRow;
use berth_model::generation::Generation;
use berth_model::plugin::{Grant, PluginStatus};
use berth_model::{GrantId, PluginId};
use berth_wasm::capability::diff;
use berth_wasm::capability::logs::Level;
use berth_wasm::host::Health;
use berth_wasm::{Assent, HostError, Manifest, Outcome, Package, Pairs, PluginHost};

/// Manages the plugins of a host.
pub struct Admin {
    pub plugins: Arc<PluginHost>,
    /// Whether those of the start are still being put in place.
    pub starting: Arc<AtomicBool>,
}

impl Admin {
    /// Reads a package and refuses one that is not what it must be, before anything is written.
    async fn read(&self, at: PackageAt) -> Result<(Package, Assent), AdminError> {
        let plugins = self.plugins.clone();
        let assent = if at.is_agreed { Assent::Given } else { Assent::Wanted };
        let read = move || {
            let mut package = Package::read(&at.path)?;
            package.source = at.source.unwrap_or(package.source);
            if let Some(wanted) = &at.digest {
                package.check_digest(wanted)?;
            }
            match at.pinned {
                Pinned::No => {}
                Pinned::Own => plugins.check_pinned(&package, None)?,
                Pinned::By(lock) => plugins.check_pinned(&package, Some(&lock))?,
            }
            Ok::<_, HostError>(package)
        };
        let package = tokio::task::spawn_blocking(read).await.map_err(|_| refused(&HostError::Inspector))?;
        Ok((package.map_err(|error| refused(&error))?, assent))
    }
}

#[async_trait]
impl PluginAdmin for Admin {
    async fn install(&self, package: PackageAt) -> Result<Installed, AdminError> {
        let (package, assent) = self.read(package).await?;
        let installed = self.plugins.install_with(package, assent).await.map_err(|error| refused(&error))?;
        let view = self.show(&installed.plugin.id).await?;
        Ok(Installed { view, diff: told(installed.diff), warnings: installed.inspection.warnings })
    }

    async fn upgrade(&self, id: &PluginId, package: PackageAt) -> Result<Upgraded, AdminError> {
        let (package, assent) = self.read(package).await?;
        let done = self.plugins.upgrade(id, package, assent).await.map_err(|error| refused(&error))?;
        let mut done = upgraded(done);
        if done.outcome == "waiting" {
            done.waiting_digest = self.plugins.waiting_digest(id).await.map_err(|error| refused(&error))?;
        }
        Ok(done)
    }

    async fn accept(&self, id: &PluginId, digest: Option<String>) -> Result<Upgraded, AdminError> {
        self.plugins.accept_only(id, digest).await.map(upgraded).map_err(|error| refused(&error))
    }

    async fn decline(&self, id: &PluginId) -> Result<Upgraded, AdminError> {
        let declined = self.plugins.decline(id).await.map_err(|error| refused(&error))?;
        Ok(Upgraded {
            generation: declined.number,
            version: declined.version,
            outcome: "declined",
            waiting_digest: None,
            diff: None,
            warnings: Vec::new(),
        })
    }

    async fn rollback(&self, id: &PluginId, to: Option<i64>) -> Result<(), AdminError> {
        self.plugins.rollback(id, to).await.map(drop).map_err(|error| refused(&error))
    }

    async fn resume(&self, id: &PluginId) -> Result<(), AdminError> {
        self.plugins.resume(id).await.map_err(|error| refused(&error))
    }

    async fn check(&self, id: &PluginId) -> Result<Option<Result<(), AdminError>>, AdminError> {
        Ok(match self.plugins.check(id).await.map_err(|error| refused(&error))? {
            Health::Unknown => None,
            Health::Well => Some(Ok(())),
            Health::Ill { code, message } => Some(Err(AdminError { code, message, retryable: true })),
        })
    }

    async fn generations(&self, id: &PluginId) -> Result<Vec<Generation>, AdminError> {
        self.plugins.generations(id).await.map_err(|error| refused(&error))
    }

    async fn list(&self) -> Result<Vec<PluginView>, AdminError> {
        let views = self.plugins.list().await.map_err(|error| refused(&error))?;
        Ok(views.into_iter().map(view).collect())
    }

    async fn show(&self, id: &PluginId) -> Result<PluginView, AdminError> {
        let shown = async {
            let mut shown = view(self.plugins.show(id).await?);
            shown.waiting = self.plugins.waiting_diff(id).await?.map(told);
            shown.waiting_digest = self.plugins.waiting_digest(id).await?;
            Ok(shown)
        };
        shown.await.map_err(|error: HostError| refused(&error))
    }

    async fn enable(&self, id: &PluginId) -> Result<(), AdminError> {
        self.plugins.enable(id).await.map_err(|error| refused(&error))
    }

    async fn disable(&self, id: &PluginId) -> Result<(), AdminError> {
        self.plugins.disable(id).await.map_err(|error| refused(&error))
    }

    async fn remove(&self, id: &PluginId, purge: bool) -> Result<PluginRemoved, AdminError> {
        let pairs = if purge { Pairs::Purge } else { Pairs::Keep };
        let removed = self.plugins.remove_with(id, pairs).await.map_err(|error| refused(&error))?;
        Ok(PluginRemoved { kept_pairs: removed.kept_pairs, purged_pairs: removed.purged_pairs })
    }

    async fn grant(&self, new: NewGrant) -> Result<Grant, AdminError> {
        self.plugins.grant(new).await.map_err(|error| refused(&error))
    }

    async fn list_grants(&self, plugin: Option<&PluginId>) -> Result<Vec<Grant>, AdminError> {
        self.plugins.list_grants(plugin).await.map_err(|error| refused(&error))
    }

    async fn revoke(&self, id: GrantId) -> Result<Grant, AdminError> {
        self.plugins.revoke(id).await.map_err(|error| refused(&error))
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditRow>, AdminError> {
        self.plugins.audit(&filter).await.map_err(|error| refused(&error))
    }

    async fn suggest(&self, id: &PluginId) -> Result<Suggestion, AdminError> {
        let suggestion = self.plugins.suggest(id).await.map_err(|error| refused(&error))?;
        let wishes = suggestion.wishes.into_iter().map(|wish| Wish {
            capability: wish.capability.as_str().to_owned(),
            scope: wish.scope,
            reason: String::new(),
            is_required: true,
        });
        Ok(Suggestion { wishes: wishes.collect(), manifest: suggestion.manifest, uses: suggestion.uses })
    }

    async fn logs(&self, id: &PluginId) -> Result<Vec<PluginLogLine>, AdminError> {
        let lines = self.plugins.logs(id).map_err(|error| refused(&error))?;
        Ok(lines
            .into_iter()
            .map(|line| PluginLogLine {
                level: line.level.map_or(line.stream.as_str(), Level::as_str).to_owned(),
                text: match line.context.as_str() {
                    "" => line.text,
                    context => format!("{context}: {}", line.text),
                },
            })
            .collect())
    }

    async fn health(&self) -> PluginHealth {
        let allocator = self.plugins.engine().status().allocator.to_owned();
        match self.plugins.list().await {
            Ok(views) => {
                let ready = views.iter().filter(|view| view.is_ready).count();
                let active = views.iter().filter(|view| view.plugin.status == PluginStatus::Active).count();
                PluginHealth {
                    allocator,
                    installed: views.len(),
                    ready,
                    failed: active.saturating_sub(ready),
                    starting: self.starting.load(Ordering::Relaxed),
                    problem: None,
                }
            }
            Err(error) => PluginHealth {
                allocator,
                installed: 0,
                ready: 0,
                failed: 0,
                starting: self.starting.load(Ordering::Relaxed),
                problem: Some(error.to_string()),
            },
        }
    }
}

fn view(view: berth_wasm::PluginView) -> PluginView {
    // It was checked when the plugin was installed; a later version that reads it otherwise shows no wishes.
    let requests =
        Manifest::parse(&view.plugin.manifest).map(|manifest| manifest.requests).unwrap_or_default();
    PluginView {
        plugin: view.plugin,
        is_ready: view.is_ready,
        wishes: requests
            .into_iter()
            .map(|request| Wish {
                capability: request.capability.as_str().to_owned(),
                scope: request.scope.to_json(),
                reason: request.reason,
                is_required: request.required,
            })
            .collect(),
        grants: view.grants,
        waiting: None,
        waiting_digest: None,
        usage: usage(&view.usage),
    }
}

fn usage(used: &berth_wasm::Usage) -> PluginUsage {
    PluginUsage {
        calls: used.calls,
        failures: used.failures,
        cpu_us: used.cpu_us,
        peak_memory_bytes: used.peak_memory_bytes,
        host_calls: used.host_calls,
        sent_bytes: used.sent_bytes,
        received_bytes: used.received_bytes,
        written_bytes: used.written_bytes,
        created_files: used.created_files,
        denials: used.denials,
    }
}

fn upgraded(installed: berth_wasm::Installed) -> Upgraded {
    let outcome = match installed.outcome {
        Outcome::Active => "active",
        Outcome::Unchanged => "unchanged",
        Outcome::Waiting => "waiting",
    };
    Upgraded {
        generation: installed.generation,
        version: installed.version,
        outcome,
        waiting_digest: None,
        diff: Some(told(installed.diff)),
        warnings: installed.inspection.warnings,
    }
}

/// The difference in the words of the facade, which are those of the engine.
fn told(diff: diff::CapabilityDiff) -> CapabilityDiff {
    let extent = |extent: diff::Extent| Extent { scope: extent.scope, limit: extent.limit };
    let all = |entries: Vec<diff::DiffEntry>| {
        let entry = |entry: diff::DiffEntry| DiffEntry {
            capability: entry.capability,
            before: entry.before.map(extent),
            after: entry.after.map(extent),
            required: entry.required,
            reason: entry.reason,
            line: entry.line,
        };
        entries.into_iter().map(entry).collect()
    };
    let publisher = diff.publisher.map(|change| PublisherChange {
        line: change.line(),
        before: change.before,
        after: change.after,
    });
    CapabilityDiff {
        publisher,
        added: all(diff.added),
        widened: all(diff.widened),
        narrowed: all(diff.narrowed),
        removed: all(diff.removed),
        unchanged: all(diff.unchanged),
    }
}

pub(crate) fn refused(error: &HostError) -> AdminError {
    if let HostError::Store(source) = error {
        tracing::warn!(error = %source, "the plugins could not be looked up or changed");
    }
    AdminError {
        code: error.code().to_owned(),
        message: error.to_string(),
        retryable: matches!(error, HostError::Store(_)),
    }
}
