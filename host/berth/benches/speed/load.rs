//! Making a component of 2 MB callable: from its bytes, and from the cache.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use berth_wasm::{EngineConfig, PluginEngine};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use super::measure::median;
use super::plugins;
use super::report::Report;

/// Bytes of the component.
const BYTES: usize = 2_000_000;
/// Encoded bytes of one of its functions, about.
const FUNCTION: usize = 1_000;

/// Compiled once, then loaded again and again, beside wasmtime's own two ways.
pub fn cached(report: &mut Report) {
    let component = component(report.effort.of(BYTES, 20_000) / FUNCTION);
    let times = report.effort.of(15, 1);
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    report.head(&["a component becomes callable", "component MB", "p50 ms", "most ms"]);
    let megabytes = component.len() as f64 / 1e6;
    let mut row = |what: &str, millis: Vec<f64>| {
        let most = millis.iter().copied().fold(0.0, f64::max);
        let middle = median(millis.into_iter());
        report.row(&[
            what.to_owned(),
            format!("{megabytes:.2}"),
            format!("{middle:.2}"),
            format!("{most:.2}"),
        ]);
    };

    let engine = Engine::new(Config::new().concurrency_support(false)).unwrap();
    let path = place.path().join("bare.cwasm");
    let compiled =
        millis(|| std::fs::write(&path, engine.precompile_component(&component).unwrap()).unwrap());
    row("compiled: wasmtime alone", vec![compiled]);
    row(
        "from a file that is mapped: wasmtime alone",
        (0..times).map(|_| millis(|| mapped(&engine, &path))).collect(),
    );
    row(
        "from a file that is read: wasmtime alone",
        (0..times).map(|_| millis(|| read(&engine, &path))).collect(),
    );

    let config = EngineConfig { cache: Some(place.path().join("cache")), ..plugins::server() };
    let ours = runtime.block_on(async { PluginEngine::new(config).unwrap() });
    let spec = plugins::spec(component, &plugins::minimal("large"));
    let load = || drop(runtime.block_on(ours.load(spec.clone())).unwrap());
    row("compiled, and kept in the cache: berth's engine", vec![millis(load)]);
    row("from the cache, authenticated: berth's engine", (0..times).map(|_| millis(load)).collect());
}

fn millis(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1000.0
}

#[expect(unsafe_code, reason = "the way of wasmtime that ours is compared with")]
fn mapped(engine: &Engine, path: &Path) {
    // SAFETY: this program has just written the file, with the compiler of the same engine.
    drop(unsafe { Component::deserialize_file(engine, path) }.unwrap());
}

#[expect(unsafe_code, reason = "the way of wasmtime that ours is compared with")]
fn read(engine: &Engine, path: &Path) {
    let code = std::fs::read(path).unwrap();
    // SAFETY: this program has just written the file, with the compiler of the same engine.
    drop(unsafe { Component::deserialize(engine, code) }.unwrap());
}

/// So many functions that compute, read, write, branch and call each other.
fn component(functions: usize) -> Vec<u8> {
    let mut text = String::from("(component (core module $m (memory 2)\n");
    for number in 0..functions {
        writeln!(text, "(func $f{number} (param $x i32) (result i32)").unwrap();
        for step in 0..FUNCTION / 40 {
            let offset = (number * 31 + step * 17) % 4096;
            write!(
                text,
                "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const {})) (i32.load offset={offset} \
                 (i32.and (local.get $x) (i32.const 4095)))))\n\
                 (if (i32.lt_s (local.get $x) (i32.const {})) (then (i32.store offset={offset} \
                 (i32.and (local.get $x) (i32.const 4095)) (local.get $x))))\n",
                number * 7 + step + 1_000_000,
                step * 1_000 + number
            )
            .unwrap();
        }
        match number {
            0 => text.push_str("(local.get $x))\n"),
            _ => writeln!(text, "(call $f{} (local.get $x)))", number / 2).unwrap(),
        }
    }
    let last = functions - 1;
    writeln!(text, "(export \"run\" (func $f{last})))\n(core instance $i (instantiate $m))").unwrap();
    text.push_str(
        "(func (export \"run\") (param \"x\" s32) (result s32) (canon lift (core func $i \"run\"))))",
    );
    wat::parse_str(text).unwrap()
}
