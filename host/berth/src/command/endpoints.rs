//! `berth endpoints`.

use clap::Args;

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text};

#[derive(Debug, Args)]
pub struct Options {
    /// The endpoints that this workspace sees.
    #[arg(long, value_name = "ID", default_value = "personal")]
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
    output::table(&["ENDPOINT", "PROVIDER", "STATUS", "TOOLS"], &rows);
    Ok(())
}
