//! `berth chat`: interactive with streaming, or once.

use clap::Args;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::talk::{Conversation, Heard, Place};

#[derive(Debug, Args)]
pub struct Options {
    /// Say this and stop; without it, read lines.
    text: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    if global.json && options.text.is_none() {
        return Err(Failure::Usage("--json needs a TEXT: use `berth send --json TEXT`".to_owned()));
    }
    let conversation = Conversation::open(Client::find(global)?, &options.place).await?;
    if let Some(text) = &options.text {
        return say(&conversation, text).await;
    }
    output::line(&format!("Thread {}. An empty line or Ctrl-D ends.", conversation.thread()));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        output::piece("> ");
        let line = lines.next_line().await.map_err(anyhow::Error::from)?;
        let Some(line) = line.filter(|line| !line.trim().is_empty()) else {
            return Ok(());
        };
        match say(&conversation, &line).await {
            // The run failed, the conversation goes on.
            Err(failure @ Failure::Failed { .. }) => failure.print(false),
            other => other?,
        }
    }
}

async fn say(conversation: &Conversation, text: &str) -> Result<(), Failure> {
    let mut streamed = String::new();
    let answer = conversation
        .say(text, |heard| match heard {
            Heard::Delta(delta) => {
                streamed.push_str(delta);
                output::piece(&output::plain(delta));
            }
            Heard::Tool { kind: "tool.call.created", payload } => {
                if !streamed.is_empty() && !streamed.ends_with('\n') {
                    output::line("");
                }
                output::line(&output::plain(&format!("  [{} …]", output::text(payload, "tool_key"))));
            }
            Heard::Tool { .. } => {}
            approval @ Heard::Approval(_) => super::send::waiting(&approval),
        })
        .await?;
    // Deltas are told, not kept: one that was lost on the way is made up for by the stored message.
    if !streamed.ends_with(answer.text()) {
        output::line("");
        output::piece(&output::plain(answer.text()));
    }
    output::line("");
    answer.failure().map_or(Ok(()), Err)
}
