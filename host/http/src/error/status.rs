//! Which status a failure of the host's parts has: the one place that says so.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::StatusCode;
use berth_core::CoreError;
use berth_core::port::store::StoreError;
use berth_model::JsonMap;
use berth_model::tool::ToolFailure;
use serde_json::Value;

use super::{ApiError, Category};
use crate::admin::AdminError;

/// The status of each code of a plugin, as the operator reads it.
static PLUGIN_STATUS: LazyLock<HashMap<&'static str, StatusCode>> = LazyLock::new(|| {
    [
        include_str!("../../../../docs/errors/package.tsv"),
        include_str!("../../../../docs/errors/plugin.tsv"),
        include_str!("../../../../docs/errors/secret.tsv"),
    ]
    .into_iter()
    .flat_map(str::lines)
    .filter_map(|line| {
        let mut columns = line.split('\t');
        let (code, status) = (columns.next()?, columns.next()?);
        Some((code, StatusCode::from_bytes(status.as_bytes()).ok()?))
    })
    .collect()
});

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
    use berth_model::Timestamp;
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
