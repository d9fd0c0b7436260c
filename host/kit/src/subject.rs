//! A built plugin, ready to be told stories.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_wasm::call::ready::InstancePolicy;
use berth_wasm::capability::config;
use berth_wasm::capability::context::CallContext;
use berth_wasm::inspect::inspect;
use berth_wasm::manifest::Kind;
use berth_wasm::{
    ComponentSource, EngineConfig, HostError, LoadedPlugin, Manifest, Package, PluginEngine, PluginSpec,
    Pooling,
};
use serde_json::Value;

use crate::error::KitError;
use crate::http::Authority;
use crate::time::Time;

/// See the module.
pub struct Subject {
    pub folder: PathBuf,
    pub manifest: Arc<Manifest>,
    /// Lower-case hex SHA-256 of the component.
    pub digest: String,
    pub plugin: LoadedPlugin,
    /// What settings must fit.
    pub schema: Option<Value>,
    pub(crate) time: Arc<Time>,
    pub(crate) authority: Arc<Authority>,
}

impl Subject {
    /// Inspects, compiles and describes the plugin in `folder`, as an install would. Machine code is kept in `cache`.
    pub async fn load(folder: &Path, cache: Option<PathBuf>) -> Result<Self, KitError> {
        let package = {
            let folder = folder.to_owned();
            let read = tokio::task::spawn_blocking(move || read(&folder));
            read.await.map_err(KitError::kit)??
        };
        let mut manifest = Manifest::parse(&package.manifest).map_err(HostError::from)?;
        let schema = package.config_schema.as_deref().map(config::schema).transpose();
        let schema = schema.map_err(|error| KitError::kit(format!("the schema of the settings: {error}")))?;
        if let Some(schema) = &schema {
            manifest = manifest.with_secrets_of(schema).map_err(KitError::kit)?;
        }
        let time = Arc::new(Time::default());
        let engine = engine(time.clone(), cache)?;
        let inspection = inspect(&package.component, &manifest, &package.docs)?;
        let manifest = Arc::new(manifest);
        let spec = PluginSpec {
            digest: inspection.digest.clone(),
            component: ComponentSource::Bytes(package.component),
            manifest: manifest.clone(),
            tools: inspection.tools,
        };
        let mut plugin = engine.load(spec).await?;
        if plugin.is_dynamic() {
            let tools = plugin.describe(CallContext::of_nobody()).await?;
            plugin = plugin.with_tools(tools)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            manifest,
            digest: inspection.digest,
            plugin,
            schema,
            time,
            authority: Arc::new(Authority::new()?),
        })
    }

    /// Whether the plugin is a channel.
    pub fn is_channel(&self) -> bool {
        self.manifest.kind == Kind::Channel
    }
}

/// The engine of a host, but for what depends on the machine: instances are made for each call, and clocks are ours.
fn engine(time: Arc<Time>, cache: Option<PathBuf>) -> Result<PluginEngine, KitError> {
    let mut config = EngineConfig::new(time);
    config.pooling = Pooling::Off;
    config.instances = InstancePolicy { prewarm: false, pool: false, max_ready: 0 };
    config.cache = cache;
    Ok(PluginEngine::new(config)?)
}

fn read(folder: &Path) -> Result<Package, KitError> {
    let manifest = folder.join("plugin.toml");
    if folder.is_dir() && manifest.is_file() {
        let text = std::fs::read_to_string(&manifest)
            .map_err(|source| KitError::Io { path: manifest.clone(), source })?;
        let parsed = Manifest::parse(&text).map_err(HostError::from)?;
        let component = folder.join(berth_wasm::host::package::component_name(&parsed));
        if !component.is_file() {
            let message = format!("{} is not there", component.display());
            return Err(KitError::NotBuilt { folder: folder.to_owned(), message });
        }
    }
    Ok(Package::read(folder)?)
}
