//! Where it was measured.

use std::process::Command;

use super::report::Report;

/// Processor, memory, system and versions, and what else the machine had to do.
pub fn facts(report: &mut Report) {
    report.head(&["fact", "is"]);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = line_of("/proc/cpuinfo", "model name");
    let memory = line_of("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0_u64) >> 20;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(", ");
    let facts = [
        ("processor", format!("{processor}, {cores} cores")),
        ("memory", format!("{memory} GiB")),
        ("system", said("uname", &["-sr"])),
        ("compiler", said("rustc", &["--version"])),
        ("wasmtime", berth_wasm::engine::profile::WASMTIME.to_owned()),
        ("load at the start", load),
    ];
    for (fact, is) in facts {
        report.row(&[fact.to_owned(), is]);
    }
}

fn line_of(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches([' ', '\t', ':']).to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
