//! The language model.

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

/// Streams one answer of a language model.
#[async_trait]
pub trait Model: Send + Sync {
    /// What answers, for events and `/health`.
    fn info(&self) -> ModelInfo;

    /// Starts an answer. Dropping the stream ends the request.
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError>;
}

/// The pieces of one answer, in order.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// Which model answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    pub provider: String,
    pub model: String,
}

/// What the model is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    pub messages: Vec<ChatMessage>,
    pub tools: Vec<ToolDefinition>,
    pub options: ModelOptions,
}

/// Wishes of one message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelOptions {
    /// Another model than the configured one.
    pub model: Option<String>,
    pub thinking: Option<bool>,
    /// `low`, `medium` or `high`.
    pub thinking_effort: Option<String>,
    pub thinking_budget_tokens: Option<u32>,
}

/// One message of the prompt.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatMessage {
    System(String),
    User(String),
    Assistant {
        text: String,
        tool_calls: Vec<ToolCallRequest>,
        reasoning: String,
        /// Opaque items that the provider wants back.
        provider_items: Vec<Value>,
    },
    Tool {
        call_id: String,
        name: String,
        content: String,
        is_error: bool,
    },
}

/// A tool as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDefinition {
    pub name: String,
    pub description: String,
    /// A JSON Schema of an object.
    pub parameters: Value,
}

/// A call that the model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCallRequest {
    /// The model's own id of the call.
    pub id: String,
    pub name: String,
    /// JSON text as the model wrote it; may be invalid.
    pub arguments: String,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    Text(String),
    Reasoning(String),
    /// A whole call; pieces are joined by the adapter.
    ToolCall(ToolCallRequest),
    ProviderItem(Value),
    Usage(Usage),
    Finished(FinishReason),
}

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub reasoning_tokens: u64,
    pub total_tokens: u64,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    Stop,
    ToolCalls,
    Length,
    ContentFilter,
    Other,
}

/// Why there is no answer. Safe to show: never carries a key or a body.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// `provider_auth_failed`, `provider_rate_limited` … as in `docs/errors.md`.
    pub code: &'static str,
    pub message: String,
    pub retryable: bool,
    /// Facts: host, status, model, the invalid parameter.
    pub details: Value,
}
