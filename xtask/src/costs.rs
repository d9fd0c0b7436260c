//! `cargo xtask costs`: what a plugin in each language costs, by the receipts of its calls.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use berth_build::files;
use clap::Args;
use serde_json::Value;

use crate::host::{self, Host};
use crate::table::{END, put};
use crate::{examples, step};

/// The page that has a place for the table.
const PAGE: &str = "docs/plugin-guide.md";
const BEGIN: &str = "<!-- costs -->\n";
/// Calls behind the first one; what is told is the one in the middle.
const CALLS: usize = 21;

/// A plugin of each language, with a call of it.
const PLUGINS: [(&str, &str, &str, &str); 4] = [
    ("Rust, `hello`", "hello", "hello_greet", r#"{"name": "Ada"}"#),
    ("C, `checksum`", "checksum", "checksum_text", r#"{"algorithm": "sha256", "text": "abc"}"#),
    ("JavaScript, `regex`", "regex", "regex_split", r#"{"pattern": ",", "text": "a,b"}"#),
    ("Python, `tables`", "tables", "tables_describe", r#"{"csv": "city,people\nBern,134000\n"}"#),
];

/// What to measure with, and where to put it.
#[derive(Args)]
pub struct Options {
    /// The program; a release build of it when it is not said.
    #[arg(long, value_name = "FILE")]
    berth: Option<PathBuf>,
    /// Put the table into docs/plugin-guide.md, in place of the one that is there.
    #[arg(long)]
    write: bool,
}

/// Builds what is missing, installs a plugin of each language into a host of its own, and calls it.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let berth = match &options.berth {
        Some(berth) => std::path::absolute(berth)?,
        None => {
            step::run("building the host", crate::cargo().args(["build", "--release", "--bin", "berth"]))?;
            crate::target().join("release").join(format!("berth{}", std::env::consts::EXE_SUFFIX))
        }
    };
    let examples = examples::all()?;
    let folder = tempfile::tempdir()?;
    let bench = Bench { berth, folder: folder.path().to_owned() };
    bench.hello()?;
    for name in ["checksum", "regex", "tables"] {
        let to = folder.path().join(name);
        for file in ["plugin.toml".to_owned(), format!("{name}.wasm")] {
            files::write(&to.join(&file), &files::read(&examples.join(name).join(&file))?)?;
        }
    }

    let address = host::free_address(0)?;
    let mut running = Host::start(bench.command(&["serve", "--listen", &address.to_string()]), address)?;
    if !running.ready(|| false)? {
        bail!("the host is not ready");
    }
    let mut costs = Vec::new();
    for (title, name, tool, arguments) in PLUGINS {
        costs.push((title, bench.cost(name, tool, arguments)?));
    }
    let table = table(&costs);
    step::say(&format!("measured\n{table}"));
    if !options.write {
        return Ok(());
    }
    let page = crate::root().join(PAGE);
    files::write(&page, taken_over(&files::read_text(&page)?, &table)?.as_bytes())?;
    step::say(&format!("{PAGE} has the new table"));
    Ok(())
}

/// What a plugin costs. Times are microseconds by the receipts, the install is milliseconds by the clock.
struct Cost {
    bytes: u64,
    install_ms: u128,
    first: u64,
    fresh: u64,
    prewarmed: u64,
    memory_bytes: u64,
}

struct Bench {
    berth: PathBuf,
    folder: PathBuf,
}

impl Bench {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.berth);
        command.current_dir(&self.folder).args(arguments).stdin(Stdio::null());
        command.env("BERTH_DATA", self.folder.join("data")).env("BERTH_CACHE", crate::tools());
        command.env("CARGO_TARGET_DIR", crate::target().join("authors"));
        for name in ["BERTH_ACCESS_TOKEN", "BERTH_URL"] {
            command.env_remove(name);
        }
        command
    }

    /// What `berth plugin` says with these arguments.
    fn plugin(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut all = vec!["plugin"];
        all.extend(arguments);
        let output = self.command(&all).output()?;
        if !output.status.success() {
            bail!("berth plugin {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The plugin that a newcomer begins with, built with the crates that are here already.
    fn hello(&self) -> anyhow::Result<()> {
        self.plugin(&["new", "hello", "--lang", "rust"])?;
        let lock = files::read(&crate::root().join("Cargo.lock"))?;
        files::write(&self.folder.join("hello/Cargo.lock"), &lock)?;
        self.plugin(&["build", "hello"])?;
        Ok(())
    }

    fn cost(&self, name: &str, tool: &str, arguments: &str) -> anyhow::Result<Cost> {
        let folder = self.folder.join(name);
        let component = folder.join(format!("{name}.wasm"));
        let bytes = std::fs::metadata(&component).with_context(|| component.display().to_string())?.len();
        let folder_text = folder.to_str().context("the folder is no UTF-8")?;
        self.instances(&folder, "fresh")?;
        let begin = Instant::now();
        self.plugin(&["install", folder_text])?;
        let install_ms = begin.elapsed().as_millis();
        let first = self.call(tool, arguments)?;
        let (fresh, memory_bytes) = self.calls(tool, arguments)?;
        self.instances(&folder, "prewarm")?;
        self.plugin(&["install", folder_text])?;
        self.call(tool, arguments)?;
        let (prewarmed, _) = self.calls(tool, arguments)?;
        let first = number(&first, "wall_us")?;
        Ok(Cost { bytes, install_ms, first, fresh, prewarmed, memory_bytes })
    }

    /// Has the manifest wish for instances of a kind.
    fn instances(&self, folder: &Path, kind: &str) -> anyhow::Result<()> {
        let path = folder.join("plugin.toml");
        let mut manifest: toml::Table = files::read_text(&path)?.parse()?;
        let limits = manifest.entry("limits").or_insert_with(|| toml::Table::new().into());
        let limits = limits.as_table_mut().context("[limits] is a table")?;
        limits.insert("instances".to_owned(), kind.into());
        Ok(files::write(&path, manifest.to_string().as_bytes())?)
    }

    /// The receipt of a call.
    fn call(&self, tool: &str, arguments: &str) -> anyhow::Result<Value> {
        let answer: Value = serde_json::from_str(&self.plugin(&["call", tool, arguments, "--json"])?)?;
        Ok(answer["receipt"].clone())
    }

    /// The time of the call in the middle, and the most memory. A program begins between two calls, so that an instance
    /// which is made ahead is there.
    fn calls(&self, tool: &str, arguments: &str) -> anyhow::Result<(u64, u64)> {
        let (mut times, mut memory) = (Vec::new(), 0);
        for _ in 0..CALLS {
            let receipt = self.call(tool, arguments)?;
            times.push(number(&receipt, "wall_us")?);
            memory = memory.max(number(&receipt, "peak_memory_bytes")?);
        }
        times.sort_unstable();
        Ok((times[CALLS / 2], memory))
    }
}

fn number(receipt: &Value, key: &str) -> anyhow::Result<u64> {
    receipt[key].as_u64().with_context(|| format!("the receipt has no {key}: {receipt}"))
}

fn seconds(ms: u128) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn ms(us: u64) -> String {
    format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
}

fn size(bytes: u64) -> String {
    if bytes < 1_000_000 {
        format!("{} KB", bytes / 1000)
    } else {
        format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
    }
}

/// What stands below a plugin in one row.
type Cell = fn(&Cost) -> String;

fn table(costs: &[(&str, Cost)]) -> String {
    let mut table = String::from("| |");
    table.extend(costs.iter().map(|(title, _)| format!(" {title} |")));
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(costs.len()));
    let rows: [(&str, Cell); 6] = [
        ("component", |cost| size(cost.bytes)),
        ("install, which compiles it", |cost| seconds(cost.install_ms)),
        ("first call", |cost| ms(cost.first)),
        ("a call later, with `instances = \"fresh\"`", |cost| ms(cost.fresh)),
        ("the same with `instances = \"prewarm\"`", |cost| ms(cost.prewarmed)),
        ("memory of a call", |cost| size(cost.memory_bytes)),
    ];
    for (name, cell) in rows {
        table.push_str(&format!("\n| {name} |"));
        table.extend(costs.iter().map(|(_, cost)| format!(" {} |", cell(cost))));
    }
    table.push('\n');
    table
}

/// `page` with the table in its place.
fn taken_over(page: &str, table: &str) -> anyhow::Result<String> {
    put(PAGE, page, &format!("{BEGIN}{table}{END}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn example() -> Vec<(&'static str, Cost)> {
        let cost = Cost {
            bytes: 12_550_000,
            install_ms: 9_960,
            first: 4_512,
            fresh: 1_700,
            prewarmed: 900,
            memory_bytes: 70_000,
        };
        PLUGINS.iter().map(|(title, ..)| *title).zip([cost]).collect()
    }

    #[test]
    fn a_table_has_sizes_and_times_as_people_read_them() {
        let table = table(&example());

        let wanted = "| | Rust, `hello` |\n|---|---|\n| component | 12.5 MB |\n| install, which compiles it | 9.9 s |\n\
                      | first call | 4.51 ms |\n| a call later, with `instances = \"fresh\"` | 1.70 ms |\n\
                      | the same with `instances = \"prewarm\"` | 0.90 ms |\n| memory of a call | 70 KB |\n";
        assert_eq!(table, wanted);
    }

    #[test]
    fn the_guide_has_a_place_for_the_table_with_its_rows_and_languages() {
        let page = std::fs::read_to_string(crate::root().join(PAGE)).unwrap();
        let (_, place) = page.split_once(BEGIN).unwrap();
        let first = |line: &str| line.split('|').nth(1).unwrap_or_default().trim().to_owned();

        let told: Vec<String> = place.split_once(END).unwrap().0.lines().map(first).collect();
        let made: Vec<String> = table(&example()).lines().map(first).collect();

        assert_eq!(told, made);
        assert!(PLUGINS.iter().all(|(title, ..)| place.contains(title)));
        let taken = taken_over(&page, "new\n").unwrap();
        assert!(taken.contains(&format!("{BEGIN}new\n{END}")) && taken_over("none", "").is_err());
    }
}
