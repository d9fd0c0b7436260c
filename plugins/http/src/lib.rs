//! Calls of web services: an address, what is sent, and the name of a secret.

mod address;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_plugin::http::{Request, Response, placeholder};
use berth_plugin::{Value, call, export_typed};

export_typed!(Http: berth::http::http);

struct Http;

const USUAL_PATIENCE: Duration = Duration::from_secs(20);
const USUAL_BYTES: u32 = 64 * 1024;
/// As base64 it is still below what the host takes as an answer.
const MOST_BYTES: u32 = 512 * 1024;

impl Guest for Http {
    fn read(
        url: String,
        query: Option<Vec<Pair>>,
        headers: Option<Vec<Pair>>,
        secret: Option<Secret>,
        timeout_ms: Option<u32>,
        most_bytes: Option<u32>,
    ) -> Result<Answer, Error> {
        let request = request("GET", &url, query, headers, secret)?;
        answer(request, timeout_ms, most_bytes)
    }

    fn send(
        method: Method,
        url: String,
        body: Option<Body>,
        query: Option<Vec<Pair>>,
        headers: Option<Vec<Pair>>,
        secret: Option<Secret>,
        timeout_ms: Option<u32>,
        most_bytes: Option<u32>,
    ) -> Result<Answer, Error> {
        let method = match method {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        };
        let request = with_body(request(method, &url, query, headers, secret)?, body)?;
        if call::context().dry_run {
            return Ok(Answer {
                status: 0,
                headers: Vec::new(),
                encoding: Encoding::Text,
                body: String::new(),
                truncated: false,
            });
        }
        answer(request, timeout_ms, most_bytes)
    }
}

fn request(
    method: &str,
    url: &str,
    query: Option<Vec<Pair>>,
    headers: Option<Vec<Pair>>,
    secret: Option<Secret>,
) -> Result<Request, Error> {
    let mut query = query.unwrap_or_default();
    let mut headers = headers.unwrap_or_default();
    if let Some(Secret { name, place }) = secret {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
            return Err(invalid(format!("`{name}` is no name of a secret")));
        }
        let value = placeholder(&name);
        match place {
            Place::Bearer => {
                headers.push(Pair { name: "authorization".into(), value: format!("Bearer {value}") })
            }
            Place::Header(name) => headers.push(Pair { name, value }),
            Place::Query(name) => query.push(Pair { name, value }),
        }
    }
    let mut request = Request::new(method, address::with_query(url, &query));
    for Pair { name, value } in headers {
        if value.contains(['\r', '\n', '\0']) || name.is_empty() {
            return Err(invalid(format!("the header `{name}` is none: a value stands on one line")));
        }
        request = request.with_header(name, value);
    }
    Ok(request)
}

fn with_body(request: Request, body: Option<Body>) -> Result<Request, Error> {
    let typed = |request: Request, kind: &str| match request.header("content-type") {
        Some(_) => request,
        None => request.with_header("content-type", kind),
    };
    Ok(match body {
        None => request,
        Some(Body::Json(text)) => {
            let value: Value =
                text.parse().map_err(|error| invalid(format!("`body` is no JSON: {error}")))?;
            typed(request, "application/json").with_body(value.to_string())
        }
        Some(Body::Form(fields)) => {
            typed(request, "application/x-www-form-urlencoded").with_body(address::form(&fields))
        }
        Some(Body::Text(text)) => typed(request, "text/plain; charset=utf-8").with_body(text),
    })
}

fn answer(request: Request, timeout_ms: Option<u32>, most_bytes: Option<u32>) -> Result<Answer, Error> {
    let patience = timeout_ms.map_or(USUAL_PATIENCE, |ms| Duration::from_millis(ms.into()));
    let bytes = most_bytes.unwrap_or(USUAL_BYTES).min(MOST_BYTES);
    let request = request.within(patience).at_most(bytes as usize);
    request.send().map(told).map_err(refused)
}

fn told(response: Response) -> Answer {
    let Response { status, headers, body, truncated } = response;
    let (encoding, body) = match String::from_utf8(body) {
        Ok(text) => (Encoding::Text, text),
        // Text that was cut within a character is text up to it.
        Err(error) if truncated && error.utf8_error().error_len().is_none() => {
            let whole = error.utf8_error().valid_up_to();
            (Encoding::Text, String::from_utf8_lossy(&error.as_bytes()[..whole]).into_owned())
        }
        Err(error) => (Encoding::Base64, STANDARD.encode(error.as_bytes())),
    };
    let headers = headers.into_iter().map(|(name, value)| Pair { name, value }).collect();
    Answer { status, headers, encoding, body, truncated }
}

fn refused(error: berth_plugin::Error) -> Error {
    let error = error.with_grant_hint("http");
    Error { code: error.code, message: error.message, retryable: error.retryable }
}

fn invalid(message: String) -> Error {
    Error { code: "invalid_arguments".into(), message, retryable: false }
}

#[cfg(test)]
mod tests;
