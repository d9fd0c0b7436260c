//! `berth send`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output;
use crate::talk::{Conversation, Place, said};

const EXAMPLES: &str = "\
Examples:
  berth send 'what time is it in Tokyo?'
  git log -5 | berth send -
  berth send --key backup-2026-11-21 'the backup is done'
  berth send --no-wait 'tidy my notes'

The answer alone goes to standard output. Ctrl-C stops the run; what it has said so far is kept.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// What to say; - reads it from standard input.
    text: String,
    #[command(flatten)]
    place: Place,
    /// A name of your own for this message: sent twice under one key, it is stored and answered once.
    #[arg(long, value_name = "KEY", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    key: Option<String>,
    /// Print the run and go, without waiting for the answer.
    #[arg(long)]
    no_wait: bool,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let text = said(&options.text)?;
    let conversation = Conversation::open(Client::find(global)?, &options.place).await?;
    let key = options.key.as_deref();
    if options.no_wait {
        let message = conversation.post(&text, key).await?;
        if global.json {
            output::json(&message);
        } else {
            output::line(&output::text(&message, "run_id"));
        }
        return Ok(());
    }
    let answer = conversation.say(&text, key, &mut Interrupts::listen()?, waiting).await?;
    if global.json {
        output::json(&json!({
            "run_id": answer.run, "thread_id": conversation.thread(), "status": answer.end.trim_start_matches("run."),
            "message": answer.message, "result": answer.payload,
        }));
        return answer.failure().map_or(Ok(()), |_| Err(Failure::Silent));
    }
    if let Some(failure) = answer.failure() {
        return Err(failure);
    }
    output::line(&output::plain(answer.text()));
    Ok(())
}

/// Tells what a person must do.
pub fn waiting(event: &Value) {
    if event["type"] == "approval.required" {
        let payload = &event["payload"];
        let (id, prompt) = (output::text(payload, "approval_id"), output::text(payload, "prompt"));
        output::note(&output::plain(&format!("waiting for approval: {prompt}")));
        output::note(&format!("  berth approvals approve {id}"));
    }
}
