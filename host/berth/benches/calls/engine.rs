//! A fresh call of a tool through the engine.

use std::sync::Arc;

use berth_model::plugin::GrantMode;
use berth_model::{ActorId, CallId, OperationId, WorkspaceId};
use berth_wasm::capability::Capability;
use berth_wasm::capability::context::CallContext;
use berth_wasm::capability::grants::{Fixed, GrantSource, GrantView, Granted, Request as Wish};
use berth_wasm::wit::v0_1::{Output, Request, WitError};
use berth_wasm::{
    ComponentSource, Docs, EngineConfig, LoadedPlugin, Manifest, PluginEngine, PluginSpec, ToolInvocation,
};
use futures::FutureExt;
use serde_json::json;
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::bare::Bare;
use crate::measure::{Table, Way};
use crate::world::Now;
use crate::{CALLERS, guests};

/// `run: func(name: string) -> result<string, string>`, in a guest of our SDK.
pub fn typed(table: &mut Table) {
    greetings(table, "bench-typed", "fresh typed call");
}

/// The same in a guest that knows nothing of our SDK: the compiler's own stack size and allocator.
pub fn foreign(table: &mut Table) {
    greetings(table, "bench-foreign", "fresh typed call, foreign guest");
}

fn greetings(table: &mut Table, guest: &str, name: &str) {
    let bare = guests::bare_greeter(guest);
    let plugin = load(guests::fixture(guest), &minimal(guest), Docs::default());
    let tool = plugin.tools()[0].key();
    for callers in CALLERS {
        let alone = || guests::greet(&bare).boxed_local();
        let ours = || {
            async {
                let call = ToolInvocation::new(&*tool, json!({ "name": "berth" }), context());
                assert_eq!(plugin.call(call).await.unwrap().content, "hello berth");
            }
            .boxed_local()
        };
        let alone = Way::on_threads(&format!("{name}: wasmtime alone"), alone);
        let ours = Way::on_threads(&format!("{name}: berth's engine"), ours);
        table.compare(callers, &[alone, ours]);
    }
}

/// `invoke` with a small JSON object, said back.
pub fn dynamic(table: &mut Table) {
    let component = guests::fixture("bench-dynamic");
    let arguments = || json!({ "name": "berth" }).to_string();
    let request = move || Request { name: "echo".to_owned(), arguments: arguments(), meta: Vec::new() };
    let bare = Bare::quickest::<_, (Result<Output, WitError>,)>(
        &component,
        "berth:plugin/tools@0.1.0",
        "invoke",
        None,
        move || (request(),),
    );
    let plugin = load(component, &minimal("bench-dynamic"), Docs::default());
    for callers in CALLERS {
        let alone = || {
            async {
                let (answer,) = bare.call::<_, (Result<Output, WitError>,)>((request(),)).await;
                let content: serde_json::Value = serde_json::from_str(&answer.unwrap().content).unwrap();
                assert_eq!(content["name"], "berth");
            }
            .boxed_local()
        };
        let ours = || {
            async {
                let call = ToolInvocation::new("echo", json!({ "name": "berth" }), context());
                assert_eq!(plugin.call(call).await.unwrap().content["name"], "berth");
            }
            .boxed_local()
        };
        let alone = Way::on_threads("fresh dynamic call: wasmtime alone", alone);
        let ours = Way::on_threads("fresh dynamic call: berth's engine", ours);
        table.compare(callers, &[alone, ours]);
    }
}

/// The dynamic echo, ready to be called.
pub fn echo_plugin() -> LoadedPlugin {
    load(guests::fixture("bench-dynamic"), &minimal("bench-dynamic"), Docs::default())
}

/// One call of it.
pub async fn echo_once(plugin: LoadedPlugin) {
    let call = ToolInvocation::new("echo", json!({ "name": "berth" }), context());
    assert_eq!(plugin.call(call).await.unwrap().content["name"], "berth");
}

/// What `read` of the plugin `files` takes and gives.
mod reading {
    use super::{ComponentType, Lift, Lower};

    #[derive(ComponentType, Lift, Lower, Clone, Copy)]
    #[component(enum)]
    #[repr(u8)]
    #[expect(dead_code, reason = "made by lifting alone")]
    pub enum Unit {
        #[component(name = "lines")]
        Lines,
        #[component(name = "bytes")]
        Bytes,
    }

    #[derive(ComponentType, Lift)]
    #[component(record)]
    #[expect(dead_code, reason = "the whole record is lifted, as a host would")]
    pub struct Content {
        path: String,
        encoding: Encoding,
        pub content: String,
        size: u64,
        truncated: bool,
        #[component(name = "next-offset")]
        next_offset: Option<u64>,
        unit: Unit,
    }

    #[derive(ComponentType, Lift, Clone, Copy)]
    #[component(enum)]
    #[repr(u8)]
    #[expect(dead_code, reason = "made by lifting alone")]
    pub enum Encoding {
        #[component(name = "text")]
        Text,
        #[component(name = "base64")]
        Base64,
    }

    #[derive(ComponentType, Lift, Debug)]
    #[component(record)]
    #[expect(dead_code, reason = "shown when it fails")]
    pub struct Error {
        code: String,
        message: String,
    }
}

type Read = (Result<reading::Content, reading::Error>,);

/// A file of 4 KiB, read by the bundled plugin.
pub fn files(table: &mut Table) {
    const BYTES: usize = 4096;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let line = "some words of a note that somebody keeps for later use\n";
    let text: String = line.chars().cycle().take(BYTES).collect();
    std::fs::write(folder.path().join("note.txt"), text).unwrap();

    let place = guests::plugin("files");
    let component = guests::read(&place.join("files.wasm"));
    let params = || ("/note.txt".to_owned(), None::<u64>, None::<u32>, None::<reading::Unit>);
    let host = Some(folder.path().to_owned());
    let bare = Bare::quickest::<_, Read>(&component, "berth:files/files@0.1.0", "read", host, params);
    let manifest = String::from_utf8(guests::read(&place.join("plugin.toml"))).unwrap();
    let plugin = load(component, &manifest, Docs::default());
    let tool = plugin.tools().iter().find(|tool| tool.key().ends_with("#read")).unwrap().key();
    let grants = granted(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for callers in CALLERS {
        let alone = || {
            async {
                let (answer,) = bare.call::<_, Read>(params()).await;
                assert_eq!(answer.unwrap().content.len(), BYTES);
            }
            .boxed_local()
        };
        let ours = || {
            async {
                let mut call = ToolInvocation::new(&*tool, json!({ "path": "/note.txt" }), context());
                call.grants = grants.clone();
                let outcome = plugin.call(call).await.unwrap();
                assert_eq!(outcome.content["content"].as_str().map(str::len), Some(BYTES));
            }
            .boxed_local()
        };
        let alone = Way::on_threads("read a file of 4 KiB: wasmtime alone", alone);
        let ours = Way::on_threads("read a file of 4 KiB: berth's engine, pool of threads", ours);
        let (plugin, tool, grants) = (plugin.clone(), tool.clone(), grants.clone());
        let host = Way::in_tasks("read a file of 4 KiB: berth's engine, in a host", &runtime, move |_| {
            let (plugin, tool, grants) = (plugin.clone(), tool.clone(), grants.clone());
            async move {
                let mut call = ToolInvocation::new(tool, json!({ "path": "/note.txt" }), context());
                call.grants = grants;
                let outcome = plugin.call(call).await.unwrap();
                assert_eq!(outcome.content["content"].as_str().map(str::len), Some(BYTES));
            }
            .boxed()
        });
        table.compare(callers, &[alone, ours, host]);
    }
}

fn granted(folder: &std::path::Path) -> Arc<dyn GrantSource> {
    let scope = json!({ "guest": "/", "access": "ro" });
    let wish = Wish::new(Capability::Files, scope);
    let scope = json!({ "host": folder.to_str().unwrap(), "guest": "/", "access": "ro" });
    let grant = Granted { capability: Capability::Files, scope, mode: GrantMode::Allow };
    Arc::new(Fixed(Arc::new(GrantView::new(1, "files", vec![wish], vec![grant]))))
}

pub fn minimal(id: &str) -> String {
    format!("[plugin]\nid = \"{id}\"\nversion = \"0.1.0\"\n")
}

fn load(component: Vec<u8>, manifest: &str, docs: Docs) -> LoadedPlugin {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = PluginEngine::new(EngineConfig::new(Arc::new(Now))).unwrap();
        let manifest = Manifest::parse(manifest).unwrap();
        let inspection = berth_wasm::inspect::inspect(&component, &manifest, &docs).unwrap();
        let is_dynamic = inspection.is_dynamic;
        let spec = PluginSpec {
            digest: inspection.digest,
            component: ComponentSource::Bytes(component.into()),
            manifest: Arc::new(manifest),
            tools: inspection.tools,
        };
        let plugin = engine.load(spec).await.unwrap();
        if is_dynamic {
            let tools = plugin.describe(context()).await.unwrap();
            return plugin.with_tools(tools).unwrap();
        }
        plugin
    })
}

fn context() -> CallContext {
    CallContext {
        call: CallId::from_uuid(uuid::Uuid::from_u128(1)),
        operation: OperationId::from_uuid(uuid::Uuid::from_u128(2)),
        run: None,
        thread: None,
        session: None,
        workspace: WorkspaceId::fixed("personal"),
        actor: ActorId::fixed("user:self"),
        locale: String::new(),
        dry_run: false,
        idempotency_key: String::new(),
        meta: Vec::new(),
    }
}
