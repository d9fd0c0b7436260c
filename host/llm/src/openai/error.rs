//! Why a host gave no answer, in the words of `docs/errors.md`.

use std::time::Duration;

use berth_core::port::model::ModelError;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

use super::request::OPTIONAL_FIELDS;

/// How much of an error body is read, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// A refusal, and how long the host wants us to wait.
pub(super) struct Refused {
    pub(super) error: ModelError,
    pub(super) retry_after: Option<Duration>,
}

pub(super) fn unreachable(url: &reqwest::Url, failure: &reqwest::Error) -> Refused {
    let host = url.host_str().unwrap_or_default();
    let (code, message) = if failure.is_timeout() {
        ("provider_upstream_unavailable", format!("the model at {host} did not answer in time"))
    } else {
        ("provider_upstream_unavailable", format!("the model at {host} cannot be reached"))
    };
    tracing::debug!(error = %failure.to_string().replace(url.as_str(), host), "the request to the model failed");
    Refused {
        error: ModelError {
            code,
            message,
            retryable: true,
            details: json!({ "host": host, "path": url.path() }),
        },
        retry_after: None,
    }
}

pub(super) async fn refused(url: &reqwest::Url, body: &Value, response: reqwest::Response) -> Refused {
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
        .map(Duration::from_secs_f64);
    let said = read(response).await;
    let code = classify(status, &said);
    let host = url.host_str().unwrap_or_default();
    let parameter = said["error"]["param"].as_str();
    let error = ModelError {
        code,
        message: format!("the model at {host} refused: {} (HTTP {status})", describe(code)),
        retryable: matches!(code, "provider_rate_limited" | "provider_upstream_unavailable"),
        details: json!({
            "host": host, "path": url.path(), "status": status, "model": body["model"],
            "messages": body["messages"].as_array().map_or(0, Vec::len),
            "tools": body["tools"].as_array().map_or(0, Vec::len),
            "invalid_parameter": parameter,
        }),
    };
    Refused { error, retry_after }
}

async fn read(mut response: reqwest::Response) -> Value {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY_BYTES - bytes.len())]);
        if bytes.len() >= MAX_BODY_BYTES {
            break;
        }
    }
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

fn classify(status: u16, said: &Value) -> &'static str {
    let text = |key: &str| said["error"][key].as_str().unwrap_or_default().to_ascii_lowercase();
    let (kind, message, parameter) = (text("code"), text("message"), text("param"));
    match status {
        401 | 403 => "provider_auth_failed",
        429 => "provider_rate_limited",
        500.. => "provider_upstream_unavailable",
        400 | 413 | 422 if kind.contains("context_length") || message.contains("maximum context length") => {
            "provider_context_limit_exceeded"
        }
        400 | 422
            if OPTIONAL_FIELDS
                .iter()
                .any(|field| parameter.starts_with(field) || message.contains(field)) =>
        {
            "provider_invalid_request_fields"
        }
        400 | 404 | 413 | 422 => "provider_bad_request",
        _ => "provider_request_failed",
    }
}

fn describe(code: &str) -> &'static str {
    match code {
        "provider_auth_failed" => "the key is missing, wrong or not allowed; set BERTH_MODEL_API_KEY",
        "provider_rate_limited" => "too many requests",
        "provider_upstream_unavailable" => "it is not available",
        "provider_context_limit_exceeded" => "the conversation is longer than it can read",
        "provider_invalid_request_fields" => "it does not know an optional field",
        "provider_bad_request" => "it does not accept the request; check [model] base_url and model",
        _ => "the request failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_code() {
        let none = Value::Null;
        let param = |name: &str| json!({ "error": { "param": name, "message": "unknown" } });
        let context = json!({ "error": { "code": "context_length_exceeded" } });

        for (status, said, code) in [
            (401, &none, "provider_auth_failed"),
            (403, &none, "provider_auth_failed"),
            (429, &none, "provider_rate_limited"),
            (500, &none, "provider_upstream_unavailable"),
            (503, &none, "provider_upstream_unavailable"),
            (400, &param("stream_options.include_usage"), "provider_invalid_request_fields"),
            (400, &param("temperature"), "provider_bad_request"),
            (400, &context, "provider_context_limit_exceeded"),
            (404, &none, "provider_bad_request"),
            (418, &none, "provider_request_failed"),
        ] {
            assert_eq!(classify(status, said), code, "{status} {said}");
        }
    }
}
