//! `berth send`.

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::talk::{Conversation, Heard, Place};

#[derive(Debug, Args)]
pub struct Options {
    /// What to say.
    text: String,
    #[command(flatten)]
    place: Place,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let conversation = Conversation::open(Client::find(global)?, &options.place).await?;
    let answer = conversation.say(&options.text, |heard| waiting(&heard)).await?;
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

/// Tells on standard error what a person must do.
#[expect(clippy::print_stderr, reason = "the answer alone goes to standard output")]
pub fn waiting(heard: &Heard<'_>) {
    if let Heard::Approval(payload) = heard {
        let id = output::text(payload, "approval_id");
        eprintln!("waiting for approval: berth approvals approve {id}");
    }
}
