//! `berth approvals`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text};

#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Let the call go on.
    Approve {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Refuse the call.
    Reject {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let client = Client::find(global)?;
    let (id, decision, reason) = match &options.action {
        None => return list(global, &client).await,
        Some(Action::Approve { id, reason }) => (id, "approve", reason),
        Some(Action::Reject { id, reason }) => (id, "reject", reason),
    };
    let path = format!("/runtime/approvals/{}/decision", segment(id));
    let approval = client.post(&path, &json!({ "decision": decision, "reason": reason })).await?;
    if global.json {
        output::json(&approval);
    } else {
        output::line(&format!("{id} is {}", text(&approval, "status")));
    }
    Ok(())
}

async fn list(global: &Global, client: &Client) -> Result<(), Failure> {
    let approvals = client.get("/runtime/approvals?status=pending").await?;
    if global.json {
        output::json(&approvals);
        return Ok(());
    }
    let rows: Vec<_> = items(&approvals)
        .iter()
        .map(|approval| {
            vec![
                text(approval, "approval_id"),
                text(approval, "risk_level"),
                text(approval, "operation_id"),
                text(approval, "prompt"),
            ]
        })
        .collect();
    output::table(&["APPROVAL", "RISK", "OPERATION", "ASKS"], &rows);
    Ok(())
}
