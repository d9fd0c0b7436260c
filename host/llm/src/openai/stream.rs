//! What comes back: server-sent chunks, joined into model events.

use std::collections::VecDeque;

use berth_core::port::model::{FinishReason, ModelError, ModelEvent, ToolCallRequest, Usage};
use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures::{Stream, StreamExt};
use serde_json::{Value, json};

/// The longest arguments of one call that are put together, in bytes.
const MAX_ARGUMENTS_BYTES: usize = 4 << 20;
/// The most calls of one answer.
const MAX_CALLS: usize = 128;

/// Turns the bytes of a streamed answer into events. A stream that breaks off ends with an error.
pub(super) fn events(
    bytes: impl Stream<Item = Result<Bytes, reqwest::Error>> + Send + Unpin + 'static,
    host: Value,
) -> impl Stream<Item = Result<ModelEvent, ModelError>> + Send {
    let state = State { chunks: Box::pin(bytes.eventsource()), joined: Joined::default(), host, over: false };
    futures::stream::unfold(state, |mut state| async move {
        loop {
            if let Some(event) = state.joined.ready.pop_front() {
                return Some((Ok(event), state));
            }
            if state.over {
                return None;
            }
            match state.chunks.next().await {
                Some(Ok(chunk)) if chunk.data.trim() == "[DONE]" => {
                    state.over = true;
                    state.joined.finish();
                }
                Some(Ok(chunk)) => {
                    if let Err(error) = state.joined.take(&chunk.data, &state.host) {
                        state.over = true;
                        return Some((Err(error), state));
                    }
                }
                Some(Err(_)) => {
                    state.over = true;
                    let error = broken("the connection to the model broke", &state.host);
                    return Some((Err(error), state));
                }
                None if state.joined.finish.is_some() => {
                    state.over = true;
                    state.joined.finish();
                }
                None => {
                    state.over = true;
                    let error = broken("the model stopped in the middle of its answer", &state.host);
                    return Some((Err(error), state));
                }
            }
        }
    })
}

struct State<S> {
    chunks: std::pin::Pin<Box<S>>,
    joined: Joined,
    host: Value,
    over: bool,
}

fn broken(message: &str, host: &Value) -> ModelError {
    ModelError {
        code: "provider_upstream_unavailable",
        message: message.to_owned(),
        retryable: true,
        details: json!({ "host": host }),
    }
}

/// Pieces of calls, and the events that are whole.
#[derive(Default)]
struct Joined {
    ready: VecDeque<ModelEvent>,
    calls: Vec<ToolCallRequest>,
    finish: Option<FinishReason>,
}

impl Joined {
    fn take(&mut self, data: &str, host: &Value) -> Result<(), ModelError> {
        let chunk: Value = serde_json::from_str(data)
            .map_err(|_| broken("the model answered with something that is no JSON", host))?;
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            let code = if error["code"].as_str().is_some_and(|code| code.contains("context_length")) {
                "provider_context_limit_exceeded"
            } else {
                "provider_upstream_unavailable"
            };
            let mut failure = broken("the model reported an error in the middle of its answer", host);
            failure.code = code;
            failure.retryable = code == "provider_upstream_unavailable";
            return Err(failure);
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.ready.push_back(ModelEvent::Usage(read_usage(usage)));
        }
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        for key in ["reasoning_content", "reasoning"] {
            if let Some(text) = delta[key].as_str().filter(|text| !text.is_empty()) {
                self.ready.push_back(ModelEvent::Reasoning(text.to_owned()));
                break;
            }
        }
        if let Some(text) = delta["content"].as_str().filter(|text| !text.is_empty()) {
            self.ready.push_back(ModelEvent::Text(text.to_owned()));
        }
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            self.join(piece, host)?;
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.finish = Some(finish_reason(reason));
        }
        Ok(())
    }

    fn join(&mut self, piece: &Value, host: &Value) -> Result<(), ModelError> {
        let index =
            piece["index"].as_u64().map_or(self.calls.len().saturating_sub(1), |index| index as usize);
        if index >= MAX_CALLS {
            return Err(broken("the model asked for too many calls at once", host));
        }
        while self.calls.len() <= index {
            self.calls.push(ToolCallRequest {
                id: String::new(),
                name: String::new(),
                arguments: String::new(),
            });
        }
        let call = &mut self.calls[index];
        if let Some(id) = piece["id"].as_str().filter(|id| !id.is_empty()) {
            id.clone_into(&mut call.id);
        }
        call.name.push_str(piece["function"]["name"].as_str().unwrap_or_default());
        call.arguments.push_str(piece["function"]["arguments"].as_str().unwrap_or_default());
        if call.arguments.len() > MAX_ARGUMENTS_BYTES {
            return Err(broken("the model wrote too long arguments", host));
        }
        Ok(())
    }

    fn finish(&mut self) {
        let calls =
            std::mem::take(&mut self.calls).into_iter().enumerate().filter(|(_, call)| !call.name.is_empty());
        for (index, mut call) in calls {
            if call.id.is_empty() {
                call.id = format!("call_{index}");
            }
            if call.arguments.trim().is_empty() {
                "{}".clone_into(&mut call.arguments);
            }
            self.ready.push_back(ModelEvent::ToolCall(call));
        }
        self.ready.push_back(ModelEvent::Finished(self.finish.take().unwrap_or(FinishReason::Stop)));
    }
}

fn read_usage(usage: &Value) -> Usage {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    Usage {
        prompt_tokens: count(&usage["prompt_tokens"]),
        completion_tokens: count(&usage["completion_tokens"]),
        reasoning_tokens: count(&usage["completion_tokens_details"]["reasoning_tokens"]),
        total_tokens: count(&usage["total_tokens"]),
    }
}

fn finish_reason(word: &str) -> FinishReason {
    match word {
        "stop" => FinishReason::Stop,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &'static str, piece: usize) -> Vec<Result<ModelEvent, ModelError>> {
        let pieces: Vec<_> = text
            .as_bytes()
            .chunks(piece)
            .map(|part| Ok::<_, reqwest::Error>(Bytes::from_static(part)))
            .collect();
        events(futures::stream::iter(pieces), json!("host")).collect().await
    }

    const CALLS: &str = concat!(
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"So \"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"a\",\"arguments\":\"{\\\"x\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"b\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\":1}\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n",
        "data: [DONE]\n\n",
    );

    #[tokio::test]
    async fn pieces_of_calls_are_joined_however_the_bytes_are_cut() {
        for piece in [1, 7, 64, CALLS.len()] {
            let events: Vec<_> = read(CALLS, piece).await.into_iter().map(Result::unwrap).collect();

            let call = |id: &str, name: &str, arguments: &str| {
                ModelEvent::ToolCall(ToolCallRequest {
                    id: id.to_owned(),
                    name: name.to_owned(),
                    arguments: arguments.to_owned(),
                })
            };
            assert_eq!(
                events,
                [
                    ModelEvent::Reasoning("hm".to_owned()),
                    ModelEvent::Text("So ".to_owned()),
                    ModelEvent::Usage(Usage {
                        prompt_tokens: 3,
                        completion_tokens: 4,
                        reasoning_tokens: 0,
                        total_tokens: 7
                    }),
                    call("c1", "a", "{\"x\":1}"),
                    call("c2", "b", "{}"),
                    ModelEvent::Finished(FinishReason::ToolCalls),
                ]
            );
        }
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_is_an_error_after_what_was_said() {
        let events = read("data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n", 9).await;

        assert_eq!(events[0], Ok(ModelEvent::Text("half".to_owned())));
        assert_eq!(events[1].as_ref().unwrap_err().code, "provider_upstream_unavailable");
        assert_eq!(events.len(), 2);
    }

    #[tokio::test]
    async fn no_json_and_too_many_calls_are_errors() {
        for text in [
            "data: hello\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":4000000000}]}}]}\n\n",
            "data: {\"error\":{\"message\":\"overloaded\"}}\n\n",
        ] {
            let events = read(text, 5).await;
            assert!(events.last().unwrap().is_err(), "{text}");
        }
    }
}
