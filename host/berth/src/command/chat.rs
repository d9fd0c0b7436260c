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

Without TEXT each line is a message. Ctrl-C stops the run that answers; at the prompt it ends, as Ctrl-D does. With \
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
    let mut screen = Screen::default();
    let answer = conversation.say(text, None, interrupts, |event| screen.show(event)).await?;
    // Deltas are told, not kept: one that was lost on the way is made up for by the stored message.
    if !screen.said.ends_with(answer.text()) {
        screen.end_line();
        screen.say(answer.text());
    }
    screen.end_line();
    answer.failure().map_or(Ok(()), Err)
}

/// What the reader has seen of one answer.
#[derive(Default)]
struct Screen {
    /// The deltas, and nothing else: remarks may come between them.
    said: String,
    /// Whether the line on standard output has not ended.
    is_open: bool,
}

impl Screen {
    fn show(&mut self, event: &Value) {
        let payload = &event["payload"];
        match event["type"].as_str().unwrap_or_default() {
            "message.delta" => self.say(payload["delta"].as_str().unwrap_or_default()),
            "tool.call.created" => {
                self.end_line();
                let note = format!("[{}]", output::one_line(&output::text(payload, "tool_key")));
                output::note(&Terminal::err().paint(Tone::Quiet, &note));
            }
            "tool.call.failed" => {
                self.end_line();
                let why = output::text(&payload["error"], "message");
                let note = format!("[{} failed: {why}]", output::text(payload, "tool_key"));
                output::note(&Terminal::err().paint(Tone::Bad, &output::one_line(&note)));
            }
            "approval.required" => {
                self.end_line();
                super::send::waiting(event);
            }
            _ => {}
        }
    }

    fn say(&mut self, text: &str) {
        if !text.is_empty() {
            output::piece(&output::plain(text));
            self.said.push_str(text);
            self.is_open = !text.ends_with('\n');
        }
    }

    fn end_line(&mut self) {
        if self.is_open {
            output::line("");
            self.is_open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_remark_between_two_deltas_is_none_of_what_was_said() {
        let mut screen = Screen::default();

        for event in [
            json!({ "type": "message.delta", "payload": { "delta": "one " } }),
            json!({ "type": "tool.call.created", "payload": { "tool_key": "late" } }),
            json!({ "type": "message.delta", "payload": { "delta": "two" } }),
        ] {
            screen.show(&event);
        }

        assert_eq!((screen.said.as_str(), screen.is_open), ("one two", true));
    }
}
