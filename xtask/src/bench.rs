//! `cargo xtask bench`: the benches, and the programs that they compare berth with.

use clap::Args;

use crate::{guests, npm, step};

/// A server of the Model Context Protocol with a tool `echo`.
const MCP_SERVER: &str = "@modelcontextprotocol/server-everything@2026.8.31";

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Words that pick parts of the bench, such as `typed`; all parts when none is given.
    words: Vec<String>,
    /// The bench: `calls` or `start`.
    #[arg(long, default_value = "calls")]
    bench: String,
}

/// Builds what is missing and measures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    guests::all()?;
    let server = npm::install(MCP_SERVER, "dist/index.js")?;
    let mut bench = crate::cargo();
    bench.args(["bench", "-p", "berth", "--bench", &options.bench, "--"]).args(&options.words);
    bench.env("BERTH_MCP_SERVER", server);
    step::run("measuring", &mut bench)
}
