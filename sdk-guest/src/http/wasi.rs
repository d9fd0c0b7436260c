//! A request over `wasi:http/outgoing-handler`.

use super::{Request, Response};
use crate::Error;
use crate::bindings::web::wasi::http::outgoing_handler;
use crate::bindings::web::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use crate::bindings::web::wasi::io::streams::StreamError;

/// The most that one write takes at once.
const PIECE_BYTES: usize = 4096;

pub fn send(request: &Request) -> Result<Response, Error> {
    let waiting = begin(request)?;
    waiting.subscribe().block();
    match waiting.get() {
        Some(Ok(answer)) => read(request, &answer.map_err(|error| told(request, &error))?),
        _ => Err(Error::new("http", "the host has no answer to give")),
    }
}

fn begin(request: &Request) -> Result<FutureIncomingResponse, Error> {
    let refused = |part: &'static str| move |()| super::invalid(format!("the host does not take the {part}"));
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers
            .append(name, value.as_bytes())
            .map_err(|error| super::invalid(format!("the header `{name}` is not taken: {error}")))?;
    }
    let (scheme, rest) = request.url.split_once("://").unwrap_or_default();
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };

    let outgoing = OutgoingRequest::new(headers);
    outgoing.set_method(&method(&request.method)).map_err(refused("method"))?;
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    outgoing.set_scheme(Some(&scheme)).map_err(refused("scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(refused("name of the server"))?;
    outgoing.set_path_with_query(Some(&path)).map_err(refused("path"))?;
    let options = RequestOptions::new();
    if let Some(patience) = request.patience {
        let nanoseconds = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        options.set_first_byte_timeout(Some(nanoseconds)).map_err(refused("time-out"))?;
    }
    let body = outgoing.body().map_err(refused("body"))?;
    let waiting = outgoing_handler::handle(outgoing, Some(options)).map_err(|error| told(request, &error))?;
    write(request, body)?;
    Ok(waiting)
}

fn write(request: &Request, body: OutgoingBody) -> Result<(), Error> {
    if !request.body.is_empty() {
        let stream =
            body.write().map_err(|()| super::invalid("the host does not take the body".to_owned()))?;
        for piece in request.body.chunks(PIECE_BYTES) {
            if let Err(StreamError::LastOperationFailed(_)) = stream.blocking_write_and_flush(piece) {
                return Err(Error::new("http", "the body could not be sent").retryable());
            }
        }
    }
    OutgoingBody::finish(body, None).map_err(|error| told(request, &error))
}

fn read(request: &Request, answer: &IncomingResponse) -> Result<Response, Error> {
    let headers = answer.headers().entries().into_iter();
    let headers = headers
        .map(|(name, value)| (name.to_lowercase(), String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let mut response = Response { status: answer.status(), headers, body: Vec::new(), truncated: false };
    let unread = |()| Error::new("http", "the body cannot be read");
    // The stream is dropped before the body that it is part of.
    let body = answer.consume().map_err(unread)?;
    let stream = body.stream().map_err(unread)?;
    loop {
        let room = request.most_bytes.saturating_sub(response.body.len());
        // One byte more than is kept tells whether there is more.
        match stream.blocking_read(room.min(64 << 10) as u64 + 1) {
            Ok(piece) if piece.len() > room => {
                response.body.extend_from_slice(&piece[..room]);
                response.truncated = true;
                return Ok(response);
            }
            Ok(piece) => response.body.extend_from_slice(&piece),
            Err(StreamError::Closed) => return Ok(response),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(match http_error_code(&error) {
                    Some(error) => told(request, &error),
                    None => Error::new("http", "the answer broke off").retryable(),
                });
            }
        }
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn told(request: &Request, error: &ErrorCode) -> Error {
    let url = &request.url;
    match error {
        ErrorCode::HttpRequestDenied => request.denied(),
        ErrorCode::DestinationIpProhibited => {
            Error::new("address_refused", format!("{url} leads to an address off the public internet"))
        }
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            Error::new("unreachable", format!("the name of {url} is not known")).retryable()
        }
        ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTerminated => {
            Error::new("unreachable", format!("nobody answers at {url}")).retryable()
        }
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => {
            Error::new("timeout", format!("{url} did not answer in time")).retryable()
        }
        ErrorCode::ConnectionLimitReached => {
            Error::new("busy", "there are too many requests at once, or in this minute").retryable()
        }
        ErrorCode::HttpResponseBodySize(_) => {
            Error::new("too_large", format!("the answer of {url} is larger than the grant allows"))
        }
        ErrorCode::HttpRequestBodySize(_) => Error::new("too_large", "the body of the request is too large"),
        other => Error::new("http", format!("{url}: {other}")),
    }
}
