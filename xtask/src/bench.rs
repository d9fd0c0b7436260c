//! `cargo xtask bench`: the benches, and the programs that they compare berth with.

use std::path::PathBuf;

use anyhow::Context;
use berth_build::npm;
use clap::Args;

use crate::table::{END, put};
use crate::{guests, step};

/// A server of the Model Context Protocol with a tool `echo`.
const MCP_SERVER: &str = "@modelcontextprotocol/server-everything@2026.8.31";
/// The page that has a place for each table.
const PAGE: &str = "docs/performance.md";
/// Above the table of a part on the page; its name and ` -->` follow.
const BEGIN: &str = "<!-- bench ";

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Words that pick parts of the bench, such as `typed`; all parts when none is given, or `all`.
    words: Vec<String>,
    /// Put the tables into docs/performance.md, in place of those that are there.
    #[arg(long)]
    write: bool,
    /// See that everything works; the figures say nothing.
    #[arg(long, conflicts_with = "write")]
    quick: bool,
}

/// Builds what is missing and measures. The tables are in `target/bench.md` then.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let words: Vec<&String> = options.words.iter().filter(|word| *word != "all").collect();
    guests::all()?;
    let tables = crate::target().join("bench.md");
    let mut bench = crate::cargo();
    bench.args(["bench", "-p", "berth", "--bench", "speed", "--"]).args(&words);
    bench.env("BERTH_BENCH_TABLES", &tables);
    if options.quick {
        bench.arg("--quick");
    }
    if words.is_empty() || words.iter().any(|word| "mcp".contains(word.as_str())) {
        bench.env("BERTH_MCP_SERVER", npm::install(&crate::workshop(None), MCP_SERVER, "dist/index.js")?);
    }
    step::run("measuring", &mut bench)?;
    if options.write { written(&tables) } else { Ok(()) }
}

/// Takes the tables over into the page.
fn written(tables: &PathBuf) -> anyhow::Result<()> {
    let page = crate::root().join(PAGE);
    let tables = std::fs::read_to_string(tables).with_context(|| tables.display().to_string())?;
    let text = std::fs::read_to_string(&page).with_context(|| PAGE.to_owned())?;
    std::fs::write(&page, taken_over(&text, &tables)?)?;
    step::say(&format!("{PAGE} has the new tables"));
    Ok(())
}

/// `page` with each of `tables` in the place of the one with its name. A table without a place is an error.
fn taken_over(page: &str, tables: &str) -> anyhow::Result<String> {
    let mut page = page.to_owned();
    for table in tables.split_inclusive(END).map(str::trim_start).filter(|table| table.starts_with(BEGIN)) {
        page = put(PAGE, &page, table)?;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "<!-- bench one -->\n| new |\n<!-- end -->\n\n";

    #[test]
    fn a_table_takes_the_place_of_the_one_with_its_name() {
        let page = "Text.\n\n<!-- bench two -->\n| old |\n<!-- end -->\n\n<!-- bench one -->\n| old |\n<!-- end -->\n\nMore.\n";

        let page = taken_over(page, ONE).unwrap();

        let two = "Text.\n\n<!-- bench two -->\n| old |\n<!-- end -->\n\n";
        assert_eq!(page, format!("{two}<!-- bench one -->\n| new |\n<!-- end -->\n\nMore.\n"));
    }

    #[test]
    fn a_table_without_a_place_is_an_error() {
        assert!(taken_over("<!-- bench two -->\n<!-- end -->\n", ONE).is_err());
        assert!(taken_over("<!-- bench one -->\n", ONE).is_err());
    }

    #[test]
    fn the_page_has_a_place_for_each_part() {
        let parts = std::fs::read_to_string(crate::root().join("host/berth/benches/speed/parts.rs")).unwrap();
        let page = std::fs::read_to_string(crate::root().join(PAGE)).unwrap();
        let (_, list) = parts.split_once("pub const PARTS").unwrap();

        let names: Vec<&str> = list.split("(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();

        assert!(names.len() > 10);
        for name in names {
            assert!(page.contains(&format!("{BEGIN}{name} -->")), "{name}");
        }
    }
}
