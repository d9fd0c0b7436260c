//! From our frames to text, with the fields of the envelope that a provider fills.

use berth_proto::tool::{ToolAccepted, ToolError, ToolErrorReason, ToolProgress, ToolResult};
use berth_proto::{JsonMap, ProviderFrame, limits};

use crate::call::CallError;

/// How a call ended.
pub(crate) type Outcome = Result<JsonMap, CallError>;

/// What an answer must repeat of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplyTo {
    pub call_id: String,
    /// The `message_id` of the request.
    pub message_id: String,
    pub endpoint_id: String,
}

/// A frame that answers nothing.
pub(crate) fn write(frame: &ProviderFrame, endpoint_id: &str) -> String {
    let mut envelope = frame.envelope().with_message_id(new_id()).with_endpoint(endpoint_id);
    envelope.sent_at = Some(now());
    envelope.write()
}

fn answer(frame: &ProviderFrame, to: &ReplyTo) -> String {
    let envelope = frame.envelope().answering(&to.message_id, &to.endpoint_id);
    let mut envelope = envelope.with_message_id(new_id());
    envelope.sent_at = Some(now());
    envelope.write()
}

pub(crate) fn accepted(to: &ReplyTo) -> String {
    let call_id = to.call_id.clone();
    answer(&ProviderFrame::ToolAccepted(ToolAccepted { call_id, accepted: true, started_at: now() }), to)
}

pub(crate) fn progress(to: &ReplyTo, phase: &str, detail: &str) -> String {
    let call_id = to.call_id.clone();
    let progress = ToolProgress { call_id, phase: phase.to_owned(), detail: detail.to_owned() };
    answer(&ProviderFrame::ToolProgress(progress), to)
}

/// The last frame of a call. A result that Core would not take becomes an error.
pub(crate) fn end(to: &ReplyTo, outcome: Outcome) -> String {
    match outcome {
        Ok(result) => {
            let frame = ProviderFrame::ToolResult(ToolResult {
                call_id: to.call_id.clone(),
                status: "succeeded".to_owned(),
                result,
                finished_at: now(),
            });
            let text = answer(&frame, to);
            if text.len() <= limits::MAX_IN_BYTES {
                return text;
            }
            let message = format!("the result has {} bytes, Core takes {}", text.len(), limits::MAX_IN_BYTES);
            failed(to, CallError::new("result_too_large", message))
        }
        Err(error) => failed(to, error),
    }
}

fn failed(to: &ReplyTo, error: CallError) -> String {
    let error = ToolErrorReason {
        code: error.code.to_owned(),
        category: "runtime".to_owned(),
        message: error.message,
        retryable: error.retryable,
        details: error.details,
    };
    let call_id = to.call_id.clone();
    let status = "failed".to_owned();
    answer(&ProviderFrame::ToolError(ToolError { call_id, status, error, finished_at: now() }), to)
}

fn new_id() -> String {
    format!("msg_{:032x}", rand::random::<u128>())
}

/// RFC 3339 in UTC with microseconds.
pub(crate) fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}
