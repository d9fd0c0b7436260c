//! Tool calls: the request, its steps, its one end.

use serde::Serialize;
use serde_json::Value;

use crate::JsonMap;
use crate::fields::Fields;
use crate::limits::CALL_TIMEOUT_SECONDS;

/// `tool.call.request`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ToolRequest {
    /// Fresh for every call: a Pi answers a repeated one from its memory.
    pub operation_id: String,
    pub call_id: String,
    pub workspace_id: String,
    pub tool_key: String,
    pub capability_id: String,
    /// A copy without the sensitive values when `encrypted_arguments` is there.
    pub arguments: JsonMap,
    pub encrypted_arguments: Option<EncryptedArguments>,
    pub timeout_seconds: u64,
    pub audit_context: AuditContext,
}

/// On whose behalf a call is made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AuditContext {
    pub requested_by_actor_id: String,
    pub requested_by_run_id: String,
    pub execution_target_id: String,
}

/// Arguments that only the two ends can read: AES-256-GCM, every field in padded base64.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EncryptedArguments {
    pub version: String,
    pub alg: String,
    pub purpose: String,
    pub iv: String,
    pub ciphertext: String,
    pub tag: String,
}

impl ToolRequest {
    pub fn read(fields: Fields<'_>) -> Self {
        let audit = fields.object(&["audit_context"]);
        let audit = Fields(&audit);
        let sealed = fields.maybe_object(&["encrypted_arguments"]).filter(|sealed| !sealed.is_empty());
        Self {
            operation_id: fields.text(&["operation_id"]),
            call_id: fields.text(&["call_id"]),
            workspace_id: fields.text(&["workspace_id"]),
            tool_key: fields.text(&["tool_key", "tool_id"]),
            capability_id: fields.text(&["capability_id"]),
            arguments: fields.object(&["arguments"]),
            encrypted_arguments: sealed.map(|sealed| EncryptedArguments::read(Fields(sealed))),
            timeout_seconds: fields
                .int(&["timeout_seconds"])
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|&seconds| seconds > 0)
                .unwrap_or(CALL_TIMEOUT_SECONDS),
            audit_context: AuditContext {
                requested_by_actor_id: audit.text(&["requested_by_actor_id"]),
                requested_by_run_id: audit.text(&["requested_by_run_id"]),
                execution_target_id: audit.text(&["execution_target_id"]),
            },
        }
    }
}

impl EncryptedArguments {
    fn read(sealed: Fields<'_>) -> Self {
        Self {
            version: sealed.text(&["version"]),
            alg: sealed.text(&["alg"]),
            purpose: sealed.text(&["purpose"]),
            iv: sealed.text(&["iv"]),
            ciphertext: sealed.text(&["ciphertext"]),
            tag: sealed.text(&["tag"]),
        }
    }
}

/// `tool.call.accepted`: the provider has the call; it may still wait for its turn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ToolAccepted {
    pub call_id: String,
    pub accepted: bool,
    pub started_at: String,
}

/// `tool.call.progress`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ToolProgress {
    pub call_id: String,
    pub phase: String,
    pub detail: String,
}

impl ToolProgress {
    pub fn read(fields: Fields<'_>) -> Self {
        Self {
            call_id: fields.text(&["call_id"]),
            phase: fields.maybe_text(&["phase"]).unwrap_or_else(|| "running".to_owned()),
            detail: fields.verbatim("detail"),
        }
    }
}

/// `tool.call.result`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ToolResult {
    pub call_id: String,
    pub status: String,
    pub result: JsonMap,
    pub finished_at: String,
}

impl ToolResult {
    /// A result that is no object counts as an empty one.
    pub fn read(fields: Fields<'_>) -> Self {
        Self {
            call_id: fields.text(&["call_id"]),
            status: fields.maybe_text(&["status"]).unwrap_or_else(|| "succeeded".to_owned()),
            result: fields.object(&["result"]),
            finished_at: fields.text(&["finished_at"]),
        }
    }
}

/// `tool.call.error`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ToolError {
    pub call_id: String,
    pub status: String,
    pub error: ToolErrorReason,
    pub finished_at: String,
}

/// Why a call failed, in the provider's words.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ToolErrorReason {
    pub code: String,
    pub category: String,
    pub message: String,
    pub retryable: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

impl ToolError {
    pub fn read(fields: Fields<'_>) -> Self {
        let reason = fields.object(&["error"]);
        let reason = Fields(&reason);
        Self {
            call_id: fields.text(&["call_id"]),
            status: fields.maybe_text(&["status"]).unwrap_or_else(|| "failed".to_owned()),
            error: ToolErrorReason {
                code: reason.maybe_text(&["code"]).unwrap_or_else(|| "endpoint_tool_failed".to_owned()),
                category: reason.maybe_text(&["category"]).unwrap_or_else(|| "runtime".to_owned()),
                message: reason.text(&["message"]),
                retryable: reason.flag(&["retryable"]).unwrap_or(false),
                details: reason.value(&["details"]).cloned().unwrap_or(Value::Null),
            },
            finished_at: fields.text(&["finished_at"]),
        }
    }
}

/// `tool.call.cancel`: Core asks a provider to stop, or a provider says that it has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ToolCancel {
    pub call_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cancelled_at: String,
}

impl ToolCancel {
    pub fn read(fields: Fields<'_>) -> Self {
        Self {
            call_id: fields.text(&["call_id"]),
            reason: fields.text(&["reason"]),
            cancelled_at: fields.text(&["cancelled_at"]),
        }
    }
}
