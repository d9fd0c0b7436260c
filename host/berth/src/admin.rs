//! The plugin engine behind the operator's routes.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use berth_http::{
    AdminError, Installed, NewGrant, PluginAdmin, PluginHealth, PluginLogLine, PluginView, Wish,
};
use berth_model::plugin::{Grant, PluginStatus};
use berth_model::{GrantId, PluginId};
use berth_wasm::capability::logs::Level;
use berth_wasm::{HostError, Manifest, Outcome, Package, PluginHost};

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
        let mut warnings = installed.inspection.warnings;
        if let Outcome::Waiting(diff) = installed.outcome {
            warnings.push(format!("it waits for consent: {}", diff.lines().join("; ")));
        }
        Ok(Installed { view, warnings })
    }

    async fn list(&self) -> Result<Vec<PluginView>, AdminError> {
        let views = self.0.list().await.map_err(|error| refused(&error))?;
        Ok(views.into_iter().map(view).collect())
    }

    async fn show(&self, id: &PluginId) -> Result<PluginView, AdminError> {
        self.0.show(id).await.map(view).map_err(|error| refused(&error))
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
    }
}

fn refused(error: &HostError) -> AdminError {
    if let HostError::Store(source) = error {
        tracing::warn!(error = %source, "the plugins could not be looked up or changed");
    }
    AdminError {
        code: error.code().to_owned(),
        message: error.to_string(),
        retryable: matches!(error, HostError::Store(_)),
    }
}
