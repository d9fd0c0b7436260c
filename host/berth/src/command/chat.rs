//! `berth chat`: line by line with streaming, or once.

use std::io::IsTerminal;

use clap::Args;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output;
use crate::talk::{Conversation, Place, said};
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  berth chat
  berth chat 'what is in my notes?'
  berth chat --thread thr_… --json 'and now?'

Without TEXT each line is a message. Ctrl-C stops the run that answers; at the prompt it ends, as Ctrl-D does. With
--json every event is a line; the events of a run end with run.completed, run.failed or run.cancelled.";

const HELP: &str = "\
/help   this text
/thread the id of this thread
/quit   ends, as Ctrl-D does
Ctrl-C stops the run that answers. Everything else is said; the scripted model obeys /say TEXT, /slow MS and
/call TOOL {json}.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Say this and end, - reads it from standard input; without it, read lines.
    text: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let text = options.text.as_deref().map(said).transpose()?;
    let conversation = Conversation::open(Client::find(global)?, &options.place).await?;
    let mut interrupts = Interrupts::listen()?;
    match text {
        Some(text) => say(global, &conversation, &mut interrupts, &text).await,
        None => converse(global, &conversation, &mut interrupts).await,
    }
}

/// What the user does at the prompt.
enum Turn {
    Line(String),
    End,
}

async fn converse(
    global: &Global,
    conversation: &Conversation,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    // Prompts are for a person; a pipe gets the answers alone.
    let prompts = std::io::stdin().is_terminal() && !global.json;
    if prompts {
        output::note(&format!("Thread {}. /help helps, Ctrl-D ends.", conversation.thread()));
    }
    let mut lines = read_lines();
    let mut failed = false;
    loop {
        if prompts {
            output::note_piece("> ");
        }
        let turn = tokio::select! {
            line = lines.recv() => line.transpose().map_err(anyhow::Error::from)?.map_or(Turn::End, Turn::Line),
            () = interrupts.next() => Turn::End,
        };
        let Turn::Line(line) = turn else {
            if prompts {
                output::note("");
            }
            // Who is at the prompt has read what failed; a script has the exit code alone.
            return if failed && !prompts { Err(Failure::Silent) } else { Ok(()) };
        };
        match line.trim() {
            "" => continue,
            "/help" => output::note(HELP),
            "/thread" => output::note(conversation.thread()),
            "/quit" => return Ok(()),
            _ => match say(global, conversation, interrupts, &line).await {
                // The run failed, the conversation goes on.
                Err(failure @ (Failure::Failed { .. } | Failure::Silent)) => {
                    failed = true;
                    failure.print(global.json);
                }
                other => other?,
            },
        }
    }
}

/// The lines of standard input. A thread reads them, because a blocked read would keep the process from its end.
fn read_lines() -> mpsc::Receiver<std::io::Result<String>> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

async fn say(
    global: &Global,
    conversation: &Conversation,
    interrupts: &mut Interrupts,
    text: &str,
) -> Result<(), Failure> {
    if global.json {
        let answer = conversation.say(text, None, interrupts, output::json).await?;
        return answer.failure().map_or(Ok(()), |_| Err(Failure::Silent));
    }
    let mut streamed = String::new();
    let answer = conversation.say(text, None, interrupts, |event| show(event, &mut streamed)).await?;
    // Deltas are told, not kept: one that was lost on the way is made up for by the stored message.
    if !streamed.ends_with(answer.text()) {
        end_line(&mut streamed);
        streamed.push_str(answer.text());
        output::piece(&output::plain(answer.text()));
    }
    end_line(&mut streamed);
    answer.failure().map_or(Ok(()), Err)
}

fn show(event: &Value, streamed: &mut String) {
    let payload = &event["payload"];
    match event["type"].as_str().unwrap_or_default() {
        "message.delta" => {
            let delta = output::text(payload, "delta");
            output::piece(&output::plain(&delta));
            streamed.push_str(&delta);
        }
        "tool.call.created" => {
            end_line(streamed);
            let note = format!("[{}]", output::one_line(&output::text(payload, "tool_key")));
            output::note(&Terminal::err().paint(Tone::Quiet, &note));
        }
        "tool.call.failed" => {
            end_line(streamed);
            let why = output::text(&payload["error"], "message");
            let note = format!("[{} failed: {why}]", output::text(payload, "tool_key"));
            output::note(&Terminal::err().paint(Tone::Bad, &output::one_line(&note)));
        }
        "approval.required" => {
            end_line(streamed);
            super::send::waiting(event);
        }
        _ => {}
    }
}

/// Ends the line that is being streamed, if there is one.
fn end_line(streamed: &mut String) {
    if !streamed.is_empty() && !streamed.ends_with('\n') {
        output::line("");
        streamed.push('\n');
    }
}
