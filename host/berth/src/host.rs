//! The host: every port of core plugged into its real side.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use berth_broker::{Broker, BrokerParts};
use berth_core::port::store::StoreError;
use berth_core::{Core, CoreConfig, Ports};
use berth_http::{AccessToken, HttpConfig, HttpState, ServeConfig};
use berth_hub::{Hub, HubConfig, Links};
use berth_model::run::RunLimits;
use berth_secrets::{Desk, KeyPlace};
use berth_store::{DatabaseUrl, SqlStore};
use berth_wasm::actor::{ChannelLink, ChannelParts, Channels, Settings as ChannelSettings, SystemAlarm};
use berth_wasm::call::ready::InstancePolicy;
use berth_wasm::capability::http::HttpOutlet;
use berth_wasm::capability::keyvalue::Quota;
use berth_wasm::capability::limit::Limit;
use berth_wasm::capability::services::Services;
use berth_wasm::engine::compiler::child::{ChildCompiler, CompileLimits};
use berth_wasm::host::Boot;
use berth_wasm::host::config::OperatorConfig;
use berth_wasm::host::endpoints::LinkedEndpoints;
use berth_wasm::host::keyvalue::StoredKeyvalue;
use berth_wasm::pulse::Pulses;
use berth_wasm::{EngineConfig, HostParts, PluginEngine, PluginHost, Pooling};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::channels::Door;
use crate::config::{Config, FILE_NAME};
use crate::failure::Failure;
use crate::place::{DataDir, FolderLock, Token};
use crate::programs::Programs;
use crate::sockets::BrokerDialer;
use crate::system::{RandomIds, SystemClock};
use crate::{brain, bundled, policies, secrets};

/// How long open connections may take to end after core has stopped. With core's own share a stop takes less than
/// the 10 s that are promised.
const CLOSE: Duration = Duration::from_secs(3);

/// How long a host is not called ready for plugins that are slow to load.
const LOADING: Duration = Duration::from_secs(3);
/// The same for those that come with it, which the first start compiles.
const INSTALLING: Duration = Duration::from_secs(60);

/// What a host is started with.
pub struct Settings {
    pub data: DataDir,
    pub config: Config,
    /// The file that the configuration came from, when it is not the one in the data folder.
    pub settings_file: Option<PathBuf>,
    /// Beats the configuration.
    pub database: Option<String>,
    pub bundled: Option<PathBuf>,
}

/// The plugins of a start, on their way to take calls.
struct Settling {
    loading: Boot,
    plugins: Arc<PluginHost>,
    bundled: Bundled,
    starting: Arc<AtomicBool>,
}

/// The plugins that come with the host, and the folder that they are granted.
struct Bundled {
    packages: Vec<PathBuf>,
    files: PathBuf,
}

/// A host that listens.
pub struct Host {
    core: Core,
    channels: Arc<Channels>,
    pulses: Pulses,
    store: Arc<SqlStore>,
    listener: TcpListener,
    hub: Hub,
    routes: axum::Router,
    url: String,
    settling: Settling,
    /// Other hosts stay away from the folder while this one lives.
    _lock: FolderLock,
}

impl Host {
    /// Opens everything. Fails before the first change when the address or the data folder is taken.
    pub async fn start(settings: Settings) -> Result<Self, Failure> {
        let Settings { data, config, settings_file, database, bundled } = settings;
        let database = self::database(database.as_deref(), &config, &data)?;
        let bundled = Bundled {
            packages: bundled.as_deref().map(bundled::find).transpose()?.unwrap_or_default(),
            files: std::path::absolute(data.path().join("files")).map_err(anyhow::Error::from)?,
        };
        let listener = listen(&config).await?;
        let lock = data.lock()?;
        let token = data.ensure_token()?;
        let model = brain::model(&config.model)?;
        let store = Arc::new(open(&database).await?);
        if let Some(bytes) = config.database.max_bytes {
            store.limit_bytes(bytes).await.map_err(anyhow::Error::from)?;
        }

        let clock = Arc::new(SystemClock);
        let ids = Arc::new(RandomIds);
        let links = Arc::new(Links::new());
        let endpoints = Arc::new(LinkedEndpoints::new(store.clone(), links.clone()));
        let vault = Arc::new(secrets::vault(store.clone(), key_place(&config, &data), clock.clone()));
        if let Err(error) = vault.place().check() {
            tracing::warn!(code = error.code(), %error, "no secret can be used");
        }
        let hidden = hidden(&data, vault.place().path(), settings_file.as_deref(), &database);
        let engine = engine(&config, &data, hidden)?;
        let broker = Broker::new(BrokerParts::system());
        let plugins = PluginHost::new(HostParts {
            engine,
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            folder: data.path().join("plugins"),
            services: Services::none()
                .with_endpoints(endpoints.clone())
                .with_keyvalue(Arc::new(StoredKeyvalue::new(store.clone(), clock.clone(), quota(&config))))
                .with_config(Arc::new(plugin_settings(&config)))
                .with_secrets(Arc::new(Desk::new(vault.clone())))
                .with_http(HttpOutlet::new(broker.clone()))
                .with_programs(Arc::new(Programs::new(&data)?)),
        });
        policies::take_custody(&plugins, data.path()).await?;
        let loading = plugins.begin().await.map_err(anyhow::Error::from)?;
        policies::apply(&plugins, data.path()).await?;
        plugins.trim_audit().await.map_err(anyhow::Error::from)?;
        let channels = Channels::new(ChannelParts {
            host: plugins.clone(),
            alarm: Arc::new(SystemAlarm(clock.clone())),
            dialer: Arc::new(BrokerDialer(broker)),
            settings: ChannelSettings::default(),
        });
        let ports = Ports {
            store: store.clone(),
            clock,
            ids,
            model,
            plugins: plugins.clone(),
            endpoints: Arc::new(ChannelLink { others: links.clone(), channels: channels.clone() }),
        };
        let core = Core::start(ports, core_config(&config)).await.map_err(anyhow::Error::from)?;
        endpoints.attach(core.clone());
        plugins.attach(core.clone());
        let starting = Arc::new(AtomicBool::new(true));
        let settling = Settling { loading, plugins: plugins.clone(), bundled, starting: starting.clone() };
        let keeper = Arc::new(secrets::Keeper(vault));
        plugins.listen_for_answers(channels.clone());
        channels.start(core.clone());
        core.go_on();
        let pulses =
            Pulses::start(plugins.clone(), Arc::new(SystemAlarm(Arc::new(SystemClock))), core.clone());
        let admin = Admin { plugins, starting };
        let (hub, routes) = routes(&config, &token, &core, links, admin, keeper, &channels)?;
        let url = format!("http://{}", listener.local_addr().map_err(anyhow::Error::from)?);
        data.write_address(&url)?;
        Ok(Self { core, channels, pulses, store, listener, hub, routes, url, settling, _lock: lock })
    }

    /// Serves until `stop`, then ends runs, streams and connections in that order.
    ///
    /// Everything is served from the first moment; `ready` is told when the plugins of the start are in place, or have
    /// taken too long to wait for.
    pub async fn run(self, stop: CancellationToken, ready: impl FnOnce(&str)) -> Result<(), Failure> {
        let Self { core, channels, pulses, store, listener, hub, routes, url, settling, _lock } = self;
        let closing = CancellationToken::new();
        let serve = berth_http::serve(listener, routes, ServeConfig::default(), closing.clone());
        let mut serving = tokio::spawn(serve);
        tracing::info!(%url, "listening");
        let mut settled = pin!(settling.settle());
        let mut ready = Some(ready);
        loop {
            tokio::select! {
                () = &mut settled, if ready.is_some() => {
                    if let Some(ready) = ready.take() {
                        ready(&url);
                    }
                }
                ended = &mut serving => {
                    ended.context("the host cannot listen any more")?;
                    break;
                }
                () = stop.cancelled() => {
                    tracing::info!("stopping");
                    // Nobody comes in any more; then long answers and sockets end with core.
                    closing.cancel();
                    channels.shutdown().await;
                    pulses.shutdown().await;
                    core.shutdown().await;
                    // A socket is no request to the server any more: it has a task of its own.
                    let closed = async { tokio::join!(hub.drained(), &mut serving) };
                    if tokio::time::timeout(CLOSE, closed).await.is_err() {
                        tracing::warn!("some connections did not end in time and are cut");
                        serving.abort();
                    }
                    break;
                }
            }
        }
        store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

impl Settling {
    /// Core and the listener are there by now: a plugin that takes its time, or never comes, keeps nobody from using the
    /// others.
    async fn settle(self) {
        if !self.loading.finished_within(LOADING).await {
            tracing::warn!("some plugins are still being loaded: calls of them wait");
        }
        let (plugins, Bundled { packages, files }) = (self.plugins, self.bundled);
        if !packages.is_empty() {
            // In a task: it goes on when nobody waits for it any more.
            let installing = tokio::spawn(async move { bundled::install(&plugins, packages, &files).await });
            if tokio::time::timeout(INSTALLING, installing).await.is_err() {
                tracing::warn!("some plugins that come with the host are still being installed");
            }
        }
        self.starting.store(false, Ordering::Relaxed);
    }
}

/// The database: flag, environment and file in this order, else a file in the data folder.
pub fn database(flag: Option<&str>, config: &Config, data: &DataDir) -> Result<DatabaseUrl, Failure> {
    match flag.or(config.database.url.as_deref()) {
        Some(text) => {
            text.parse().map_err(|error: berth_store::BadDatabaseUrl| Failure::Usage(error.to_string()))
        }
        None => Ok(DatabaseUrl::sqlite(data.path().join("berth.db"))),
    }
}

/// Opens the database and says what is wrong when it cannot.
pub async fn open(url: &DatabaseUrl) -> Result<SqlStore, Failure> {
    SqlStore::open(url).await.map_err(|error| match error {
        StoreError::InUse { .. } => Failure::failed("data_folder_in_use", error.to_string()),
        StoreError::NewerSchema { .. } => Failure::failed("database_newer", error.to_string()),
        StoreError::DiskFull { .. } => Failure::failed("disk_full", error.to_string()),
        other => anyhow::Error::from(other).context(format!("{url} cannot be opened")).into(),
    })
}

async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let address = config.server.listen;
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::failed(
            "address_in_use",
            format!(
                "{address} is in use: stop the program that listens there, or choose another with --listen"
            ),
        ),
        _ => anyhow::Error::from(error).context(format!("cannot listen on {address}")).into(),
    })
}

/// Where the key of the vault lies: configured, laid out by the service manager, or in the data folder.
pub fn key_place(config: &Config, data: &DataDir) -> KeyPlace {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    KeyPlace::find(data.path(), config.secrets.key_file.as_deref(), credentials.as_deref())
}

fn routes(
    config: &Config,
    token: &Token,
    core: &Core,
    links: Arc<Links>,
    admin: Admin,
    secrets: Arc<secrets::Keeper>,
    channels: &Arc<Channels>,
) -> anyhow::Result<(Hub, axum::Router)> {
    let access = AccessToken::new(token.expose()).context("the access token is blank")?;
    let mut hub = HubConfig::new(move |given| access.verify(given));
    hub.origins.clone_from(&config.server.cors_origins);
    hub.secret = Some(token.expose().to_owned());
    let hub = Hub::new(core.clone(), links, hub);
    let mut http = HttpConfig::new(access);
    http.origins.clone_from(&config.server.cors_origins);
    let state = HttpState::new(core.clone(), Arc::new(admin), secrets, Arc::new(RandomIds), http)
        .with_channels(Arc::new(Door(channels.clone())));
    let routes = berth_http::router(state, berth_hub::router(hub.clone()));
    Ok((hub, routes))
}

/// Files of ours outside of the data folder, where the operator has put some: the key of the secrets, the configuration,
/// which may name a password, and the database. Each as it is named and as it is without links.
fn hidden(data: &DataDir, key: &Path, settings: Option<&Path>, database: &DatabaseUrl) -> Vec<PathBuf> {
    let own = data.path().join(FILE_NAME);
    let mut files = vec![key.to_owned(), settings.unwrap_or(&own).to_owned()];
    if let DatabaseUrl::Sqlite(path) = database {
        files.push(path.clone());
    }
    let mut hidden = Vec::new();
    for file in files {
        // The file may not be there yet, its folder has to be.
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let (Ok(folder), Some(name)) = (folder.canonicalize(), file.file_name()) {
            hidden.push(folder.join(name));
        }
        hidden.extend(file.canonicalize());
    }
    hidden.sort();
    hidden.dedup();
    hidden
}

fn engine(config: &Config, data: &DataDir, hidden: Vec<PathBuf>) -> anyhow::Result<PluginEngine> {
    let mut settings = EngineConfig::new(Arc::new(SystemClock));
    settings.cache = Some(data.path().join("cache/plugins"));
    let private = data.path().canonicalize();
    settings.private = Some(private.with_context(|| format!("{} cannot be found", data.path().display()))?);
    settings.hidden = hidden;
    (settings.defaults, settings.ceilings) = config.plugins.limits();
    settings.concurrent_calls = config.plugins.max_concurrent;
    settings.memory_bytes = config.plugins.max_memory_bytes.unwrap_or_else(crate::system::memory_for_plugins);
    settings.stack_bytes = config.plugins.stack_bytes;
    settings.component_bytes = config.plugins.component_bytes;
    let bounds =
        [("total_bytes", config.plugins.folder_max_bytes), ("total_files", config.plugins.folder_max_files)];
    settings.folder_limit = Limit::of(bounds.into_iter().filter_map(|(name, most)| Some((name, most?))));
    settings.pooling = if config.plugins.pooling { Pooling::Probe } else { Pooling::Off };
    let compiling = CompileLimits {
        memory_bytes: config.plugins.compile_memory_bytes,
        cpu: Duration::from_secs(config.plugins.compile_seconds.saturating_mul(2)),
        wall: Duration::from_secs(config.plugins.compile_seconds),
    };
    let compiler = ChildCompiler::this_program(compiling).context("the program of the host is not found")?;
    settings.compiler = Arc::new(compiler);
    settings.instances = InstancePolicy {
        prewarm: config.plugins.prewarm,
        pool: config.plugins.pool,
        max_ready: config.plugins.max_ready,
    };
    PluginEngine::new(settings).context("the plugin engine cannot start")
}

/// What a plugin may keep in one workspace.
fn quota(config: &Config) -> Quota {
    Quota {
        pairs: config.plugins.keyvalue_max_pairs,
        bytes: config.plugins.keyvalue_max_bytes,
        value_bytes: config.plugins.keyvalue_max_value_bytes,
    }
}

/// What is set for each plugin.
fn plugin_settings(config: &Config) -> OperatorConfig {
    let settings = config.plugin.iter();
    OperatorConfig::new(settings.map(|(id, section)| (id.clone(), section.config.clone().into())).collect())
}

fn core_config(config: &Config) -> CoreConfig {
    CoreConfig {
        limits: RunLimits {
            rounds: config.runs.max_rounds,
            tool_calls: config.runs.max_tool_calls,
            wall: Duration::from_secs(config.runs.max_wall_seconds),
        },
        concurrent_runs: config.runs.concurrent,
        locale: config.runs.locale.clone().unwrap_or_default(),
        ..CoreConfig::default()
    }
}
