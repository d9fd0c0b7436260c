//! `berth threads`.

use clap::Args;

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text};

#[derive(Debug, Args)]
pub struct Options {
    /// Show the messages of this thread.
    id: Option<String>,
    /// Only of this workspace.
    #[arg(long, value_name = "ID")]
    workspace: Option<String>,
    /// At most so many, 1 to 200.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let client = Client::find(global)?;
    let Some(id) = &options.id else {
        let scope = options
            .workspace
            .as_deref()
            .map_or_else(String::new, |id| format!("&workspace_id={}", segment(id)));
        let threads = client.get(&format!("/runtime/threads?limit={}{scope}", options.limit)).await?;
        if global.json {
            output::json(&threads);
            return Ok(());
        }
        let rows: Vec<_> = items(&threads)
            .iter()
            .map(|thread| {
                vec![text(thread, "thread_id"), text(thread, "workspace_id"), text(thread, "title")]
            })
            .collect();
        output::table(&["THREAD", "WORKSPACE", "TITLE"], &rows);
        return Ok(());
    };
    let messages = client.get(&format!("/runtime/threads/{}/messages", segment(id))).await?;
    if global.json {
        output::json(&messages);
        return Ok(());
    }
    for message in items(&messages) {
        output::line(&format!("[{}] {}", text(message, "created_at"), text(message, "role")));
        output::line(&output::plain(&text(message, "content")));
    }
    Ok(())
}
