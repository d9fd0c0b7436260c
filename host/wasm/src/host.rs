//! The installed plugins: what is stored of them, which are loaded, what they are granted.
//!
//! A start runs no guest code: descriptions are stored with the digest. Nothing here is in reach of a plugin.

pub mod config;
pub mod endpoints;
pub mod error;
mod grants;
pub mod keyvalue;
pub mod package;
mod registry;
pub mod secrets;
mod target;

use std::path::PathBuf;
use std::sync::Arc;

use berth_core::port::clock::Clock;
use berth_core::port::ids::Ids;
use berth_core::port::store::Store;
use berth_model::plugin::{Consent, Plugin, PluginStatus};
use berth_model::{ActorId, CallId, OperationId, PluginId, WorkspaceId};
use serde_json::Value;

pub use berth_model::plugin::NewGrant;
pub use error::HostError;
pub use package::Package;

use crate::capability::context::CallContext;
use crate::capability::logs::LogLine;
use crate::capability::services::Services;
use crate::engine::PluginEngine;
use crate::error::InstallError;
use crate::inspect::{Inspection, inspect};
use crate::manifest::Manifest;
use crate::plugin::{ComponentSource, LoadedPlugin, PluginSpec};
use crate::tool::{ToolDescription, check_names};
use registry::Registry;

/// Who installs, grants and revokes: there is one owner.
const OWNER: &str = "user:self";

/// What the host is made of.
pub struct HostParts {
    pub engine: PluginEngine,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    /// The folder that keeps components under their digest.
    pub folder: PathBuf,
    pub services: Services,
}

/// Keeps, loads and calls the installed plugins. Implements core's `PluginTarget`.
pub struct PluginHost {
    parts: HostParts,
    registry: Arc<Registry>,
    /// Installs and changes come one after another.
    changes: tokio::sync::Mutex<()>,
}

/// What an install has done.
#[derive(Debug, Clone)]
pub struct Installed {
    pub plugin: Plugin,
    pub inspection: Inspection,
    pub tools: Vec<ToolDescription>,
}

/// A plugin and how it stands.
#[derive(Debug, Clone)]
pub struct PluginView {
    pub plugin: Plugin,
    /// Whether it is loaded and can be called.
    pub is_ready: bool,
    pub grants: Vec<berth_model::plugin::Grant>,
}

impl PluginHost {
    pub fn new(parts: HostParts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            registry: Arc::new(Registry::default()),
            changes: tokio::sync::Mutex::new(()),
        })
    }

    pub fn engine(&self) -> &PluginEngine {
        &self.parts.engine
    }

    /// Loads every active plugin, each for itself: one that fails keeps its error and stops nobody.
    ///
    /// Fails only when the store does.
    pub async fn boot(&self) -> Result<(), HostError> {
        let (plugins, grants, consents) = {
            let mut tx = self.parts.store.read().await?;
            (tx.list_plugins().await?, tx.list_grants(None).await?, tx.list_consents().await?)
        };
        self.registry.set_grants(grants);
        self.registry.set_consents(consents);
        let loads = plugins.iter().filter(|plugin| plugin.status == PluginStatus::Active).map(|plugin| async {
            if let Err(error) = self.activate(plugin).await {
                tracing::warn!(plugin.id = %plugin.id, code = error.code(), %error, "plugin could not be loaded");
                let mut failed = plugin.clone();
                failed.last_error = format!("{}: {error}", error.code());
                if let Err(error) = self.save(&failed).await {
                    tracing::warn!(plugin.id = %plugin.id, %error, "the failure could not be stored");
                }
            }
        });
        futures::future::join_all(loads).await;
        Ok(())
    }

    /// Inspects a package without installing it.
    pub async fn inspect(&self, package: Package) -> Result<(Arc<Manifest>, Inspection), HostError> {
        let (bytes, limit) = (package.component.len(), self.parts.engine.inner.config.component_bytes);
        if bytes > limit {
            return Err(InstallError::TooLarge { bytes, limit }.into());
        }
        tokio::task::spawn_blocking(move || {
            let manifest = Manifest::parse(&package.manifest)?;
            let inspection = inspect(&package.component, &manifest, &package.docs)?;
            if let Some(packed) = &manifest.sha256
                && *packed != inspection.digest
            {
                return Err(HostError::Digest { packed: packed.clone(), found: inspection.digest });
            }
            if let Some(text) = &package.config_schema {
                config_schema(text)?;
            }
            Ok((Arc::new(manifest), inspection))
        })
        .await
        .map_err(|_| HostError::Inspector)?
    }

    /// Installs a package, or puts it in the place of the installed one of its id; active at once.
    ///
    /// Calls in flight end in the old one. A failure changes nothing.
    pub async fn install(&self, package: Package) -> Result<Installed, HostError> {
        let _turn = self.changes.lock().await;
        let text = package.manifest.clone();
        let component = package.component.clone();
        let schema = package.config_schema.clone();
        let (manifest, mut inspection) = self.inspect(package).await?;
        let id = PluginId::new(&manifest.id)?;
        let spec = PluginSpec {
            digest: inspection.digest.clone(),
            component: ComponentSource::Bytes(component.clone()),
            manifest: manifest.clone(),
            tools: inspection.tools.clone(),
        };
        let mut loaded = self.parts.engine.load(spec).await?;
        if inspection.is_dynamic {
            let tools = loaded.describe(self.own_context()).await?;
            loaded = loaded.with_tools(tools)?;
        }
        check_names(&manifest, loaded.tools())?;
        self.registry.check_free(&id, loaded.tools())?;
        package::keep(&self.parts.folder, &inspection.digest, component).await?;
        if let Some(schema) = &schema {
            let path = package::schema_path(&self.parts.folder, &text, &inspection.digest);
            package::keep_file(&self.parts.folder, path, schema.clone().into()).await?;
        }

        let now = self.parts.clock.now();
        let old = self.parts.store.read().await?.lookup_plugin(&id).await?;
        let plugin = Plugin {
            id: id.clone(),
            version: manifest.version.to_string(),
            digest: inspection.digest.clone(),
            manifest: text,
            tools: serde_json::to_value(loaded.tools())?,
            status: PluginStatus::Active,
            last_error: String::new(),
            installed_at: old.map_or(now, |old| old.installed_at),
            updated_at: now,
        };
        // Who installs a package over this door agrees to it.
        self.save_with_consent(&plugin).await?;
        let tools = loaded.tools().to_vec();
        self.registry.put(id.clone(), loaded)?;
        self.parts.services.config.learn(id.as_str(), schema.as_deref().map(config_schema).transpose()?);
        inspection.warnings.extend(self.parts.services.config.values(id.as_str()).err());
        Ok(Installed { plugin, inspection, tools })
    }

    /// Every installed plugin, by id.
    pub async fn list(&self) -> Result<Vec<PluginView>, HostError> {
        let mut tx = self.parts.store.read().await?;
        let grants = tx.list_grants(None).await?;
        let plugins = tx.list_plugins().await?;
        Ok(plugins
            .into_iter()
            .map(|plugin| PluginView {
                is_ready: self.registry.lookup(&plugin.id).is_some(),
                grants: grants.iter().filter(|grant| grant.plugin == plugin.id).cloned().collect(),
                plugin,
            })
            .collect())
    }

    /// One plugin.
    pub async fn show(&self, id: &PluginId) -> Result<PluginView, HostError> {
        let mut tx = self.parts.store.read().await?;
        let plugin = tx.lookup_plugin(id).await?.ok_or_else(|| HostError::not_found(id))?;
        let grants = tx.list_grants(Some(id)).await?;
        Ok(PluginView { is_ready: self.registry.lookup(id).is_some(), plugin, grants })
    }

    /// Loads a plugin that was switched off or has failed, and agrees to the build that is there.
    pub async fn enable(&self, id: &PluginId) -> Result<(), HostError> {
        let _turn = self.changes.lock().await;
        let mut plugin = self.row(id).await?;
        self.activate(&plugin).await?;
        plugin.status = PluginStatus::Active;
        plugin.last_error.clear();
        self.save_with_consent(&plugin).await
    }

    /// Takes a plugin out of the catalogue; calls in flight end by themselves.
    pub async fn disable(&self, id: &PluginId) -> Result<(), HostError> {
        let _turn = self.changes.lock().await;
        let mut plugin = self.row(id).await?;
        plugin.status = PluginStatus::Disabled;
        self.save(&plugin).await?;
        self.registry.take(id);
        Ok(())
    }

    /// Forgets a plugin; its grants stay.
    pub async fn remove(&self, id: &PluginId) -> Result<(), HostError> {
        let _turn = self.changes.lock().await;
        let mut tx = self.parts.store.write().await?;
        if !tx.remove_plugin(id).await? {
            return Err(HostError::not_found(id));
        }
        tx.commit().await?;
        self.registry.take(id);
        Ok(())
    }

    /// What a plugin printed lately, oldest first.
    pub fn logs(&self, id: &PluginId) -> Result<Vec<LogLine>, HostError> {
        self.registry.lookup(id).map(|plugin| plugin.recent_logs()).ok_or_else(|| HostError::not_found(id))
    }

    async fn activate(&self, plugin: &Plugin) -> Result<(), HostError> {
        let manifest = Arc::new(Manifest::parse(&plugin.manifest)?);
        let manifest_names_schema = manifest.config_schema.is_some();
        let tools: Vec<ToolDescription> = serde_json::from_value(plugin.tools.clone())?;
        let spec = PluginSpec {
            digest: plugin.digest.clone(),
            component: ComponentSource::File(package::path(&self.parts.folder, &plugin.digest)),
            manifest,
            tools,
        };
        let schema = self.kept_schema(plugin, manifest_names_schema)?;
        let loaded: LoadedPlugin = self.parts.engine.load(spec).await?;
        self.registry.put(plugin.id.clone(), loaded)?;
        self.parts.services.config.learn(plugin.id.as_str(), schema);
        Ok(())
    }

    /// The schema that a plugin was installed with.
    fn kept_schema(&self, plugin: &Plugin, is_named: bool) -> Result<Option<Value>, HostError> {
        if !is_named {
            return Ok(None);
        }
        let path = package::schema_path(&self.parts.folder, &plugin.manifest, &plugin.digest);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(config_schema(&text)?)),
            // Installed before schemas were kept.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(HostError::Folder { source }),
        }
    }

    async fn row(&self, id: &PluginId) -> Result<Plugin, HostError> {
        self.parts.store.read().await?.lookup_plugin(id).await?.ok_or_else(|| HostError::not_found(id))
    }

    async fn save(&self, plugin: &Plugin) -> Result<(), HostError> {
        let mut plugin = plugin.clone();
        plugin.updated_at = self.parts.clock.now();
        let mut tx = self.parts.store.write().await?;
        tx.upsert_plugin(&plugin).await?;
        Ok(tx.commit().await?)
    }

    /// Stores the plugin and that the owner agreed to its build.
    async fn save_with_consent(&self, plugin: &Plugin) -> Result<(), HostError> {
        let now = self.parts.clock.now();
        let plugin = Plugin { updated_at: now, ..plugin.clone() };
        let consent = Consent {
            plugin: plugin.id.clone(),
            digest: plugin.digest.clone(),
            given_by: OWNER.to_owned(),
            given_at: now,
        };
        let mut tx = self.parts.store.write().await?;
        tx.upsert_plugin(&plugin).await?;
        tx.give_consent(&consent).await?;
        tx.commit().await?;
        self.registry.set_consent(consent);
        Ok(())
    }

    /// Says which key signed the build of a plugin, for the grants that are for a publisher.
    pub fn set_publisher(&self, id: &PluginId, key: Option<String>) {
        self.registry.set_publisher(id, key);
    }

    /// The context of a call that the host itself makes.
    fn own_context(&self) -> CallContext {
        CallContext {
            call: CallId::from_uuid(self.parts.ids.uuid()),
            operation: OperationId::from_uuid(self.parts.ids.uuid()),
            run: None,
            thread: None,
            session: None,
            workspace: WorkspaceId::fixed("none"),
            actor: ActorId::fixed("system:host"),
            locale: String::new(),
            dry_run: true,
            idempotency_key: String::new(),
            meta: Vec::new(),
        }
    }
}

/// Reads a schema of settings.
fn config_schema(text: &str) -> Result<Value, HostError> {
    crate::capability::config::schema(text)
        .map_err(|error| HostError::ConfigSchema { message: error.to_string() })
}
