//! What berth costs, each way beside the same work done by wasmtime alone in the same run.
//!
//! `cargo xtask bench [WORD…]` builds the guests first; `cargo bench -p berth --bench speed -- [WORD…]` does not. A word
//! picks the parts whose name holds it; `--quick` (or `--test`) runs each once with next to no time, to see that it
//! works. `BERTH_BENCH_TABLES` names a file that gets the tables, in Markdown. Ways that are compared take turns, so
//! that a busy moment of the machine meets all of them. Written by hand because criterion measures one thread, and
//! neither the spread of single calls nor their number per second. Nothing here fails because it was slow.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for its own author")]

#[path = "speed/parts.rs"]
#[allow(dead_code, reason = "only the test looks for silent parts")]
mod parts;

use std::process::Command;

use parts::PARTS;
use parts::report::{Effort, Report};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| words.iter().any(|word| word == flag);
    // `cargo test --all-targets` starts this too; `tests/speed.rs` is the test.
    if !has("--bench") {
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
    let effort = if has("--quick") || has("--test") { Effort::QUICK } else { Effort::FULL };
    let mut report = Report::new(effort);
    for (name, part) in PARTS {
        if picked(name) {
            report.begin(name);
            part(&mut report);
        }
    }
    println!("\n{report}");
    if let Some(path) = std::env::var_os("BERTH_BENCH_TABLES") {
        std::fs::write(path, report.to_string()).unwrap();
    }
}
