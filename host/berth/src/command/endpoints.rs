//! `berth endpoints`.

use clap::Args;

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text};
use crate::table;

const EXAMPLES: &str = "\
Examples:
  berth endpoints
  berth endpoints --json | jq -r '.[].endpoint_id'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The endpoints that this workspace sees.
    #[arg(long, value_name = "ID", default_value = "personal",
        value_parser = clap::builder::NonEmptyStringValueParser::new())]
    workspace: String,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let client = Client::find(global)?;
    let path = format!("/runtime/workspaces/{}/endpoints", segment(&options.workspace));
    let endpoints = client.get(&path).await?;
    if global.json {
        output::json(&endpoints);
        return Ok(());
    }
    let rows: Vec<_> = items(&endpoints)
        .iter()
        .map(|endpoint| {
            let tools: Vec<_> =
                items(&endpoint["executable_tools"]).iter().filter_map(|tool| tool.as_str()).collect();
            vec![
                text(endpoint, "endpoint_id"),
                text(endpoint, "provider_type"),
                text(endpoint, "status"),
                tools.join(" "),
            ]
        })
        .collect();
    table::print(&["ENDPOINT", "PROVIDER", "STATUS", "TOOLS"], &rows);
    Ok(())
}
