//! A file that a plugin reads.

use std::sync::Arc;

use berth_model::plugin::GrantMode;
use berth_wasm::ToolInvocation;
use berth_wasm::capability::Capability;
use berth_wasm::capability::grants::{Fixed, GrantSource, GrantView, Granted, Request as Wish};
use futures::FutureExt;
use serde_json::json;
use wasmtime::component::{ComponentType, Lift, Lower};

use super::bare::Bare;
use super::measure::Way;
use super::report::{Aim, Report};
use super::{CALLERS, guests, plugins};

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

    #[derive(ComponentType, Lower, Clone, Copy)]
    #[component(enum)]
    #[repr(u8)]
    #[expect(dead_code, reason = "left out, so that the plugin looks for itself")]
    pub enum Decoding {
        #[component(name = "utf8")]
        Utf8,
        #[component(name = "utf16")]
        Utf16,
        #[component(name = "latin1")]
        Latin1,
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
pub fn read(report: &mut Report) {
    const BYTES: usize = 4096;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let line = "some words of a note that somebody keeps for later use\n";
    let text: String = line.chars().cycle().take(BYTES).collect();
    std::fs::write(folder.path().join("note.txt"), text).unwrap();

    let place = guests::plugin("files");
    let component = guests::read(&place.join("files.wasm"));
    let params = || {
        let (unit, decoding) = (None::<reading::Unit>, None::<reading::Decoding>);
        ("/note.txt".to_owned(), None::<u64>, None::<u32>, unit, decoding)
    };
    let host = Some(folder.path().to_owned());
    let bare = Bare::quickest::<_, Read>(&component, "berth:files/files@0.1.0", "read", host, params);
    let manifest = String::from_utf8(guests::read(&place.join("plugin.toml"))).unwrap();
    let plugin = plugins::load(component, &manifest, plugins::server());
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
                let mut call =
                    ToolInvocation::new(&*tool, json!({ "path": "/note.txt" }), plugins::context());
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
                let mut call = ToolInvocation::new(tool, json!({ "path": "/note.txt" }), plugins::context());
                call.grants = grants;
                let outcome = plugin.call(call).await.unwrap();
                assert_eq!(outcome.content["content"].as_str().map(str::len), Some(BYTES));
            }
            .boxed()
        });
        let figures = report.compare(callers, &[alone, ours, host]);
        if callers == 1 {
            report.aim("file of 4 KiB, in a host", figures[2].times_p50, "×", Aim::AtMost(1.3));
        }
    }
}

fn granted(folder: &std::path::Path) -> Arc<dyn GrantSource> {
    let scope = json!({ "guest": "/", "access": "ro" });
    let wish = Wish::new(Capability::Files, scope);
    let scope = json!({ "host": folder.to_str().unwrap(), "guest": "/", "access": "ro" });
    let grant = Granted { capability: Capability::Files, scope: scope.into(), mode: GrantMode::Allow };
    Arc::new(Fixed(Arc::new(GrantView::new(1, "files", vec![wish], vec![grant]))))
}
