//! Components that are dear to compile, and the process that compiles them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use berth_wasm::engine::compiler::child::{ChildCompiler, CompileLimits};
use berth_wasm::engine::compiler::{CompileError, Compiler, InProcess};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::bytes::Bytes;

use crate::support::{Host, Options};

/// A component of half a megabyte with one function, whose code takes far more memory and time than others of its size:
/// every variable is alive across every loop.
fn bomb() -> Bytes {
    const VARIABLES: usize = 3000;
    const LOOPS: usize = 12_000;
    let mut body = String::new();
    for variable in 0..VARIABLES {
        body.push_str(&format!("(local.set {variable} (call $seed))"));
    }
    body.push_str(&"(loop (br_if 0 (call $seed)))".repeat(LOOPS));
    for variable in 0..VARIABLES {
        body.push_str(&format!("(drop (i32.add (local.get {variable}) (call $seed)))"));
    }
    let locals = " i32".repeat(VARIABLES);
    let text = format!(
        r#"(component
            (core module $m
                (func $seed (result i32) (i32.const 0))
                (func (export "run") (local{locals}) {body}))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    );
    wat::parse_str(text).unwrap().into()
}

fn small() -> Bytes {
    wat::parse_str(
        r#"(component
            (core module $m (func (export "run") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
            (core instance $i (instantiate $m))
            (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#,
    )
    .unwrap()
    .into()
}

fn engine() -> wasmtime::Engine {
    berth_wasm::engine::profile::compiler().unwrap()
}

fn berth(limits: CompileLimits) -> ChildCompiler {
    ChildCompiler::new(env!("CARGO_BIN_EXE_berth"), limits)
}

async fn refusal(compiler: &ChildCompiler, component: Bytes) -> CompileError {
    compiler.compile(&engine(), component).await.unwrap_err()
}

/// A program of its own in the place of the compiler.
fn script(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("compiler");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

#[tokio::test]
async fn the_child_makes_the_same_code_as_the_host_would() {
    let code = berth(CompileLimits::default()).compile(&engine(), small()).await.unwrap();

    assert_eq!(code, InProcess.compile(&engine(), small()).await.unwrap());
}

#[tokio::test]
async fn what_is_refused_by_the_compiler_says_why() {
    let error = refusal(&berth(CompileLimits::default()), Bytes::from_static(b"\0asm")).await;

    assert_eq!(error.code(), "PLUGIN_COMPILE_FAILED");
    assert!(error.to_string().contains("unexpected end"), "{error}");
}

#[tokio::test]
async fn a_component_that_takes_too_much_memory_to_compile_is_refused() {
    let limits = CompileLimits { memory_bytes: 512 << 20, ..CompileLimits::default() };

    let error = refusal(&berth(limits), bomb()).await;

    assert_eq!(error.code(), "PLUGIN_COMPILE_MEMORY", "{error}");
    assert!(berth(limits).compile(&engine(), small()).await.is_ok(), "the limit is not too low for others");
}

#[tokio::test]
async fn a_component_that_takes_too_much_processor_to_compile_is_refused() {
    let limits = CompileLimits { cpu: Duration::from_secs(1), ..CompileLimits::default() };

    let error = refusal(&berth(limits), bomb()).await;

    assert!(matches!(error, CompileError::Time { seconds: 1 }), "{error}");
    assert_eq!(error.code(), "PLUGIN_COMPILE_TIMEOUT");
}

#[tokio::test]
async fn a_compiler_that_does_not_come_back_is_killed_at_its_time() {
    let (folder, program) = script("echo $$ > \"$(dirname \"$0\")/pid\"\nexec cat");
    let limits = CompileLimits { wall: Duration::from_millis(300), ..CompileLimits::default() };

    let error = refusal(&ChildCompiler::new(program, limits), small()).await;

    assert_eq!(error.code(), "PLUGIN_COMPILE_TIMEOUT");
    if let Ok(pid) = std::fs::read_to_string(folder.path().join("pid")) {
        until_gone(pid.trim()).await;
    }
}

/// Waits until a process is no more, or is only waited for.
async fn until_gone(pid: &str) {
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_compiler_that_breaks_down_is_told_with_its_last_words() {
    let (_folder, program) = script("echo 'thread main panicked' >&2\nexit 7");

    let error = refusal(&ChildCompiler::new(program, CompileLimits::default()), small()).await;

    assert_eq!(error.code(), "PLUGIN_COMPILE_CRASHED");
    assert!(error.to_string().contains("panicked"), "{error}");
    let nowhere = ChildCompiler::new("/nowhere/compiler", CompileLimits::default());
    assert_eq!(refusal(&nowhere, small()).await.code(), "PLUGIN_COMPILER_UNAVAILABLE");
}

#[tokio::test]
async fn the_compiler_is_given_no_environment() {
    let (_folder, program) = script("tr '\\0' '\\n' < /proc/$$/environ | wc -l >&2\nexit 1");

    let error = refusal(&ChildCompiler::new(program, CompileLimits::default()), small()).await;

    assert!(error.to_string().ends_with(": 0"), "{error}");
}

fn package(host: &Host, id: &str, component: &Bytes) -> PathBuf {
    let folder = host.scratch().join(id);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{id}.wasm")), component).unwrap();
    std::fs::write(folder.join("plugin.toml"), format!("[plugin]\nid = \"{id}\"\nversion = \"0.1.0\"\n"))
        .unwrap();
    folder
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_host_that_is_given_a_bomb_refuses_it_serves_others_and_keeps_nothing_of_it() {
    let mut options = Options::bundled();
    options.config = "[plugins]\ncompile_memory_bytes = 536870912\n".to_owned();
    let host = Arc::new(Host::start(options));
    let before = (files(&host.data().join("plugins")), files(&host.data().join("cache/plugins")));
    let bomb = package(&host, "bomb", &bomb());

    let installing = std::thread::spawn({
        let host = host.clone();
        move || host.cli(&["plugin", "install", bomb.to_str().unwrap(), "--json"])
    });
    let mut answered = 0;
    while !installing.is_finished() || answered == 0 {
        let call = json!({ "tool": "echo_say", "arguments": { "text": "on" } });
        assert_eq!(host.request("POST", "/operator/plugins/call", Some(&call)).0, 200);
        answered += 1;
    }

    let refused = installing.join().unwrap().failed(1);
    assert!(refused.contains("PLUGIN_COMPILE_MEMORY"), "{refused}");
    assert_eq!((files(&host.data().join("plugins")), files(&host.data().join("cache/plugins"))), before);
    assert_eq!(host.request("GET", "/operator/plugins/bomb", None).0, 404);
    assert_eq!(host.request("GET", "/health", None).0, 200);
}
