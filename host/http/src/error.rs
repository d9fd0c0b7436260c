//! Failures as answers: the one place that gives a failure its status.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use berth_core::CoreError;
use berth_core::port::store::StoreError;
use berth_model::tool::ToolFailure;
use berth_model::{JsonMap, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::admin::AdminError;

/// The schema of every envelope.
pub const SCHEMA: &str = "meetyou.http.v1";

/// The status of each code of a plugin, as the operator reads it.
static PLUGIN_STATUS: LazyLock<HashMap<&'static str, StatusCode>> = LazyLock::new(|| {
    include_str!("../../../docs/errors/plugin.tsv")
        .lines()
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let (code, status) = (columns.next()?, columns.next()?);
            Some((code, StatusCode::from_bytes(status.as_bytes()).ok()?))
        })
        .collect()
});

/// A failed request.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub status: StatusCode,
    pub category: Category,
    pub code: Cow<'static, str>,
    pub message: String,
    pub retryable: bool,
    pub details: JsonMap,
}

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    Runtime,
    Validation,
    Dependency,
}

/// What a handler answers.
pub(crate) type Answer<T> = Result<Json<T>, ApiError>;

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        let category = match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT | StatusCode::BAD_GATEWAY => {
                Category::Dependency
            }
            StatusCode::BAD_REQUEST
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::PAYLOAD_TOO_LARGE => Category::Validation,
            _ => Category::Runtime,
        };
        let (code, message) = (code.into(), message.into());
        Self { status, category, code, message, retryable: false, details: JsonMap::new() }
    }

    /// 404, naming what is not there.
    pub(crate) fn not_found(code: impl Into<Cow<'static, str>>, kind: &str, id: &str) -> Self {
        let id: String = id.chars().take(255).collect();
        Self::new(StatusCode::NOT_FOUND, code, format!("unknown {kind}: {id}"))
    }

    /// 422 `invalid_request`, naming the field and what is wrong with it.
    pub(crate) fn invalid(field: &str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let message = if field.is_empty() { reason.clone() } else { format!("{field}: {reason}") };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", message)
            .with("errors", json!([{ "field": field, "reason": reason }]))
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 500 that tells nothing.
    pub(crate) fn internal() -> Self {
        let message = "the host failed; its log has the reason under the request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    /// A failure of the framework, which has a status alone.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or("refused").to_ascii_lowercase();
        Self::new(status, format!("http_{}", status.as_u16()), reason)
    }

    #[must_use]
    pub(crate) fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.details.insert(key.to_owned(), value);
        self
    }

    /// The envelope that leaves.
    pub(crate) fn envelope(&self, now: Timestamp) -> ErrorEnvelope {
        ErrorEnvelope {
            schema: SCHEMA.to_owned(),
            kind: "error".to_owned(),
            error: ErrorBody {
                code: self.code.clone().into_owned(),
                category: self.category,
                message: self.message.clone(),
                retryable: self.retryable,
                details: self.details.clone(),
                occurred_at: now.to_string(),
            },
        }
    }
}

/// Every failure has this form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorEnvelope {
    /// `meetyou.http.v1`.
    schema: String,
    /// `error`.
    kind: String,
    error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// A stable word of `docs/errors.md`.
    code: String,
    category: Category,
    message: String,
    retryable: bool,
    #[schema(value_type = Object)]
    details: JsonMap,
    occurred_at: String,
}

/// The body is written by the layer around all routes, which knows the time.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<CoreError> for ApiError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::NotFound { kind, id } => Self::not_found(format!("{kind}_not_found"), kind, &id),
            // Core's own checks begin with the name of the field.
            CoreError::Invalid { code: "invalid_request", message } => match message.split_once(' ') {
                Some((field, reason)) => Self::invalid(field, reason),
                None => Self::invalid("", message),
            },
            CoreError::Invalid { code, message } => Self::bad_request(code, message),
            CoreError::Conflict { code, message } => Self::new(StatusCode::CONFLICT, code, message),
            CoreError::Forbidden { code, message } => Self::new(StatusCode::FORBIDDEN, code, message),
            CoreError::Busy { code, message } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retryable()
            }
            CoreError::Tool(failure) => failure.into(),
            CoreError::Store(error) => error.into(),
        }
    }
}

/// The source of a failure of the database is for the log alone.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the database failed a request");
        match error {
            StoreError::DiskFull { .. } => {
                let message = "the disk of the database is full: make room, then try again";
                let mut error = Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", message).retryable();
                error.category = Category::Dependency;
                error
            }
            StoreError::Unavailable { .. } => {
                let message = "the database does not answer now: try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", message).retryable()
            }
            _ => Self::internal(),
        }
    }
}

/// Source: MeetYou V4, ToolRouter error to HTTP.
impl From<ToolFailure> for ApiError {
    fn from(failure: ToolFailure) -> Self {
        let status = match failure.code.as_str() {
            "workspace_not_found" | "execution_target_not_found" => StatusCode::NOT_FOUND,
            "tool_confirmation_required" => StatusCode::CONFLICT,
            "endpoint_tool_timeout" | "tool_timeout" => StatusCode::GATEWAY_TIMEOUT,
            "endpoint_transport_unavailable"
            | "external_executor_unavailable"
            | "target_endpoint_unavailable"
            | "execution_target_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            code => match PLUGIN_STATUS.get(code) {
                Some(status) => *status,
                None if failure.retryable => StatusCode::SERVICE_UNAVAILABLE,
                None => StatusCode::BAD_REQUEST,
            },
        };
        let dependency = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
        let mut error = Self::new(status, failure.code, failure.message);
        error.category = if dependency { Category::Dependency } else { Category::Validation };
        error.retryable = failure.retryable;
        error.details = match failure.details {
            Value::Object(details) => details,
            Value::Null => JsonMap::new(),
            other => JsonMap::from_iter([("value".to_owned(), other)]),
        };
        error
    }
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        let status = match error.code.as_str() {
            "STORE_UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
            code => match PLUGIN_STATUS.get(code) {
                Some(status) => *status,
                None => {
                    tracing::error!(code, message = error.message, "a change of the plugins failed inside");
                    return Self::internal();
                }
            },
        };
        let mut answer = Self::new(status, error.code, error.message);
        answer.retryable = error.retryable;
        answer
    }
}

#[cfg(test)]
mod tests {
    use berth_model::tool::Blame;

    use super::*;

    #[test]
    fn every_failure_of_a_call_has_the_status_of_its_contract() {
        for (code, retryable, status) in [
            ("workspace_not_found", false, 404),
            ("execution_target_not_found", true, 404),
            ("tool_confirmation_required", false, 409),
            ("endpoint_tool_timeout", true, 504),
            ("endpoint_transport_unavailable", true, 503),
            ("external_executor_unavailable", true, 503),
            ("target_endpoint_unavailable", true, 503),
            ("execution_target_unavailable", true, 503),
            ("workspace_tool_not_allowed", false, 400),
            ("endpoint_capability_not_found", false, 400),
            ("tool_key_required", false, 400),
            ("endpoint_tool_cancelled", false, 400),
            ("any_code_of_a_provider", true, 503),
            ("any_code_of_a_provider", false, 400),
            ("PERMISSION_DENIED", false, 403),
            ("PLUGIN_TIMEOUT", false, 504),
            ("PLUGIN_TRAP", false, 502),
        ] {
            let mut failure = ToolFailure::new(code, "no", Blame::Caller);
            failure.retryable = retryable;
            let error = ApiError::from(failure);

            assert_eq!(error.status.as_u16(), status, "{code}");
            let wanted =
                if matches!(status, 503 | 504) { Category::Dependency } else { Category::Validation };
            assert_eq!(error.category, wanted, "{code}");
        }
    }

    #[test]
    fn what_the_database_said_stays_inside() {
        let source: Box<dyn std::error::Error + Send + Sync> = "password=hunter2".into();
        let unavailable = StoreError::Unavailable { message: "host db.internal".to_owned(), source: None };
        for error in [StoreError::Sql { source }, unavailable] {
            let text = format!("{:?}", ApiError::from(error).envelope(Timestamp::from_micros(0)));
            assert!(!text.contains("hunter2") && !text.contains("db.internal"), "{text}");
        }
    }

    #[test]
    fn a_code_that_nobody_documented_is_an_internal_failure() {
        let code = "SOMETHING_NEW".to_owned();
        let error = AdminError { code, message: "/secret/path".to_owned(), retryable: false };

        let answer = ApiError::from(error);

        assert_eq!((answer.status.as_u16(), answer.code.as_ref()), (500, "internal_error"));
        assert!(!answer.message.contains("secret"));
    }
}
