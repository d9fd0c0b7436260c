//! `berth approvals`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::table;

const EXAMPLES: &str = "\
Examples:
  berth approvals
  berth approvals approve apr_…
  berth approvals reject apr_… --reason 'not on this machine'
  berth approvals --status all --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    /// Which ones to list.
    #[arg(long, value_enum, default_value = "pending")]
    status: Status,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Pending,
    Approved,
    Rejected,
    Expired,
    All,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Let the call go on.
    Approve(Decision),
    /// Refuse the call.
    Reject(Decision),
}

#[derive(Debug, Args)]
struct Decision {
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// Why; it is kept with the decision.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let client = Client::find(global)?;
    let (decision, word) = match &options.action {
        None => return list(global, &client, options.status).await,
        Some(Action::Approve(decision)) => (decision, "approve"),
        Some(Action::Reject(decision)) => (decision, "reject"),
    };
    let id = &decision.id;
    let path = format!("/runtime/approvals/{}/decision", segment(id));
    let approval = client.post(&path, &json!({ "decision": word, "reason": decision.reason })).await?;
    if global.json {
        output::json(&approval);
    } else {
        output::line(&format!("{id} is {}", text(&approval, "status")));
    }
    Ok(())
}

async fn list(global: &Global, client: &Client, status: Status) -> Result<(), Failure> {
    let status = status.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let approvals = client.get(&format!("/runtime/approvals?status={status}")).await?;
    if global.json {
        output::json(&approvals);
        return Ok(());
    }
    let rows: Vec<_> = items(&approvals)
        .iter()
        .map(|approval| {
            vec![
                text(approval, "approval_id"),
                text(approval, "status"),
                text(approval, "risk_level"),
                text(approval, "tool_key"),
                when(approval, "expires_at"),
                text(approval, "prompt"),
            ]
        })
        .collect();
    table::print(&["APPROVAL", "STATUS", "RISK", "TOOL", "EXPIRES", "ASKS"], &rows);
    Ok(())
}
