//! `berth runs`.

use clap::{Args, Subcommand};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text};

#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    /// At most so many, 1 to 200.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// A run with all its events.
    Show { id: String },
    /// Print the events of a run as they come, until it ends.
    Follow { id: String },
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let client = Client::find(global)?;
    match &options.action {
        None => list(global, &client, options.limit).await,
        Some(Action::Show { id }) => show(global, &client, id).await,
        Some(Action::Follow { id }) => follow(global, &client, id).await,
    }
}

async fn list(global: &Global, client: &Client, limit: u32) -> Result<(), Failure> {
    let runs = client.get(&format!("/runtime/runs?limit={limit}")).await?;
    if global.json {
        output::json(&runs);
        return Ok(());
    }
    let rows: Vec<_> = items(&runs)
        .iter()
        .map(|run| {
            vec![text(run, "run_id"), text(run, "status"), text(run, "trigger_type"), text(run, "created_at")]
        })
        .collect();
    output::table(&["RUN", "STATUS", "TRIGGER", "CREATED"], &rows);
    Ok(())
}

async fn show(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let run = client.get(&format!("/runtime/runs/{}", segment(id))).await?;
    let events = all_events(client, id).await?;
    if global.json {
        output::json(&json!({ "run": run, "events": events }));
        return Ok(());
    }
    output::line(&format!(
        "{}  {}  thread {}",
        text(&run, "run_id"),
        text(&run, "status"),
        text(&run, "thread_id")
    ));
    for event in &events {
        print_event(event);
    }
    Ok(())
}

/// Every event of a run, page by page.
async fn all_events(client: &Client, id: &str) -> Result<Vec<Value>, Failure> {
    let mut events: Vec<Value> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event["seq"].as_i64().unwrap_or(i64::MAX));
        let page = client.get(&format!("/runtime/runs/{}/events?after_seq={after}", segment(id))).await?;
        if items(&page).is_empty() {
            return Ok(events);
        }
        events.extend(items(&page).iter().cloned());
    }
}

async fn follow(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let run = client.get(&format!("/runtime/runs/{}", segment(id))).await?;
    let thread = text(&run, "thread_id");
    let mut live =
        client.events(&format!("/runtime/threads/{}/events?after_cursor=0", segment(&thread))).await?;
    while let Some(event) = live.next().await {
        let event = event?;
        if event.data["run_id"].as_str() != Some(id) {
            continue;
        }
        if global.json {
            output::json(&event.data);
        } else {
            print_event(&event.data);
        }
        if matches!(event.kind.as_str(), "run.completed" | "run.failed" | "run.cancelled") {
            return Ok(());
        }
    }
    Err(Failure::NotConnected(format!("the host stopped telling before {id} ended")))
}

fn print_event(event: &Value) {
    let seq = event["seq"].as_i64().map_or_else(|| "  ·".to_owned(), |seq| format!("{seq:>3}"));
    let payload: String = event["payload"].to_string().chars().take(160).collect();
    let line = format!("{seq}  {}  {:<22} {payload}", text(event, "created_at"), text(event, "type"));
    output::line(&output::plain(&line));
}
