//! Sends the requests that it is told to, and answers with what came of them: the answer, or the error as its name.

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

use bindings::wasi::http::outgoing_handler::handle;
use bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use bindings::wasi::io::streams::StreamError;

#[allow(unsafe_code, dead_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "client", generate_all });
}

struct Client;

impl Tool for Client {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object"}"#;
        vec![
            ToolSpec::new("send", "Sends `method` to `url` with `headers` and `body`.", schema)
                .risk("external"),
            ToolSpec::new("together", "Begins a GET to each of `urls`, then reads them.", schema)
                .risk("external"),
        ]
    }

    fn call(name: &str, input: Value) -> Result<Value, ToolError> {
        match name {
            "send" => Ok(begin(&input).and_then(wait).map_or_else(failed, read)),
            "together" => {
                let urls = input["urls"].as_array().cloned().unwrap_or_default();
                let begun: Vec<_> = urls.iter().map(|url| begin(&json!({ "url": url }))).collect();
                // Every answer is there before the first one is read.
                let answers: Vec<_> = begun.into_iter().map(|begun| begun.and_then(wait)).collect();
                Ok(answers.into_iter().map(|answer| answer.map_or_else(failed, read)).collect())
            }
            other => Err(ToolError::InvalidInput(format!("no tool `{other}`"))),
        }
    }
}

export_tool!(Client);

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn failed(error: String) -> Value {
    json!({ "error": error })
}

fn named(error: ErrorCode) -> String {
    format!("{error:?}")
}

fn begin(input: &Value) -> Result<FutureIncomingResponse, String> {
    let headers = Fields::new();
    for (name, value) in input["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        headers.append(name, value.as_bytes()).map_err(|error| format!("{error:?}"))?;
    }
    let request = OutgoingRequest::new(headers);
    let method = match text(input, "method") {
        "" | "GET" => Method::Get,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        other => Method::Other(other.to_owned()),
    };
    let (scheme, rest) = text(input, "url").split_once("://").unwrap_or_default();
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let refused = |part: &'static str| move |()| format!("the {part} is not taken");
    request.set_method(&method).map_err(refused("method"))?;
    request.set_scheme(Some(&scheme)).map_err(refused("scheme"))?;
    request.set_authority(Some(authority)).map_err(refused("authority"))?;
    request.set_path_with_query(Some(path)).map_err(refused("path"))?;
    let options = RequestOptions::new();
    if let Some(ms) = input["first_byte_ms"].as_u64() {
        options.set_first_byte_timeout(Some(ms * 1_000_000)).map_err(refused("time-out"))?;
    }
    let body = request.body().map_err(refused("body"))?;
    let answer = handle(request, Some(options)).map_err(named)?;
    let bytes = text(input, "body").as_bytes();
    if !bytes.is_empty() {
        let stream = body.write().map_err(refused("stream"))?;
        for piece in bytes.chunks(4096) {
            stream.blocking_write_and_flush(piece).map_err(|error| format!("{error:?}"))?;
        }
    }
    OutgoingBody::finish(body, None).map_err(named)?;
    Ok(answer)
}

fn wait(answer: FutureIncomingResponse) -> Result<IncomingResponse, String> {
    answer.subscribe().block();
    match answer.get() {
        Some(Ok(answer)) => answer.map_err(named),
        other => Err(format!("{other:?}")),
    }
}

fn read(answer: IncomingResponse) -> Value {
    let headers: Vec<(String, String)> = answer
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let mut told = json!({ "status": answer.status(), "headers": headers });
    // The stream is dropped before the body that it is part of.
    let Ok(body) = answer.consume() else { return failed("there is no body".to_owned()) };
    let Ok(stream) = body.stream() else { return failed("there is no stream".to_owned()) };
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(16 << 10) {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                told["error"] = http_error_code(&error).map_or_else(|| "unknown".to_owned(), named).into();
                break;
            }
        }
    }
    told["length"] = bytes.len().into();
    bytes.truncate(4096);
    told["body"] = String::from_utf8_lossy(&bytes).into_owned().into();
    told
}
