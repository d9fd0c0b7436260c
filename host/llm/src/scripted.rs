//! The scripted model: deterministic, offline, the default.
//!
//! Lines of the last user message steer it:
//!
//! * `/call TOOL {json}` asks for that tool call; several lines ask for several calls in one round,
//! * `/say TEXT` answers `TEXT`,
//! * `/slow MS` waits that long before each delta (at most 60 s); another steering line may follow behind it,
//! * anything else is answered with a short echo that names the tools on offer.
//!
//! After tool results it answers with one line per result.

use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::model::{
    ChatMessage, FinishReason, Model, ModelError, ModelEvent, ModelInfo, ModelRequest, ModelStream,
    ToolCallRequest, Usage,
};
use futures::StreamExt;

/// The longest delay that a script may ask for.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// The longest line that a tool result becomes, in characters.
const MAX_RESULT_CHARS: usize = 16_000;
/// How many tools the echo names.
const MAX_NAMED_TOOLS: usize = 40;

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scripted;

#[async_trait]
impl Model for Scripted {
    fn info(&self) -> ModelInfo {
        ModelInfo { provider: "scripted".to_owned(), model: "scripted".to_owned() }
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let answer = decide(&request);
        let delay = answer.delay;
        let events = futures::stream::iter(answer.into_events(&request)).then(move |event| async move {
            if !delay.is_zero() && matches!(event, ModelEvent::Text(_)) {
                tokio::time::sleep(delay).await;
            }
            Ok(event)
        });
        Ok(events.boxed())
    }
}

/// What the script says next.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    text: String,
    calls: Vec<ToolCallRequest>,
    delay: Duration,
}

impl Answer {
    fn into_events(self, request: &ModelRequest) -> Vec<ModelEvent> {
        let usage = self.usage(request);
        let finish = if self.calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
        let mut events: Vec<_> = deltas(&self.text).map(|delta| ModelEvent::Text(delta.to_owned())).collect();
        events.extend(self.calls.into_iter().map(ModelEvent::ToolCall));
        events.push(ModelEvent::Usage(usage));
        events.push(ModelEvent::Finished(finish));
        events
    }

    /// A word counts as a token, so that budgets can be tested.
    fn usage(&self, request: &ModelRequest) -> Usage {
        let words = |text: &str| text.split_whitespace().count() as u64;
        let prompt_tokens = request
            .messages
            .iter()
            .map(|message| match message {
                ChatMessage::System(text) | ChatMessage::User(text) => words(text),
                ChatMessage::Assistant { text, .. } => words(text),
                ChatMessage::Tool { content, .. } => words(content),
            })
            .sum();
        let completion_tokens = words(&self.text) + self.calls.len() as u64;
        Usage {
            prompt_tokens,
            completion_tokens,
            reasoning_tokens: 0,
            total_tokens: prompt_tokens + completion_tokens,
        }
    }
}

/// Cuts a text into words that keep the white space behind them.
fn deltas(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let end = rest[word..].find(|c: char| !c.is_whitespace()).map_or(rest.len(), |gap| word + gap);
        let (delta, behind) = rest.split_at(end);
        rest = behind;
        Some(delta)
    })
}

fn decide(request: &ModelRequest) -> Answer {
    let start = request.messages.iter().rposition(|message| matches!(message, ChatMessage::User(_)));
    let (said, behind) = match start {
        Some(at) => match &request.messages[at] {
            ChatMessage::User(text) => (text.as_str(), &request.messages[at + 1..]),
            _ => ("", &request.messages[..0]),
        },
        None => ("", &request.messages[..0]),
    };
    let script = Script::read(said);
    let results: Vec<String> = behind.iter().filter_map(result_line).collect();
    if !results.is_empty() {
        return Answer { text: results.join("\n"), calls: Vec::new(), delay: script.delay };
    }
    if script.is_plain() {
        return Answer { text: echo(said, request), calls: Vec::new(), delay: script.delay };
    }
    Answer { text: script.says.join("\n"), calls: script.calls, delay: script.delay }
}

fn result_line(message: &ChatMessage) -> Option<String> {
    let ChatMessage::Tool { name, content, is_error, .. } = message else { return None };
    let verb = if *is_error { " failed" } else { "" };
    let mut line: String = content.replace(['\n', '\r'], " ").chars().take(MAX_RESULT_CHARS).collect();
    if line.len() < content.len() && content.chars().count() > MAX_RESULT_CHARS {
        line.push('…');
    }
    Some(format!("{name}{verb}: {line}"))
}

fn echo(said: &str, request: &ModelRequest) -> String {
    let heard: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
    if request.tools.is_empty() {
        return format!("You said: {heard}\nNo tools are on offer.");
    }
    let mut names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    let more = names.len().saturating_sub(MAX_NAMED_TOOLS);
    names.truncate(MAX_NAMED_TOOLS);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("You said: {heard}\nTools on offer: {}{tail}", names.join(", "))
}

/// The steering lines of one user message.
#[derive(Debug, Default)]
struct Script {
    calls: Vec<ToolCallRequest>,
    says: Vec<String>,
    delay: Duration,
}

impl Script {
    fn read(text: &str) -> Self {
        let mut script = Self::default();
        text.lines().for_each(|line| script.read_line(line));
        script
    }

    fn read_line(&mut self, line: &str) {
        let mut rest = line.trim();
        // Who types line by line has one line only, so the delay may stand before the rest of it.
        while let Some(more) = rest.strip_prefix("/slow ").map(str::trim_start) {
            let (delay, behind) = more.split_once(char::is_whitespace).unwrap_or((more, ""));
            self.delay = Duration::from_millis(delay.parse().unwrap_or_default()).min(MAX_DELAY);
            rest = behind.trim_start();
        }
        let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let rest = rest.trim();
        match word {
            "/call" if !rest.is_empty() => self.push_call(rest),
            "/say" => self.says.push(rest.to_owned()),
            _ => {}
        }
    }

    fn push_call(&mut self, rest: &str) {
        let (name, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let arguments = arguments.trim();
        self.calls.push(ToolCallRequest {
            id: format!("scripted_{}", self.calls.len() + 1),
            name: name.to_owned(),
            arguments: if arguments.is_empty() { "{}".to_owned() } else { arguments.to_owned() },
        });
    }

    fn is_plain(&self) -> bool {
        self.calls.is_empty() && self.says.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use berth_core::port::model::{ModelOptions, ToolDefinition};
    use serde_json::json;

    use super::*;

    fn request(messages: Vec<ChatMessage>) -> ModelRequest {
        let tools = vec![ToolDefinition {
            name: "files_list".to_owned(),
            description: "Lists".to_owned(),
            parameters: json!({}),
        }];
        ModelRequest { messages, tools, options: ModelOptions::default() }
    }

    fn user(text: &str) -> ModelRequest {
        request(vec![ChatMessage::User(text.to_owned())])
    }

    #[test]
    fn several_call_lines_are_several_calls_of_one_round() {
        let answer = decide(&user("/call files_list {\"path\": \".\"}\n/call clock_now"));

        let calls: Vec<_> = answer
            .calls
            .iter()
            .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str()))
            .collect();
        assert_eq!(
            calls,
            [("scripted_1", "files_list", "{\"path\": \".\"}"), ("scripted_2", "clock_now", "{}")]
        );
    }

    #[test]
    fn after_results_it_answers_with_one_line_each() {
        let tool = |name: &str, content: &str, is_error| ChatMessage::Tool {
            call_id: "x".to_owned(),
            name: name.to_owned(),
            content: content.to_owned(),
            is_error,
        };
        let answer = decide(&request(vec![
            ChatMessage::User("/call a {}\n/call b {}".to_owned()),
            tool("a", "{\"n\":1}", false),
            tool("b", "no such\nfile", true),
        ]));

        assert_eq!(answer.text, "a: {\"n\":1}\nb failed: no such file");
        assert!(answer.calls.is_empty());
    }

    #[test]
    fn say_answers_the_text_and_plain_words_are_echoed_with_the_tools() {
        assert_eq!(decide(&user("/say hello  world")).text, "hello  world");
        assert_eq!(decide(&user("what now?")).text, "You said: what now?\nTools on offer: files_list");
    }

    #[test]
    fn earlier_turns_do_not_steer() {
        let answer = decide(&request(vec![
            ChatMessage::User("/call a {}".to_owned()),
            ChatMessage::Assistant {
                text: "a: 1".to_owned(),
                tool_calls: Vec::new(),
                reasoning: String::new(),
                provider_items: Vec::new(),
            },
            ChatMessage::User("/say two".to_owned()),
        ]));

        assert_eq!(answer.text, "two");
    }

    #[test]
    fn a_delay_may_stand_before_the_rest_of_its_line() {
        let answer = decide(&user("/slow 5 /say one"));
        let calls = decide(&user("/slow 5 /slow 7 /call clock_now"));
        let plain = decide(&user("/slow 5 hello"));

        assert_eq!((answer.text.as_str(), answer.delay), ("one", Duration::from_millis(5)));
        assert_eq!((calls.calls.len(), calls.delay), (1, Duration::from_millis(7)));
        assert_eq!(plain.delay, Duration::from_millis(5));
        assert!(plain.text.starts_with("You said: /slow 5 hello"), "{}", plain.text);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_delays_each_delta_and_loses_none() {
        let begin = tokio::time::Instant::now();
        let events: Vec<_> = Scripted
            .stream(user("/slow 1000\n/say one two three"))
            .await
            .unwrap()
            .filter_map(|event| async move {
                match event {
                    Ok(ModelEvent::Text(text)) => Some(text),
                    _ => None,
                }
            })
            .collect()
            .await;

        assert_eq!(events, ["one ", "two ", "three"]);
        assert_eq!(begin.elapsed(), Duration::from_secs(3));
    }

    #[test]
    fn deltas_put_together_are_the_text() {
        for text in ["", " ", "a", "a b", "  a\n\nb  c ", "ä ö\tü"] {
            assert_eq!(deltas(text).collect::<String>(), text);
        }
    }
}
