//! `berth runs`.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::table;
use crate::talk::{is_end, stored_events};
use crate::terminal::{Terminal, Tone};
use crate::wrap;

const EXAMPLES: &str = "\
Examples:
  berth runs
  berth runs --status failed --json
  berth runs show latest
  berth runs follow run_… --after 120
  berth runs stop run_…";

/// Names the run that was made last.
const LATEST: &str = "latest";

/// How often a broken connection is taken up again before we give up.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    /// Only with this status: queued, running, waiting_for_approval, waiting_for_endpoint, succeeded, failed, cancelled.
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only of this thread.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    thread: Option<String>,
    /// At most so many, 1 to 200.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// A run with all its stored events.
    Show {
        /// `latest` is the one that was made last; so it is below.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Print the events of a run as they come, until it ends; 1 is the exit code of a run that was not completed.
    Follow {
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Only the events behind this cursor; each stored event has one.
        #[arg(long, value_name = "CURSOR")]
        after: Option<i64>,
    },
    /// Stop a run that is at work; what it has said so far is kept.
    Stop {
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let client = Client::find(global)?;
    match &options.action {
        None => list(global, &client, &options).await,
        Some(Action::Show { id }) => show(global, &client, &named(&client, id).await?).await,
        Some(Action::Follow { id, after }) => {
            follow(global, &client, &named(&client, id).await?, *after).await
        }
        Some(Action::Stop { id }) => stop(global, &client, &named(&client, id).await?).await,
    }
}

/// The id itself, or that of the run that was made last.
async fn named(client: &Client, id: &str) -> Result<String, Failure> {
    if id != LATEST {
        return Ok(id.to_owned());
    }
    let runs = client.get("/runtime/runs?limit=1").await?;
    match items(&runs).first() {
        Some(run) => Ok(text(run, "run_id")),
        None => Err(Failure::failed("run_not_found", "there is no run yet".to_owned())),
    }
}

async fn list(global: &Global, client: &Client, options: &Options) -> Result<(), Failure> {
    let mut path = format!("/runtime/runs?limit={}", options.limit);
    for (key, value) in [("status", &options.status), ("thread_id", &options.thread)] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", segment(value)));
        }
    }
    let runs = client.get(&path).await?;
    if global.json {
        output::json(&runs);
        return Ok(());
    }
    let rows: Vec<_> = items(&runs)
        .iter()
        .map(|run| {
            let cells = [text(run, "run_id"), text(run, "status"), text(run, "trigger_type")];
            let mut row = Vec::from(cells);
            row.extend([when(run, "created_at"), text(&run["error"], "message")]);
            row
        })
        .collect();
    table::print(&["RUN", "STATUS", "TRIGGER", "CREATED", "ERROR"], &rows);
    Ok(())
}

async fn show(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let run = client.get(&format!("/runtime/runs/{}", segment(id))).await?;
    let events = stored_events(client, id).await?;
    if global.json {
        output::json(&json!({ "run": run, "events": events }));
        return Ok(());
    }
    let terminal = Terminal::out();
    let status = text(&run, "status");
    let mut facts = vec![
        ("run", text(&run, "run_id")),
        ("status", terminal.paint(Tone::of(&status), &status)),
        ("thread", text(&run, "thread_id")),
        ("trigger", text(&run, "trigger_type")),
        ("created", when(&run, "created_at")),
        ("started", when(&run, "started_at")),
        ("finished", when(&run, "finished_at")),
    ];
    if run["error"].is_object() {
        let error = &run["error"];
        facts.push((
            "error",
            output::one_line(&format!("{}: {}", text(error, "code"), text(error, "message"))),
        ));
    }
    for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
        output::line(&format!("{name:<9} {fact}"));
    }
    events.iter().for_each(print_event);
    Ok(())
}

async fn stop(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let answer = client.post(&format!("/runtime/runs/{}/stop", segment(id)), &json!({})).await?;
    let accepted = answer["accepted"] == json!(true);
    if global.json {
        output::json(&answer);
        return if accepted { Ok(()) } else { Err(Failure::Silent) };
    }
    if !accepted {
        return Err(Failure::failed(
            "run_not_at_work",
            format!("{id} cannot be stopped: it is {}", text(&answer, "status")),
        ));
    }
    output::line(&format!("{id} is being stopped"));
    Ok(())
}

/// Prints what a run does until its end, and takes a broken connection up again behind the last event that was seen.
async fn follow(global: &Global, client: &Client, id: &str, after: Option<i64>) -> Result<(), Failure> {
    let run = client.get(&format!("/runtime/runs/{}", segment(id))).await?;
    let stored = stored_events(client, id).await?;
    // The events of the thread before this run are none of ours.
    let begin = stored.first().and_then(|event| event["cursor"].as_i64()).map_or(0, |cursor| cursor - 1);
    let mut seen = after.unwrap_or(begin).max(begin);
    let end = stored.iter().find(|event| is_end(&text(event, "type")));
    if let Some(end) = end {
        for event in stored.iter().filter(|event| event["cursor"].as_i64() > Some(seen)) {
            print(global, event);
        }
        return ended(end);
    }
    let path = format!("/runtime/threads/{}/events", segment(&text(&run, "thread_id")));
    let mut tries = 0;
    loop {
        match follow_once(global, client, &path, id, &mut seen, &mut tries).await {
            Ok(Some(end)) => return ended(&end),
            Ok(None) | Err(Failure::NotConnected(_)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Ok(None) | Err(Failure::NotConnected(_)) => {
                return Err(Failure::NotConnected(format!(
                    "the host stopped telling before {id} ended: go on with `berth runs follow {id} --after {seen}`"
                )));
            }
            Err(other) => return Err(other),
        }
    }
}

/// Follows one connection. `None` when it ends before the run does.
async fn follow_once(
    global: &Global,
    client: &Client,
    path: &str,
    id: &str,
    seen: &mut i64,
    tries: &mut u32,
) -> Result<Option<Value>, Failure> {
    let mut live = client.events(&format!("{path}?after_cursor={seen}")).await?;
    while let Some(event) = live.next().await {
        let event = event?.data;
        if let Some(cursor) = event["cursor"].as_i64() {
            *seen = cursor;
            *tries = 0;
        }
        if event["run_id"].as_str() != Some(id) {
            continue;
        }
        print(global, &event);
        if is_end(&text(&event, "type")) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

fn ended(event: &Value) -> Result<(), Failure> {
    if event["type"] == "run.completed" { Ok(()) } else { Err(Failure::Silent) }
}

fn print(global: &Global, event: &Value) {
    if global.json {
        output::json(event);
    } else {
        print_event(event);
    }
}

/// One line: the cursor, with which `follow` goes on, the time, the type, the payload.
fn print_event(event: &Value) {
    let terminal = Terminal::out();
    let cursor = event["cursor"].as_i64().map_or_else(|| "·".to_owned(), |cursor| cursor.to_string());
    let time = when(event, "created_at");
    let clock = time.split(' ').next_back().unwrap_or_default();
    let line = format!("{cursor:>6}  {clock}  {:<21}  {}", text(event, "type"), event["payload"]);
    let line = output::one_line(&line);
    output::line(&terminal.width.map_or_else(|| line.clone(), |width| wrap::cut(&line, width)));
}
