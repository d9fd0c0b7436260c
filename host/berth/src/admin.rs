//! The plugin engine behind the operator's routes.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use berth_core::port::store::AuditFilter;
use berth_http::{
    AdminError, Installed, NewGrant, PluginAdmin, PluginHealth, PluginLogLine, PluginView, Suggestion,
    Upgraded, Wish,
};
use berth_model::audit::AuditRow;
use berth_model::generation::Generation;
use berth_model::plugin::{Grant, PluginStatus};
use berth_model::{GrantId, PluginId};
use berth_wasm::capability::logs::Level;
use berth_wasm::host::Health;
use berth_wasm::{Assent, HostError, Manifest, Outcome, Package, PluginHost};

/// Manages the plugins of a host.
pub struct Admin(pub Arc<PluginHost>);

#[async_trait]
impl PluginAdmin for Admin {
    async fn install(&self, path: PathBuf) -> Result<Installed, AdminError> {
        let package = tokio::task::spawn_blocking(move || Package::read(&path))
            .await
            .map_err(|_| refused(&HostError::Inspector))?
            .map_err(|error| refused(&error))?;
        let installed = self.0.install(package).await.map_err(|error| refused(&error))?;
        let view = self.show(&installed.plugin.id).await?;
        Ok(Installed { view, warnings: installed.inspection.warnings })
    }

    async fn upgrade(&self, id: &PluginId, path: PathBuf, agreed: bool) -> Result<Upgraded, AdminError> {
        let package = tokio::task::spawn_blocking(move || Package::read(&path))
            .await
            .map_err(|_| refused(&HostError::Inspector))?
            .map_err(|error| refused(&error))?;
        let assent = if agreed { Assent::Given } else { Assent::Wanted };
        self.0.upgrade(id, package, assent).await.map(upgraded).map_err(|error| refused(&error))
    }

    async fn accept(&self, id: &PluginId) -> Result<Upgraded, AdminError> {
        self.0.accept(id).await.map(upgraded).map_err(|error| refused(&error))
    }

    async fn decline(&self, id: &PluginId) -> Result<Upgraded, AdminError> {
        let declined = self.0.decline(id).await.map_err(|error| refused(&error))?;
        Ok(Upgraded {
            generation: declined.number,
            version: declined.version,
            outcome: "declined",
            more: Vec::new(),
            warnings: Vec::new(),
        })
    }

    async fn rollback(&self, id: &PluginId, to: Option<i64>) -> Result<(), AdminError> {
        self.0.rollback(id, to).await.map(drop).map_err(|error| refused(&error))
    }

    async fn resume(&self, id: &PluginId) -> Result<(), AdminError> {
        self.0.resume(id).await.map_err(|error| refused(&error))
    }

    async fn check(&self, id: &PluginId) -> Result<Option<Result<(), AdminError>>, AdminError> {
        Ok(match self.0.check(id).await.map_err(|error| refused(&error))? {
            Health::Unknown => None,
            Health::Well => Some(Ok(())),
            Health::Ill { code, message } => Some(Err(AdminError { code, message, retryable: true })),
        })
    }

    async fn generations(&self, id: &PluginId) -> Result<Vec<Generation>, AdminError> {
        self.0.generations(id).await.map_err(|error| refused(&error))
    }

    async fn list(&self) -> Result<Vec<PluginView>, AdminError> {
        let views = self.0.list().await.map_err(|error| refused(&error))?;
        Ok(views.into_iter().map(view).collect())
    }

    async fn show(&self, id: &PluginId) -> Result<PluginView, AdminError> {
        let shown = async {
            let mut shown = view(self.0.show(id).await?);
            shown.waiting = self.0.waiting_diff(id).await?.map(|diff| diff.lines()).unwrap_or_default();
            Ok(shown)
        };
        shown.await.map_err(|error: HostError| refused(&error))
    }

    async fn enable(&self, id: &PluginId) -> Result<(), AdminError> {
        self.0.enable(id).await.map_err(|error| refused(&error))
    }

    async fn disable(&self, id: &PluginId) -> Result<(), AdminError> {
        self.0.disable(id).await.map_err(|error| refused(&error))
    }

    async fn remove(&self, id: &PluginId) -> Result<(), AdminError> {
        self.0.remove(id).await.map_err(|error| refused(&error))
    }

    async fn grant(&self, new: NewGrant) -> Result<Grant, AdminError> {
        self.0.grant(new).await.map_err(|error| refused(&error))
    }

    async fn list_grants(&self, plugin: Option<&PluginId>) -> Result<Vec<Grant>, AdminError> {
        self.0.list_grants(plugin).await.map_err(|error| refused(&error))
    }

    async fn revoke(&self, id: GrantId) -> Result<Grant, AdminError> {
        self.0.revoke(id).await.map_err(|error| refused(&error))
    }

    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditRow>, AdminError> {
        self.0.audit(&filter).await.map_err(|error| refused(&error))
    }

    async fn suggest(&self, id: &PluginId) -> Result<Suggestion, AdminError> {
        let suggestion = self.0.suggest(id).await.map_err(|error| refused(&error))?;
        let wishes = suggestion.wishes.into_iter().map(|wish| Wish {
            capability: wish.capability.as_str().to_owned(),
            scope: wish.scope,
            reason: String::new(),
            is_required: true,
        });
        Ok(Suggestion { wishes: wishes.collect(), manifest: suggestion.manifest, uses: suggestion.uses })
    }

    async fn logs(&self, id: &PluginId) -> Result<Vec<PluginLogLine>, AdminError> {
        let lines = self.0.logs(id).map_err(|error| refused(&error))?;
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
        let allocator = self.0.engine().status().allocator.to_owned();
        match self.0.list().await {
            Ok(views) => {
                let ready = views.iter().filter(|view| view.is_ready).count();
                let active = views.iter().filter(|view| view.plugin.status == PluginStatus::Active).count();
                PluginHealth {
                    allocator,
                    installed: views.len(),
                    ready,
                    failed: active.saturating_sub(ready),
                    problem: None,
                }
            }
            Err(error) => PluginHealth {
                allocator,
                installed: 0,
                ready: 0,
                failed: 0,
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
                scope: request.scope,
                reason: request.reason,
                is_required: request.required,
            })
            .collect(),
        grants: view.grants,
        waiting: Vec::new(),
    }
}

fn upgraded(installed: berth_wasm::Installed) -> Upgraded {
    let (outcome, more) = match installed.outcome {
        Outcome::Active => ("active", Vec::new()),
        Outcome::Unchanged => ("unchanged", Vec::new()),
        Outcome::Waiting(diff) => ("waiting", diff.lines()),
    };
    Upgraded {
        generation: installed.generation,
        version: installed.version,
        outcome,
        more,
        warnings: installed.inspection.warnings,
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
