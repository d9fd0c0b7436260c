//! One run: prompt, model, tool calls, model again, final message.

use std::sync::Arc;

use berth_model::event::{EventType, NewEvent};
use berth_model::message::Role;
use berth_model::run::{Run, RunFailure};
use berth_model::tool::{Parallel, Risk, ToolFailure, ToolSpec};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{batch, finish, prompt};
use crate::core::object;
use crate::gate::Consent;
use crate::operations::{Ask, failure_value};
use crate::port::model::{
    ChatMessage, FinishReason, ModelError, ModelEvent, ModelRequest, ToolCallRequest, Usage,
};
use crate::threads::workspace;
use crate::{Core, CoreError, locale};

/// Carries `run` to its end; an error means that the store would not have it.
pub(super) async fn run(
    core: Core,
    cell: Arc<Mutex<Run>>,
    cancel: CancellationToken,
) -> Result<(), CoreError> {
    let mut said = String::new();
    let wall = core.0.config.limits.wall;
    let end = tokio::select! {
        // The stop wakes the rounds too: looked at first, they could go on to their end without a pause.
        biased;
        () = cancel.cancelled() => End::Stopped,
        () = tokio::time::sleep(wall) => {
            // Calls that are still out hear of it; they end with the run.
            cancel.cancel();
            End::Failed(limit("wall time", wall))
        }
        end = rounds(&core, &cell, &cancel, &mut said) => end?,
    };
    let mut run = cell.lock().await.clone();
    if core.0.kill.is_cancelled() {
        // Left as it is: the next start resumes it or says why not.
        return Ok(());
    }
    match end {
        End::Answered { text, facts, completed } => {
            finish::succeed(&core, &mut run, &text, facts, *completed).await
        }
        End::Stopped => finish::stop(&core, &mut run, &said).await,
        End::Failed(failure) => finish::fail_now(&core, &mut run, failure).await,
    }
}

/// How a turn ends.
enum End {
    /// `completed` tells of the last round, and is stored with the end of the run.
    Answered {
        text: String,
        facts: berth_model::JsonMap,
        completed: Box<NewEvent>,
    },
    Stopped,
    Failed(RunFailure),
}

fn limit(what: &str, bound: impl std::fmt::Debug) -> RunFailure {
    RunFailure {
        code: "run_limit_reached".to_owned(),
        message: format!("the run reached its limit of {what} ({bound:?})"),
        retryable: false,
    }
}

async fn rounds(
    core: &Core,
    run: &Mutex<Run>,
    cancel: &CancellationToken,
    said: &mut String,
) -> Result<End, CoreError> {
    let limits = core.0.config.limits;
    let (mut messages, options, mut catalogue) = begin(core, run).await?;
    let mut tools_used: Vec<String> = Vec::new();
    let mut usage = Usage::default();
    let mut last_text = String::new();
    let mut calls_made = 0;
    for round in 1..=limits.rounds {
        let request = ModelRequest {
            messages: messages.clone(),
            tools: prompt::tools(&catalogue),
            options: options.clone(),
        };
        said.clear();
        let answer = match ask_model(core, run, round, request, said).await? {
            Ok(answer) => answer,
            Err(error) => return Ok(End::Failed(model_failure(&error))),
        };
        usage = add(usage, answer.usage);
        if !answer.text.trim().is_empty() {
            last_text = answer.text.clone();
        }
        if answer.calls.is_empty() {
            let facts = object([
                ("finish_reason", json!(finish_word(answer.finish))),
                ("rounds", json!(round)),
                ("tool_names", json!(tools_used)),
                ("usage", usage_value(usage)),
            ]);
            return Ok(End::Answered { text: last_text, facts, completed: Box::new(answer.completed) });
        }
        store_event(core, answer.completed).await?;
        calls_made += u32::try_from(answer.calls.len()).unwrap_or(u32::MAX);
        if calls_made > limits.tool_calls {
            return Ok(End::Failed(limit("tool calls", limits.tool_calls)));
        }
        tools_used.extend(answer.calls.iter().map(|call| call.name.clone()));
        messages.push(ChatMessage::Assistant {
            text: answer.text,
            tool_calls: answer.calls.clone(),
            reasoning: answer.reasoning,
            provider_items: answer.provider_items,
        });
        messages.extend(call_tools(core, run, cancel, &catalogue, answer.calls).await?);
        if cancel.is_cancelled() {
            return Ok(End::Stopped);
        }
        // Endpoints and plugins come and go between rounds.
        catalogue = live_catalogue(core, run).await?;
    }
    Ok(End::Failed(limit("rounds", limits.rounds)))
}

async fn begin(
    core: &Core,
    run: &Mutex<Run>,
) -> Result<(Vec<ChatMessage>, crate::port::model::ModelOptions, Vec<ToolSpec>), CoreError> {
    let mut run = run.lock().await;
    let mut tx = core.0.store.read().await?;
    let place = workspace(&mut *tx, &run.workspace).await?;
    let said = match run.thread {
        Some(thread) => prompt::said(&mut *tx, thread, &run, core.0.config.history_messages).await?,
        None => Vec::new(),
    };
    if locale::of(&run.metadata).is_none()
        && let Some(thread) = run.thread
    {
        let asked = said.iter().rev().find(|message| message.role == Role::User);
        let known = asked.and_then(|message| locale::of(&message.metadata));
        let known = match known {
            Some(known) => Some(known),
            None => tx.lookup_thread(thread).await?.and_then(|thread| locale::of(&thread.metadata)),
        };
        run.metadata.extend(known.map(|known| (locale::KEY.to_owned(), json!(known))));
    }
    let catalogue = core.catalogue(&mut *tx, &place).await?;
    let config = &core.0.config;
    let mut messages = prompt::messages(&config.system_prompt, &place, &run, &said, config.history_messages);
    if run.metadata.contains_key(prompt::HAS_CALLS) {
        messages.extend(prompt::calls(&tx.operations_of_run(run.id).await?));
    }
    Ok((messages, prompt::options(&run), catalogue))
}

async fn live_catalogue(core: &Core, run: &Mutex<Run>) -> Result<Vec<ToolSpec>, CoreError> {
    let place = run.lock().await.workspace.clone();
    core.tools(&place).await
}

/// What the model said in one round.
struct Answer {
    text: String,
    reasoning: String,
    calls: Vec<ToolCallRequest>,
    provider_items: Vec<Value>,
    usage: Usage,
    finish: FinishReason,
    /// Not stored yet.
    completed: NewEvent,
}

async fn ask_model(
    core: &Core,
    run: &Mutex<Run>,
    round: u32,
    request: ModelRequest,
    said: &mut String,
) -> Result<Result<Answer, ModelError>, CoreError> {
    let model = core.0.model.info();
    let payload = object([
        ("provider", json!(model.provider)),
        ("model", json!(request.options.model.as_deref().unwrap_or(&model.model))),
        ("round", json!(round)),
        ("tools", json!(request.tools.len())),
    ]);
    tell(core, run, EventType::ModelStarted, payload).await?;
    let template = {
        let run = run.lock().await;
        core.event(&run, EventType::MessageDelta, finish::place(&run))
    };
    let transient = |kind: EventType, key: &str, text: &str| {
        let mut event = template.clone();
        event.id = berth_model::EventId::from_uuid(core.uuid());
        event.kind = kind;
        event.created_at = core.now();
        event.payload.insert(key.to_owned(), json!(text));
        let (key, value) =
            if kind == EventType::MessageDelta { ("channel", "answer") } else { ("phase", "chunk") };
        event.payload.insert(key.to_owned(), json!(value));
        core.0.bus.transient(event);
    };

    let mut stream = match core.0.model.stream(request).await {
        Ok(stream) => stream,
        Err(error) => return Ok(Err(error)),
    };
    let mut answer = Answer {
        text: String::new(),
        reasoning: String::new(),
        calls: Vec::new(),
        provider_items: Vec::new(),
        usage: Usage::default(),
        finish: FinishReason::Other,
        completed: template.clone(),
    };
    let mut is_told = false;
    while let Some(event) = stream.next().await {
        if !is_told {
            // What led to the words comes before them.
            core.0.bus.told().await;
            is_told = true;
        }
        match event {
            Ok(ModelEvent::Text(text)) => {
                answer.text.push_str(&text);
                said.push_str(&text);
                transient(EventType::MessageDelta, "delta", &text);
            }
            Ok(ModelEvent::Reasoning(text)) => {
                answer.reasoning.push_str(&text);
                transient(EventType::ReasoningDelta, "delta", &text);
            }
            Ok(ModelEvent::ToolCall(call)) => answer.calls.push(call),
            Ok(ModelEvent::ProviderItem(item)) => answer.provider_items.push(item),
            Ok(ModelEvent::Usage(usage)) => answer.usage = usage,
            Ok(ModelEvent::Finished(reason)) => answer.finish = reason,
            Err(error) => return Ok(Err(error)),
        }
    }
    let payload = object([
        ("round", json!(round)),
        ("text", json!(answer.text)),
        ("tool_calls", json!(answer.calls.len())),
        ("finish_reason", json!(finish_word(answer.finish))),
        ("usage", usage_value(answer.usage)),
    ]);
    answer.completed = core.event(&*run.lock().await, EventType::ModelCompleted, payload);
    Ok(Ok(answer))
}

/// Runs the calls of a round in safe order; the results are in the order of the calls.
async fn call_tools(
    core: &Core,
    run: &Mutex<Run>,
    cancel: &CancellationToken,
    catalogue: &[ToolSpec],
    calls: Vec<ToolCallRequest>,
) -> Result<Vec<ChatMessage>, CoreError> {
    let unknown = Parallel::for_risk(Risk::Destructive);
    let policies: Vec<Parallel> = calls
        .iter()
        .map(|call| {
            let tool = catalogue.iter().find(|tool| tool.name.as_str() == call.name);
            let mut policy = tool.map_or_else(|| unknown.clone(), |tool| tool.parallel.clone());
            // A run waits for one answer at a time.
            policy.safe &= !tool.is_some_and(|tool| tool.requires_confirmation);
            policy
        })
        .collect();
    let mut results: Vec<Option<ChatMessage>> = vec![None; calls.len()];
    for batch in batch::batches(&policies, core.0.config.parallel_calls) {
        let work = batch.iter().map(|&index| call_tool(core, run, cancel, catalogue, &calls[index]));
        for (index, result) in batch.iter().zip(futures::future::join_all(work).await) {
            results[*index] = Some(result?);
        }
    }
    Ok(results.into_iter().flatten().collect())
}

async fn call_tool(
    core: &Core,
    run: &Mutex<Run>,
    cancel: &CancellationToken,
    catalogue: &[ToolSpec],
    call: &ToolCallRequest,
) -> Result<ChatMessage, CoreError> {
    let answer = |content: String, is_error: bool| ChatMessage::Tool {
        call_id: call.id.clone(),
        name: call.name.clone(),
        content,
        is_error,
    };
    let failure = match ask_of(run, cancel, catalogue, call).await {
        Ok(ask) => match core.operate_in(ask, Some(run)).await {
            Ok(finished) => {
                return Ok(match finished.outcome {
                    Ok(outcome) => answer(prompt::result_text(&outcome.content), outcome.is_error),
                    Err(failure) => answer(for_model(&failure), true),
                });
            }
            Err(CoreError::Store(error)) => return Err(error.into()),
            Err(CoreError::Tool(failure)) => failure,
            Err(error) => ToolFailure::new(error.code(), error.to_string(), berth_model::tool::Blame::Host),
        },
        Err(failure) if failure.code == "tool_not_found" => {
            offline_endpoint(core, run, call).await?.unwrap_or(failure)
        }
        Err(failure) => failure,
    };
    // There is no operation: the refusal itself is the event.
    let payload = object([
        ("call_id", json!(call.id)),
        ("tool_key", json!(call.name)),
        ("tool_id", json!(call.name)),
        ("target", json!("")),
        ("status", json!("refused")),
        ("error", failure_value(&failure)),
    ]);
    tell(core, run, EventType::ToolCallFailed, payload).await?;
    Ok(answer(for_model(&failure), true))
}

/// Says that the endpoint of a tool that is no more on offer is away, where that is why.
async fn offline_endpoint(
    core: &Core,
    run: &Mutex<Run>,
    call: &ToolCallRequest,
) -> Result<Option<ToolFailure>, CoreError> {
    let place = run.lock().await.workspace.clone();
    let mut tx = core.0.store.read().await?;
    let place = workspace(&mut *tx, &place).await?;
    match core.by_model_name(&mut *tx, &place, &call.name).await {
        Err(CoreError::Tool(failure)) if failure.code == "target_endpoint_unavailable" => Ok(Some(failure)),
        Ok(_) | Err(CoreError::Tool(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn ask_of(
    run: &Mutex<Run>,
    cancel: &CancellationToken,
    catalogue: &[ToolSpec],
    call: &ToolCallRequest,
) -> Result<Ask, ToolFailure> {
    let blame = berth_model::tool::Blame::Caller;
    if !catalogue.iter().any(|tool| tool.name.as_str() == call.name) {
        let names: Vec<_> = catalogue.iter().map(|tool| tool.name.as_str()).collect();
        let name: String = call.name.chars().take(80).collect();
        let message = format!("there is no tool `{name}`; there are: {}", names.join(", "));
        return Err(ToolFailure::new("tool_not_found", message, blame));
    }
    let arguments = serde_json::from_str::<Value>(&call.arguments).ok().filter(Value::is_object);
    let Some(arguments) = arguments else {
        let message = format!("the arguments of {} are no JSON object", call.name);
        return Err(ToolFailure::new("tool_arguments_invalid", message, blame));
    };
    let run = run.lock().await;
    Ok(Ask {
        tool: call.name.clone(),
        target: None,
        arguments,
        workspace: run.workspace.clone(),
        thread: run.thread,
        session: run.session,
        run: Some(run.id),
        actor: run.actor.clone(),
        origin: run.origin_endpoint.clone(),
        consent: Consent::None,
        endpoints_only: false,
        kind: "tool_call".to_owned(),
        title: String::new(),
        timeout: None,
        locale: locale::of(&run.metadata),
        dry_run: false,
        cancel: cancel.child_token(),
        listener: None,
    })
}

/// A failure as the model reads it.
fn for_model(failure: &ToolFailure) -> String {
    let mut error =
        json!({ "code": failure.code, "message": failure.message, "retryable": failure.retryable });
    if !failure.details.is_null() {
        error["details"] = failure.details.clone();
    }
    json!({ "error": error }).to_string()
}

fn model_failure(error: &ModelError) -> RunFailure {
    RunFailure { code: error.code.to_owned(), message: error.message.clone(), retryable: error.retryable }
}

/// Stores one event of the run and tells it.
async fn tell(
    core: &Core,
    run: &Mutex<Run>,
    kind: EventType,
    payload: berth_model::JsonMap,
) -> Result<(), CoreError> {
    let event = core.event(&*run.lock().await, kind, payload);
    store_event(core, event).await
}

async fn store_event(core: &Core, event: NewEvent) -> Result<(), CoreError> {
    let mut tx = core.0.store.write().await?;
    tx.append_events(&[event]).await?;
    tx.commit().await?;
    core.0.bus.committed();
    Ok(())
}

fn add(a: Usage, b: Usage) -> Usage {
    Usage {
        prompt_tokens: a.prompt_tokens + b.prompt_tokens,
        completion_tokens: a.completion_tokens + b.completion_tokens,
        reasoning_tokens: a.reasoning_tokens + b.reasoning_tokens,
        total_tokens: a.total_tokens + b.total_tokens,
    }
}

fn usage_value(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens, "total_tokens": usage.total_tokens,
    })
}

fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other => "other",
    }
}
