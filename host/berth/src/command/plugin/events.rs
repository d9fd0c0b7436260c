//! `berth plugin channel` and `berth plugin events`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{hints, path_of};
use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::table;

/// What to do with the events of a channel.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  berth plugin events mychat\n  berth plugin events mychat retry event_…")]
pub struct Options {
    /// The id of the plugin.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Hand a parked event over again.
    #[command(after_help = "Examples:\n  berth plugin events mychat retry event_…")]
    Retry {
        /// The id of the event, from `berth plugin events`.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        event_id: String,
    },
    /// Forget an event.
    #[command(after_help = "Examples:\n  berth plugin events mychat drop event_…")]
    Drop {
        /// The id of the event, from `berth plugin events`.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        event_id: String,
    },
}

pub async fn run(global: &Global, client: &Client, options: Options) -> Result<(), Failure> {
    let Options { id, action } = options;
    match action {
        None => list(global, client, &id).await,
        Some(Action::Retry { event_id }) => {
            let path = path_of(&id, &format!("/events/{}/retry", segment(&event_id)));
            let answer = client.post(&path, &json!({})).await?;
            super::report(global, &answer, &format!("{event_id} is handed over again"));
            Ok(())
        }
        Some(Action::Drop { event_id }) => {
            let answer = client.delete(&path_of(&id, &format!("/events/{}", segment(&event_id)))).await?;
            super::report(global, &answer, &format!("{event_id} is forgotten"));
            Ok(())
        }
    }
}

async fn list(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let events = client.get(&path_of(id, "/events")).await?;
    if items(&events).is_empty() {
        hints::require(client, id).await?;
    }
    if global.json {
        output::json(&events);
        return Ok(());
    }
    let rows: Vec<_> = items(&events)
        .iter()
        .map(|event| {
            vec![
                text(event, "event_id"),
                text(event, "kind"),
                text(event, "status"),
                event["attempts"].to_string(),
                when(event, "created_at"),
                output::one_line(&text(event, "error")),
            ]
        })
        .collect();
    table::print(&["EVENT", "KIND", "STATUS", "ATTEMPTS", "CREATED", "ERROR"], &rows);
    Ok(())
}

/// Prints the web addresses of a channel.
pub async fn channel(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let channel: Value = client.get(&path_of(id, "/channel")).await?;
    if global.json {
        output::json(&channel);
        return Ok(());
    }
    output::line(&format!("endpoint   {}", text(&channel, "endpoint_id")));
    output::line(&format!("instances  {}", channel["residents"]));
    output::line(&format!("waiting    {}", channel["waiting"]));
    for hook in items(&channel["hooks"]) {
        output::line(&format!("{:<10} {}", text(hook, "name"), text(hook, "path")));
    }
    for poll in items(&channel["polls"]) {
        let error = output::one_line(&text(poll, "error"));
        let state = if error.is_empty() { format!("asked at {}", when(poll, "asked_at")) } else { error };
        output::line(&format!("{:<10} {state}", text(poll, "name")));
    }
    Ok(())
}
