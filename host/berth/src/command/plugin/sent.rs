//! `berth plugin deliveries` and `berth plugin doctor`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{hints, path_of};
use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::table;
use crate::terminal::Terminal;
use crate::wrap;

/// Columns of a message in a list of them.
const SHORT: usize = 40;

/// What to do with what a channel has sent.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  berth plugin deliveries mychat\n  berth plugin deliveries mychat retract delivery_…"
)]
pub struct Options {
    /// The id of the plugin.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put another text in the place of a message.
    #[command(
        after_help = "Examples:\n  berth plugin deliveries mychat edit delivery_… 'at nine, not at ten'"
    )]
    Edit {
        #[command(flatten)]
        sent: Sent,
        /// What people read instead.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        text: String,
    },
    /// Take a message back.
    #[command(after_help = "Examples:\n  berth plugin deliveries mychat retract delivery_…")]
    Retract {
        #[command(flatten)]
        sent: Sent,
    },
    /// Add an emoji to a message.
    #[command(after_help = "Examples:\n  berth plugin deliveries mychat react delivery_… 👍")]
    React {
        #[command(flatten)]
        sent: Sent,
        /// Such as 👍.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        emoji: String,
        /// Take it away instead.
        #[arg(long)]
        remove: bool,
    },
}

/// A message that was sent.
#[derive(Debug, Args)]
struct Sent {
    /// The id of the delivery, from `berth plugin deliveries`.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    delivery_id: String,
    /// Which part of a delivery that was cut into several, from 0.
    #[arg(long, default_value_t = 0)]
    part: u32,
}

pub async fn run(global: &Global, client: &Client, options: Options) -> Result<(), Failure> {
    let Options { id, action } = options;
    let (sent, word, body) = match action {
        None => return list(global, client, &id).await,
        Some(Action::Edit { sent, text }) => (sent, "edit", json!({ "text": text })),
        Some(Action::Retract { sent }) => (sent, "retract", json!({})),
        Some(Action::React { sent, emoji, remove }) => {
            (sent, "react", json!({ "emoji": emoji, "add": !remove }))
        }
    };
    let mut body = body;
    body["part"] = json!(sent.part);
    let path = path_of(&id, &format!("/deliveries/{}/{word}", segment(&sent.delivery_id)));
    let answer = client.post(&path, &body).await?;
    let queued = text(&answer, "delivery_id");
    super::report(global, &answer, &format!("{queued} is on its way to the provider"));
    Ok(())
}

async fn list(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let deliveries = client.get(&path_of(id, "/deliveries")).await?;
    if items(&deliveries).is_empty() {
        hints::require(client, id).await?;
    }
    if global.json {
        output::json(&deliveries);
        return Ok(());
    }
    let rows: Vec<_> = items(&deliveries)
        .iter()
        .map(|delivery| {
            let parts = items(&delivery["parts"]).iter().map(|part| text(part, "text"));
            vec![
                text(delivery, "delivery_id"),
                text(delivery, "kind"),
                text(delivery, "status"),
                when(delivery, "created_at"),
                short(&output::one_line(&parts.collect::<Vec<_>>().join(" "))),
                output::one_line(&text(delivery, "error")),
            ]
        })
        .collect();
    table::print(&["DELIVERY", "KIND", "STATUS", "CREATED", "TEXT", "ERROR"], &rows);
    Ok(())
}

/// The beginning of a message for a person, all of it for a program.
fn short(text: &str) -> String {
    if Terminal::out().width.is_some() { wrap::cut(text, SHORT) } else { text.to_owned() }
}

/// Tells how a plugin says it is; one that is not well is a failure.
pub async fn doctor(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let answer: Value = client.post_and_wait(&path_of(id, "/check"), &json!({})).await?;
    let health = text(&answer, "health");
    if global.json {
        output::json(&answer);
    } else if health == "unknown" {
        output::line(&format!("{id} takes calls, and has no say in how it is"));
    } else if health == "well" {
        output::line(&format!("{id} is well"));
    }
    match health.as_str() {
        "ill" if global.json => Err(Failure::Silent),
        "ill" => Err(Failure::failed(
            "plugin_ill",
            format!(
                "{id} could not do its work now: {}: {}",
                output::one_line(&text(&answer, "code")),
                output::one_line(&text(&answer, "message"))
            ),
        )),
        _ => Ok(()),
    }
}
