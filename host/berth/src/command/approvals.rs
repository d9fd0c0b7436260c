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
  berth approvals approve approval_…
  berth approvals approve approval_… --for 1h
  berth approvals reject approval_… --reason 'not on this machine'
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
    Approve {
        #[command(flatten)]
        decision: Decision,
        /// How far the yes reaches; longer ones become a grant.
        #[arg(long = "for", value_enum, default_value = "once")]
        reach: Reach,
    },
    /// Refuse the call.
    Reject(Decision),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reach {
    /// This one use.
    Once,
    /// As long as the run lasts.
    Run,
    #[value(name = "1h")]
    Hour,
    #[value(name = "24h")]
    Day,
    /// Until it is revoked.
    Always,
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
    let (decision, mut body) = match &options.action {
        None => return list(global, &client, options.status).await,
        Some(Action::Approve { decision, reach }) => {
            (decision, json!({ "decision": "approve", "for": word(reach) }))
        }
        Some(Action::Reject(decision)) => (decision, json!({ "decision": "reject" })),
    };
    body["reason"] = json!(decision.reason);
    let id = &decision.id;
    let path = format!("/runtime/approvals/{}/decision", segment(id));
    let approval = client.post(&path, &body).await?;
    if global.json {
        output::json(&approval);
    } else {
        output::line(&format!("{id} is {}", text(&approval, "status")));
        let grant = text(&approval, "grant_id");
        if !grant.is_empty() {
            output::line(&format!("it became {grant}; `berth plugin revoke {grant}` takes it back"));
        }
    }
    Ok(())
}

/// A choice as it is typed.
fn word(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

async fn list(global: &Global, client: &Client, status: Status) -> Result<(), Failure> {
    let status = word(&status);
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
