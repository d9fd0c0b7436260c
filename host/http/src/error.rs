//! Failures as answers.

mod status;

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use berth_model::{JsonMap, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// The schema of every envelope.
pub const SCHEMA: &str = "meetyou.http.v1";

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
