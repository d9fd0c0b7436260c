//! What a call costs, each way beside the same guest called by wasmtime alone.
//!
//! `cargo xtask guests && cargo bench -p berth --bench calls [-- WORD…]`; a word picks the parts whose name holds it.
//! Ways that are compared take turns within one run, so that a busy moment of the machine meets all of them. Written by
//! hand because criterion measures one thread, and neither the spread of single calls nor their number per second.
//! Nothing here fails because it was slow.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for its own author")]

mod bare;
mod endpoint;
mod engine;
mod guests;
mod mcp;
mod measure;
mod messages;
mod router;
mod world;

use std::process::Command;

use measure::Table;

/// Callers beside each other.
const CALLERS: [usize; 3] = [1, 2, 4];

/// A part by its name.
type Part = (&'static str, fn(&mut Table));

const PARTS: [Part; 8] = [
    ("typed", engine::typed),
    ("dynamic", engine::dynamic),
    ("foreign", engine::foreign),
    ("files", engine::files),
    ("router", router::operations),
    ("endpoint", endpoint::round_trips),
    ("messages", messages::replies),
    ("mcp", mcp::echo),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts this too.
    if !words.iter().any(|word| word == "--bench") {
        return;
    }
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        // Each dropped store would capture a backtrace, in wasmtime alone as well.
        let mut again = Command::new(std::env::current_exe().unwrap());
        let status = again.args(&words).env("RUST_BACKTRACE", "0").status().unwrap();
        std::process::exit(status.code().unwrap_or(1));
    }
    let picked = |name: &str| {
        let mut wanted = words.iter().filter(|word| !word.starts_with("--")).peekable();
        wanted.peek().is_none() || wanted.any(|word| name.contains(word.as_str()))
    };
    let mut table = Table::default();
    for (name, part) in PARTS {
        if picked(name) {
            part(&mut table);
        }
    }
    println!("{table}");
}
