//! What a request carries, read once at the edge.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use berth_model::{
    ApprovalId, EndpointId, GrantId, IdError, OperationId, PluginId, RunId, SessionId, ThreadId, WorkspaceId,
};
use futures::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::state::HttpState;

/// An id that a path or a body may name.
pub(crate) trait Named: FromStr<Err = IdError> {
    /// What it names, in messages.
    const KIND: &'static str;
    /// The code of an id that names nothing.
    const NOT_FOUND: &'static str;
}

macro_rules! named {
    ($($id:ident = $kind:literal, $code:literal;)+) => {
        $(impl Named for $id {
            const KIND: &'static str = $kind;
            const NOT_FOUND: &'static str = $code;
        })+
    };
}

named!(
    ThreadId = "thread", "thread_not_found";
    SessionId = "session", "session_not_found";
    RunId = "run", "run_not_found";
    OperationId = "operation", "operation_not_found";
    ApprovalId = "approval", "approval_not_found";
    WorkspaceId = "workspace", "workspace_not_found";
    PluginId = "plugin", "PLUGIN_NOT_FOUND";
    GrantId = "grant", "GRANT_NOT_FOUND";
);

/// The refusal of an id that names nothing of its kind.
fn unknown<T: Named>(text: &str) -> ApiError {
    ApiError::not_found(T::NOT_FOUND, T::KIND, text)
}

/// Reads an id; what is no id names nothing, so it is not found.
pub(crate) fn id<T: Named>(text: &str) -> Result<T, ApiError> {
    text.trim().parse().map_err(|_| unknown::<T>(text))
}

/// Reads an id that need not be there; an empty text is none.
pub(crate) fn optional_id<T: Named>(text: Option<&str>) -> Result<Option<T>, ApiError> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(id).transpose()
}

/// The text unless it is empty.
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A text that need not be there, of at most `most` characters.
pub(crate) fn short(field: &str, text: Option<String>, most: usize) -> Result<Option<String>, ApiError> {
    let text = filled(text);
    if text.as_ref().is_some_and(|text| text.chars().count() > most) {
        return Err(ApiError::invalid(field, format!("must have at most {most} characters")));
    }
    Ok(text)
}

/// An endpoint's id in a body, which need not be known yet.
pub(crate) fn endpoint_id(text: &str) -> Result<EndpointId, ApiError> {
    EndpointId::new(text).map_err(|error| ApiError::invalid("endpoint_id", error.to_string()))
}

/// A word of a body or a query that must be one of `all`.
pub(crate) fn word<T: FromStr + Display>(
    field: &str,
    text: Option<String>,
    all: &[T],
) -> Result<Option<T>, ApiError> {
    let wrong = |_| {
        let words: Vec<_> = all.iter().map(ToString::to_string).collect();
        ApiError::invalid(field, format!("must be one of {}", words.join(", ")))
    };
    filled(text).map(|text| text.parse().map_err(wrong)).transpose()
}

/// The id in the path; the routes have one each.
pub(crate) struct Id<T>(pub T);

impl<T: Named> FromRequestParts<HttpState> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        let text = segment(parts, state).await?;
        id(&text.ok_or_else(|| unknown::<T>(""))?).map(Self)
    }
}

/// The same as it was sent, for a route that answers whatever it is; what is no text is empty.
pub(crate) struct Segment(pub String);

impl FromRequestParts<HttpState> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        Ok(Self(segment(parts, state).await?.unwrap_or_default().trim().to_owned()))
    }
}

/// The one parameter of the path; `None` when it is no text.
async fn segment(parts: &mut Parts, state: &HttpState) -> Result<Option<String>, ApiError> {
    let Ok(params) = RawPathParams::from_request_parts(parts, state).await else { return Ok(None) };
    let (name, text) = params.iter().next().ok_or_else(ApiError::internal)?;
    if text.contains('\0') { Err(has_nul(name)) } else { Ok(Some(text.to_owned())) }
}

/// The query of a request; a wrong one is 422 and names the parameter.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<HttpState> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &HttpState) -> Result<Self, ApiError> {
        let Query(params) = Query::try_from_uri(&parts.uri).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.rsplit("query string: ").next().unwrap_or_default();
            let (field, reason) = text.split_once(": ").unwrap_or(("", text));
            ApiError::invalid(field, reason)
        })?;
        match parts.uri.query().filter(|query| query.contains("%00")) {
            Some(query) => Err(has_nul(nul_parameter(query))),
            None => Ok(Self(params)),
        }
    }
}

/// The parameter whose value has a NUL, as far as it can be told.
fn nul_parameter(query: &str) -> &str {
    let pair = query.split('&').find(|pair| pair.contains("%00")).unwrap_or_default();
    pair.split('=').next().unwrap_or_default()
}

/// PostgreSQL has no NUL in a text, so no text of ours may have one, whatever the database.
fn has_nul(field: &str) -> ApiError {
    ApiError::bad_request("nul_character", format!("`{field}` has a NUL character"))
        .with("field", json!(field))
}

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
        let bytes =
            tokio::time::timeout(config.body_within, read(request, limit)).await.map_err(|_| {
                let message = format!("the body did not arrive within {} s", config.body_within.as_secs());
                ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message).retryable()
            })??;
        parse(&bytes).map(Self)
    }
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
    // JSON has a NUL in this form alone.
    if bytes.windows(6).any(|six| six == br"\u0000")
        && let Ok(value) = serde_json::from_slice::<Value>(bytes)
        && let Some(field) = nul_field(&value)
    {
        return Err(has_nul(&field));
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

/// Where the first NUL of a body is. What goes to a tool belongs to the tool, and may have one.
fn nul_field(body: &Value) -> Option<String> {
    let fields = body.as_object()?;
    fields.iter().filter(|(key, _)| *key != "arguments").find_map(|(key, value)| nul_below(key, value))
}

fn nul_below(path: &str, value: &Value) -> Option<String> {
    match value {
        _ if path.contains('\0') => Some(path.replace('\0', "\u{fffd}")),
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(at, item)| nul_below(&format!("{path}[{at}]"), item))
        }
        Value::Object(fields) => {
            fields.iter().find_map(|(key, item)| nul_below(&format!("{path}.{key}"), item))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
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
    ApiError::invalid(path, reason)
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
    fn a_nul_is_found_wherever_it_is_and_left_to_tools() {
        for (body, field) in [
            (r#"{"name":"a\u0000"}"#, Some("name")),
            (r#"{"name":"a","meta":{"x":[1,"\u0000"]}}"#, Some("meta.x[1]")),
            (r#"{"name":"a","meta":{"k\u0000":1}}"#, Some("meta.k\u{fffd}")),
            (r#"{"name":"a","arguments":{"text":"\u0000"}}"#, None),
            (r#"{"name":"a\\u0000"}"#, None),
        ] {
            let error = parse::<Wanted>(body.as_bytes()).err();
            let told =
                error.as_ref().map(|error| (error.code.as_ref(), error.details["field"].as_str().unwrap()));
            assert_eq!(told, field.map(|field| ("nul_character", field)), "{body}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_crash() {
        let error = parse::<serde_json::Value>("[".repeat(100_000).as_bytes()).unwrap_err();

        assert_eq!(error.code, "invalid_json");
    }
}
