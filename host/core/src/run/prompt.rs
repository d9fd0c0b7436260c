//! What the model is asked: who it is, what was said, which tools there are.

use berth_model::ThreadId;
use berth_model::message::{Message, MessageStatus, Role};
use berth_model::operation::{Operation, OperationStatus};
use berth_model::run::Run;
use berth_model::tool::ToolSpec;
use berth_model::workspace::Workspace;
use serde_json::{Value, json};

use crate::port::model::{ChatMessage, ModelOptions, ToolCallRequest, ToolDefinition};
use crate::port::store::{StoreError, Tx};

/// In the metadata of a run whose calls waited for a person over a stop: it goes on behind them.
pub(crate) const HAS_CALLS: &str = "has_calls";

/// What was said in the thread, as far back as a prompt of `run` can need it. Oldest first.
pub(super) async fn said(
    tx: &mut dyn Tx,
    thread: ThreadId,
    run: &Run,
    window: usize,
) -> Result<Vec<Message>, StoreError> {
    // Room for messages that came after the run's own, and for some that a prompt leaves out.
    let page = 2 * window + 16;
    let said = tx.list_messages(thread, Some(u32::try_from(page).unwrap_or(u32::MAX))).await?;
    let visible = said[..until(run, &said).unwrap_or(0)].iter().filter(|message| is_history(message));
    if said.len() < page || visible.count() >= window {
        return Ok(said);
    }
    tx.list_messages(thread, None).await
}

/// Where the messages of later runs begin; `None` when the run's own is not there.
fn until(run: &Run, said: &[Message]) -> Option<usize> {
    said.iter().position(|message| Some(message.id) == run.input_message).map(|at| at + 1)
}

/// The messages of the first round. What was said after the run's own message belongs to later runs.
pub(super) fn messages(
    system: &str,
    place: &Workspace,
    run: &Run,
    said: &[Message],
    window: usize,
) -> Vec<ChatMessage> {
    let end = until(run, said).unwrap_or(said.len());
    let visible: Vec<&Message> = said[..end].iter().filter(|message| is_history(message)).collect();
    let start = visible.len().saturating_sub(window.max(1));

    let mut system = system.to_owned();
    system.push_str(&format!("\nWorkspace: {} ({}).", place.title, place.id));
    if !place.prompt_overlay.is_empty() {
        system.push('\n');
        system.push_str(&place.prompt_overlay);
    }
    let mut messages = vec![ChatMessage::System(system)];
    messages.extend(visible[start..].iter().map(|message| match message.role {
        Role::Assistant => ChatMessage::Assistant {
            text: message.content.clone(),
            tool_calls: Vec::new(),
            reasoning: String::new(),
            provider_items: Vec::new(),
        },
        _ => ChatMessage::User(message.content.clone()),
    }));
    messages
}

/// The calls of earlier attempts at a run that have ended, each with what came of it: the model goes on behind them.
pub(super) fn calls(operations: &[Operation]) -> Vec<ChatMessage> {
    let of_model =
        operations.iter().filter(|operation| operation.status.is_final() && operation.kind == "tool_call");
    let told = |operation: &Operation| {
        let (id, name) = (operation.call.to_string(), operation.tool.to_string());
        let arguments = operation.arguments.to_string();
        let is_error = operation.status != OperationStatus::Succeeded;
        let content = if is_error && operation.result.is_null() {
            json!({ "error": operation.error }).to_string()
        } else {
            result_text(&operation.result)
        };
        [
            ChatMessage::Assistant {
                text: String::new(),
                tool_calls: vec![ToolCallRequest { id: id.clone(), name: name.clone(), arguments }],
                reasoning: String::new(),
                provider_items: Vec::new(),
            },
            ChatMessage::Tool { call_id: id, name, content, is_error },
        ]
    };
    of_model.flat_map(told).collect()
}

fn is_history(message: &Message) -> bool {
    message.status != MessageStatus::Failed && matches!(message.role, Role::User | Role::Assistant)
}

pub(super) fn tools(catalogue: &[ToolSpec]) -> Vec<ToolDefinition> {
    catalogue
        .iter()
        .map(|tool| ToolDefinition {
            name: tool.name.to_string(),
            description: tool.description.clone(),
            parameters: tool.input_schema.clone(),
        })
        .collect()
}

/// The wishes that came with the message.
pub(super) fn options(run: &Run) -> ModelOptions {
    let Some(options) = run.metadata.get("options") else { return ModelOptions::default() };
    let thinking = &options["thinking"];
    ModelOptions {
        model: options["model"].as_str().map(str::to_owned),
        thinking: thinking["enabled"].as_bool(),
        thinking_effort: thinking["effort"].as_str().map(str::to_owned),
        thinking_budget_tokens: thinking["budget_tokens"]
            .as_u64()
            .and_then(|tokens| u32::try_from(tokens).ok()),
    }
}

/// What the model reads of a result.
pub(super) fn result_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
