//! `berth migrate`.

use std::path::PathBuf;

use berth_core::port::store::Store as _;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::config::Config;
use crate::failure::Failure;
use crate::host;
use crate::output;
use crate::place::DataDir;

const EXAMPLES: &str = "\
Examples:
  berth migrate
  berth migrate --database postgres://berth@localhost/berth

`berth serve` does the same at its start. Migrations only go forward: keep a copy of the database to go back.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The configuration; DIR/berth.toml when absent.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// sqlite:PATH or postgres://…; BERTH_DATABASE, else database.url, else DIR/berth.db.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

pub async fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let data = DataDir::find(global.data.clone())?;
    data.create()?;
    let config = Config::load(options.config.as_deref(), data.path())?;
    let url = host::database(options.database.as_deref(), &config, &data)?;
    let store = host::open(&url).await?;
    let health = store.health().await;
    store.close().await;
    if global.json {
        output::json(&json!({ "database": health.kind, "schema_version": health.schema_version }));
    } else {
        output::line(&format!("{url} has schema version {}", health.schema_version));
    }
    Ok(())
}
