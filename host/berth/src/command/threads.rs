//! `berth threads`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::table;
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  berth threads
  berth threads show thr_…
  berth threads --json | jq -r '.[].thread_id'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    /// Only of this workspace.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    workspace: Option<String>,
    /// At most so many, 1 to 200.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the messages of a thread, oldest first.
    Show {
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let client = Client::find(global)?;
    match &options.action {
        None => list(global, &client, &options).await,
        Some(Action::Show { id }) => show(global, &client, id).await,
    }
}

async fn list(global: &Global, client: &Client, options: &Options) -> Result<(), Failure> {
    let scope =
        options.workspace.as_deref().map_or_else(String::new, |id| format!("&workspace_id={}", segment(id)));
    let threads = client.get(&format!("/runtime/threads?limit={}{scope}", options.limit)).await?;
    if global.json {
        output::json(&threads);
        return Ok(());
    }
    let rows: Vec<_> = items(&threads)
        .iter()
        .map(|thread| {
            let changed = when(thread, "updated_at");
            vec![text(thread, "thread_id"), text(thread, "workspace_id"), changed, text(thread, "title")]
        })
        .collect();
    table::print(&["THREAD", "WORKSPACE", "CHANGED", "TITLE"], &rows);
    Ok(())
}

async fn show(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let messages = client.get(&format!("/runtime/threads/{}/messages", segment(id))).await?;
    if global.json {
        output::json(&messages);
        return Ok(());
    }
    let terminal = Terminal::out();
    for message in items(&messages) {
        let status = text(message, "status");
        let note =
            if matches!(status.as_str(), "" | "completed") { String::new() } else { format!("  ({status})") };
        let head = format!("{}  {}{note}", when(message, "created_at"), text(message, "role"));
        output::line(&terminal.paint(Tone::Head, &output::one_line(&head)));
        output::line(&output::plain(&text(message, "content")));
    }
    Ok(())
}
