//! Requests to the web, by the standard `wasi:http`. Needs the grant `http` for the address.
//!
//! The host looks up the name, does TLS, follows redirects that the grant allows, and unpacks what is packed. A secret is
//! named by a [`placeholder`] in a header, the path, the query, a JSON string or a form field: the host puts the value
//! in, and only where the secret's own grant allows.
//!
//! ```
//! use berth_plugin::http::{self, Request};
//! use berth_plugin::{json, testing};
//!
//! testing::host(|host| host.on_request(|request| {
//!     assert_eq!(request.header("authorization"), Some("Bearer {{secret:token}}"));
//!     Ok(http::Response::new(200, r#"{"stars": 3}"#))
//! }));
//!
//! let request = Request::get("https://api.example/repo")
//!     .with_header("authorization", format!("Bearer {}", http::placeholder("token")));
//! let answer = request.send()?.successful()?.json()?;
//! assert_eq!(answer, json!({ "stars": 3 }));
//! # Ok::<(), berth_plugin::Error>(())
//! ```

#[cfg(target_family = "wasm")]
mod wasi;

#[cfg(not(target_family = "wasm"))]
use crate::testing::standards as host;
#[cfg(target_family = "wasm")]
use wasi as host;

use std::borrow::Cow;
use std::time::Duration;

use crate::{Error, Value, json};

/// So many bytes of a body are kept unless told otherwise.
pub const USUAL_BYTES: usize = 1 << 20;

/// A request that is to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Such as `GET`; letters and `-` only.
    pub method: String,
    /// Absolute, `http` or `https`, without a user and without a fragment.
    pub url: String,
    /// Names and values, in order. Those that steer the connection (`host`, `connection`, …) are refused.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// How long to wait for the first byte of the answer; the host's own limit counts where it is shorter.
    pub patience: Option<Duration>,
    /// So many bytes of the answer are kept, the rest is not read.
    pub most_bytes: usize,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The bytes that were kept.
    pub body: Vec<u8>,
    /// Whether the body goes on.
    pub truncated: bool,
}

/// What stands for the secret `name` in a request.
pub fn placeholder(name: &str) -> String {
    format!("{{{{secret:{name}}}}}")
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            patience: None,
            most_bytes: USUAL_BYTES,
        }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends these bytes.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends JSON, and says so.
    #[must_use]
    pub fn with_json(self, value: &Value) -> Self {
        self.with_header("content-type", "application/json").with_body(value.to_string())
    }

    /// Waits so long for the first byte of the answer.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Keeps so many bytes of the answer.
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Scheme, name and port as a grant names them, such as `https://api.example:8443`.
    pub fn origin(&self) -> &str {
        let after_scheme = self.url.find("://").map_or(0, |at| at + 3);
        let end =
            self.url[after_scheme..].find(['/', '?', '#']).map_or(self.url.len(), |at| after_scheme + at);
        &self.url[..end]
    }

    /// The path of the address, without its query.
    pub fn path(&self) -> &str {
        let rest = &self.url[self.origin().len()..];
        match &rest[..rest.find(['?', '#']).unwrap_or(rest.len())] {
            "" => "/",
            path => path,
        }
    }

    /// Sends it and reads the answer, whatever its status.
    ///
    /// Fails with `denied` (details say the scope that a grant must have), `address_refused`, `unreachable`,
    /// `timeout`, `too_large`, `invalid_request` or `http`.
    pub fn send(&self) -> Result<Response, Error> {
        if !matches!(self.url.split_once("://"), Some(("http" | "https", rest)) if !rest.starts_with('/')) {
            return Err(invalid(format!(
                "`{}` is no address that begins with http:// or https://",
                self.url
            )));
        }
        if self.method.is_empty()
            || !self.method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
        {
            return Err(invalid(format!("`{}` is no method", self.method)));
        }
        host::send(self)
    }

    /// That the operator has not allowed it.
    pub(crate) fn denied(&self) -> Error {
        let scope = json!({ "hosts": [self.origin()], "paths": [self.path()], "methods": [self.method] });
        let message = format!("{} {} is not granted", self.method, self.url);
        let details = json!({ "capability": "http", "scope": scope });
        Error::denied("http", message).with_details(&details)
    }
}

impl Response {
    /// An answer without headers, for tests.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), truncated: false }
    }

    /// The same with one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_lowercase(), value.into()));
        self
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Whether the status is one of 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer itself when it is a success, else an error `status` that tells the beginning of the body.
    pub fn successful(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let text: String = self.text().chars().take(500).collect();
        let error = Error::new("status", format!("the server answered with status {}: {text}", self.status))
            .with_details(&json!({ "status": self.status }));
        Err(if self.status == 429 || self.status >= 500 { error.retryable() } else { error })
    }

    /// The body as UTF-8; what is none becomes `\u{fffd}`.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON. Fails with `invalid_answer`.
    pub fn json(&self) -> Result<Value, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let cut = if self.truncated { ", as it was cut" } else { "" };
            Error::new("invalid_answer", format!("the server answered with no JSON{cut}: {error}"))
        })
    }
}

fn first<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn invalid(message: String) -> Error {
    Error::new("invalid_request", message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing;

    #[test]
    fn an_address_is_split_as_a_grant_names_it() {
        let parts = |url: &str| {
            let request = Request::get(url);
            (request.origin().to_owned(), request.path().to_owned())
        };

        assert_eq!(parts("https://a.example:1/b/c?d#e"), ("https://a.example:1".into(), "/b/c".into()));
        assert_eq!(parts("https://a.example"), ("https://a.example".into(), "/".into()));
        assert_eq!(parts("http://a?b=/c"), ("http://a".into(), "/".into()));
    }

    #[test]
    fn what_is_no_request_never_reaches_the_host() {
        let code = |request: Request| request.send().unwrap_err().code;

        assert_eq!(code(Request::get("file:///etc/passwd")), "invalid_request");
        assert_eq!(code(Request::get("a.example")), "invalid_request");
        assert_eq!(code(Request::new("GET /\r\n", "https://a.example")), "invalid_request");
        assert!(testing::host(|host| host.requests.is_empty()));
    }

    #[test]
    fn a_failure_of_the_server_is_an_error_that_tells_its_words() {
        testing::host(|host| host.on_request(|_| Ok(Response::new(503, "come back later"))));

        let answer = Request::get("https://a.example/x").send().unwrap();
        let error = answer.successful().unwrap_err();

        assert!(error.message.ends_with("503: come back later"), "{}", error.message);
        assert!(error.retryable);
        assert_eq!(Response::new(200, "no").json().unwrap_err().code, "invalid_answer");
    }
}
