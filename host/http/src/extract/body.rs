//! The body.

use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use futures::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;

use super::nul;
use crate::config::HttpConfig;
use crate::error::ApiError;
use crate::state::HttpState;

/// The limit of a route that has its own, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit(pub usize);

/// A JSON object as the body: 415 for another type, 413 for too much, 400 for what is no JSON, 422 for a wrong field.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<HttpState> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, ApiError> {
        check_type(&request)?;
        let config = state.config();
        let limit =
            request.extensions().get::<BodyLimit>().map_or(config.limits.default_bytes, |limit| limit.0);
        parse(&read_body(request, config, limit).await?).map(Self)
    }
}

/// The bytes of a body: 413 for more than `limit`, 408 for too slow.
pub(crate) async fn read_body(
    request: Request,
    config: &HttpConfig,
    limit: usize,
) -> Result<Vec<u8>, ApiError> {
    tokio::time::timeout(config.body_within, read(request, limit)).await.map_err(|_| {
        let message = format!("the body did not arrive within {} s", config.body_within.as_secs());
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message).retryable()
    })?
}

fn check_type(request: &Request) -> Result<(), ApiError> {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    let message = "the body must be application/json";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
}

async fn read(request: Request, limit: usize) -> Result<Vec<u8>, ApiError> {
    let too_large = || {
        let message = format!("the body is larger than {limit} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
            .with("limit_bytes", json!(limit))
    };
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut stream = request.into_body().into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ApiError::bad_request("body_incomplete", "the body broke off"))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // A request without any field may leave the body out.
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    if let Some(field) = nul::of_json(bytes) {
        return Err(nul::refused(&field));
    }
    // A list would be read as the fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        let wrong = |_| ApiError::invalid("body", "must be a JSON object");
        return Err(serde_json::from_slice::<IgnoredAny>(bytes).map_or_else(|error| no_json(&error), wrong));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() { wrong_field(&path, &inner) } else { no_json(&inner) }
    })?;
    reader.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn no_json(error: &serde_json::Error) -> ApiError {
    let message =
        format!("the body is no JSON: {} at line {} column {}", plain(error), error.line(), error.column());
    ApiError::bad_request("invalid_json", message)
}

fn wrong_field(path: &str, error: &serde_json::Error) -> ApiError {
    let reason = plain(error);
    // A missing field has no path of its own.
    if let Some(field) = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        let at = if path == "." { field.to_owned() } else { format!("{path}.{field}") };
        return ApiError::invalid(&at, "is required");
    }
    ApiError::invalid(if path == "." { "body" } else { path }, reason)
}

/// The reason without its place, and not longer than a message should be.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Wanted {
        #[expect(dead_code, reason = "only whether it is read matters")]
        name: String,
        #[expect(dead_code, reason = "only whether it is read matters")]
        inner: Option<Vec<u8>>,
    }

    #[test]
    fn a_wrong_body_is_told_by_field_and_reason() {
        for (body, status, code, message) in [
            ("", 422, "invalid_request", "name: is required"),
            ("{}", 422, "invalid_request", "name: is required"),
            (r#"{"name":5}"#, 422, "invalid_request", "name: invalid type: integer `5`, expected a string"),
            (
                r#"{"name":"a","inner":[1,"x"]}"#,
                422,
                "invalid_request",
                "inner[1]: invalid type: string \"x\", expected u8",
            ),
            (r#"{"name":"a","name":"b"}"#, 422, "invalid_request", "body: duplicate field `name`"),
            (r#""text""#, 422, "invalid_request", "body: must be a JSON object"),
            (r#"["a"]"#, 422, "invalid_request", "body: must be a JSON object"),
            ("nul", 400, "invalid_json", "the body is no JSON: EOF while parsing a value at line 1 column 3"),
            ("{", 400, "invalid_json", "the body is no JSON: EOF while parsing an object at line 1 column 1"),
            (
                r#"{"name":"a"} x"#,
                400,
                "invalid_json",
                "the body is no JSON: trailing characters at line 1 column 14",
            ),
        ] {
            let error = parse::<Wanted>(body.as_bytes()).unwrap_err();
            assert_eq!((error.status.as_u16(), error.code.as_ref()), (status, code), "{body}");
            assert_eq!(error.message, message, "{body}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_crash() {
        let error = parse::<serde_json::Value>("[".repeat(100_000).as_bytes()).unwrap_err();

        assert_eq!(error.code, "invalid_json");
    }
}
