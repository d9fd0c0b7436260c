//! `berth plugin audit` and `berth plugin suggest`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::{hints, path_of};
use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::table;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  berth plugin audit files\n  berth plugin audit files --decision denied --limit 20"
)]
pub struct Options {
    /// The id of the plugin.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// Only what was decided so.
    #[arg(long, value_enum)]
    decision: Option<Decision>,
    /// Not before this time, such as 2026-12-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The latest so many, 1 to 200.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Decision {
    Allowed,
    Observed,
    Denied,
}

pub async fn run(global: &Global, client: &Client, options: Options) -> Result<(), Failure> {
    let mut path = path_of(&options.id, &format!("/audit?limit={}", options.limit));
    if let Some(decision) = options.decision.and_then(|decision| decision.to_possible_value()) {
        path.push_str(&format!("&decision={}", decision.get_name()));
    }
    if let Some(since) = &options.since {
        path.push_str(&format!("&since={}", segment(since)));
    }
    let rows = client.get(&path).await?;
    if items(&rows).is_empty() {
        hints::require(client, &options.id).await?;
    }
    if global.json {
        output::json(&rows);
        return Ok(());
    }
    let rows: Vec<_> = items(&rows)
        .iter()
        .map(|row| {
            let ids = [text(row, "approval_id"), text(row, "grant_id")];
            vec![
                when(row, "created_at"),
                text(row, "decision"),
                text(row, "capability"),
                text(row, "uses"),
                text(row, "operation_id"),
                ids.into_iter().find(|id| !id.is_empty()).unwrap_or_default(),
                output::one_line(&text(row, "scope")),
            ]
        })
        .collect();
    table::print(&["TIME", "DECISION", "CAPABILITY", "USES", "OPERATION", "BY", "SCOPE"], &rows);
    Ok(())
}

/// Prints the smallest manifest for what a plugin was seen to use.
pub async fn suggest(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let suggestion = client.get(&path_of(id, "/suggest")).await?;
    if text(&suggestion, "manifest").is_empty() {
        hints::require(client, id).await?;
    }
    if global.json {
        output::json(&suggestion);
        return Ok(());
    }
    let manifest = text(&suggestion, "manifest");
    if manifest.is_empty() {
        output::line(&format!(
            "{id} was seen to use nothing yet: grant what it asks for with --mode observe, and let it work"
        ));
        return Ok(());
    }
    for line in manifest.trim_end().lines() {
        output::line(&output::one_line(line));
    }
    Ok(())
}
