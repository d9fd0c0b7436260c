//! A whole host inside of this program: core, SQLite on disk, plugins, the endpoint socket on loopback.

use std::sync::Arc;

use berth_core::messages::NewMessage;
use berth_core::port::clock::Clock;
use berth_core::port::ids::Ids;
use berth_core::port::store::EventScope;
use berth_core::threads::NewThread;
use berth_core::{Core, CoreConfig, Ports};
use berth_hub::{Hub, HubConfig, Links};
use berth_llm::Scripted;
use berth_model::{RunId, ThreadId, Timestamp, WorkspaceId};
use berth_store::{DatabaseUrl, SqlStore};
use berth_wasm::capability::services::Services;
use berth_wasm::{EngineConfig, HostParts, Package, PluginEngine, PluginHost};
use tokio::runtime::Runtime;

use super::guests;
use super::plugins::minimal;

/// The token of the host.
pub const TOKEN: &str = "a token that only this program knows";

/// The clock of the machine.
pub struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

/// Random ids, as the host's own.
pub struct Random;

impl Ids for Random {
    fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(rand::random()).into_uuid()
    }
}

/// Where the database is.
#[derive(Clone, Copy)]
pub enum Disk {
    /// Beside what was built.
    Real,
    /// A folder in memory: what is left without the disk.
    Memory,
}

/// A host at work.
pub struct World {
    pub runtime: Runtime,
    pub core: Core,
    pub links: Arc<Links>,
    /// `http://127.0.0.1:…`, where endpoints connect.
    pub address: String,
    _folder: tempfile::TempDir,
}

impl World {
    pub fn start(disk: Disk) -> Self {
        let folder = match disk {
            Disk::Real => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")),
            Disk::Memory => tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()),
        };
        let folder = folder.unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (core, links, address) = runtime.block_on(async {
            let store = SqlStore::open(&DatabaseUrl::sqlite(folder.path().join("berth.db"))).await.unwrap();
            let store = Arc::new(store);
            let plugins = PluginHost::new(HostParts {
                engine: PluginEngine::new(EngineConfig::new(Arc::new(Now))).unwrap(),
                store: store.clone(),
                clock: Arc::new(Now),
                ids: Arc::new(Random),
                folder: folder.path().join("components"),
                services: Services::none(),
            });
            let package = Package::new(minimal("bench-typed"), guests::fixture("bench-typed"));
            plugins.install(package).await.unwrap();
            let links = Arc::new(Links::new());
            let ports = Ports {
                store,
                clock: Arc::new(Now),
                ids: Arc::new(Random),
                model: Arc::new(Scripted),
                plugins,
                endpoints: links.clone(),
            };
            let core = Core::start(ports, CoreConfig::default()).await.unwrap();
            let mut hub = HubConfig::new(|token| token == TOKEN);
            hub.secret = Some(TOKEN.to_owned());
            let routes = berth_hub::router(Hub::new(core.clone(), links.clone(), hub));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(axum::serve(listener, routes).into_future());
            (core, links, address)
        });
        Self { runtime, core, links, address, _folder: folder }
    }

    pub fn stop(self) {
        self.runtime.block_on(self.core.shutdown());
    }
}

/// The workspace of everything here.
pub fn personal() -> WorkspaceId {
    WorkspaceId::fixed("personal")
}

/// A new thread.
pub async fn thread(core: &Core) -> ThreadId {
    let new = NewThread { workspace: personal(), title: String::new(), mode: "general".to_owned() };
    core.create_thread(new).await.unwrap().id
}

/// Posts one message; its run answers.
pub async fn post(core: &Core, thread: ThreadId, text: &str) -> RunId {
    let new = NewMessage::of_user(thread, text);
    core.post_message(new).await.unwrap().run.unwrap()
}

/// Posts one message and waits until its run has ended well.
pub async fn say(core: &Core, thread: ThreadId, text: &str) {
    let mut events = core.subscribe(EventScope::Thread(thread), None).await.unwrap();
    post(core, thread, text).await;
    loop {
        let event = events.next().await.unwrap().unwrap();
        match event.event().kind.as_str() {
            "run.completed" => return,
            "run.failed" | "run.cancelled" => panic!("{:?}", event.event().payload),
            _ => {}
        }
    }
}
