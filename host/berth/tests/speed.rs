//! The parts of the bench work; what they measure is read by people.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../benches/speed/parts.rs"]
#[allow(dead_code, reason = "only the bench takes its time")]
mod parts;

use parts::report::{Effort, Report};
use parts::{PARTS, Part};

/// Runs `wanted` parts with next to no time.
fn run(wanted: impl Fn(&str) -> bool) -> Report {
    let mut report = Report::new(Effort::QUICK);
    let picked: Vec<&Part> = PARTS.iter().filter(|(name, _)| wanted(name)).collect();
    assert!(!picked.is_empty());
    for (name, part) in picked {
        report.begin(name);
        part(&mut report);
    }
    report
}

/// Those that start hosts.
const HOSTS: [&str; 4] = ["router", "endpoint", "messages", "start"];

#[test]
fn every_bench_of_the_engine_runs_and_tells_what_it_measured() {
    let report = run(|name| !HOSTS.contains(&name));

    // The server that it is compared with is installed by the task that measures.
    let without: &[&str] = if std::env::var_os("BERTH_MCP_SERVER").is_none() { &["mcp"] } else { &[] };
    assert_eq!(report.silent_parts(without), [""; 0]);
}

#[test]
fn every_bench_of_a_host_runs_and_tells_what_it_measured() {
    let report = run(|name| HOSTS.contains(&name));

    assert_eq!(report.silent_parts(&[]), [""; 0]);
}
