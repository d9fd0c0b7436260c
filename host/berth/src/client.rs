//! The HTTP client of the command line.

use std::time::Duration;

use eventsource_stream::Eventsource;
use futures::{Stream, StreamExt};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::cli::Global;
use crate::failure::Failure;
use crate::place::{DataDir, Token};

/// Where a host listens when nobody says otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8787";

/// A host, and the token for it.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<Token>,
}

/// One server-sent event.
#[derive(Debug, Clone)]
pub struct StreamEvent {
    pub kind: String,
    pub data: Value,
}

impl Client {
    /// Finds the host and the token by flags, environment and data folder.
    pub fn find(global: &Global) -> Result<Self, Failure> {
        let data = DataDir::find(global.data.clone())?;
        let base = global
            .url
            .clone()
            .or_else(|| std::env::var("BERTH_URL").ok().filter(|url| !url.trim().is_empty()))
            .or_else(|| data.lookup_address())
            .unwrap_or_else(|| DEFAULT_URL.to_owned());
        let parsed = reqwest::Url::parse(&base)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| {
            Failure::Usage(format!("`{base}` is no address of a host: it must be like {DEFAULT_URL}"))
        })?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { http, base: parsed.as_str().trim_end_matches('/').to_owned(), token: data.lookup_token()? })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.request(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.request(Method::POST, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.request(Method::DELETE, path, None).await
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let bytes = response.bytes().await?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() { Ok(value) } else { Err(self.refusal(status, &value)) }
    }

    /// Follows a stream of server-sent events. Returns once the host has begun it, so nothing after is missed.
    pub async fn events(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<StreamEvent, Failure>> + Unpin + use<>, Failure> {
        let mut request = self.http.get(format!("{}{path}", self.base)).header("accept", "text/event-stream");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let response = request.send().await?;
        let status = response.status();
        if !status.is_success() {
            let bytes = response.bytes().await?;
            return Err(self.refusal(status, &serde_json::from_slice(&bytes).unwrap_or(Value::Null)));
        }
        let base = self.base.clone();
        Ok(Box::pin(response.bytes_stream().eventsource().map(move |event| match event {
            Ok(event) => Ok(StreamEvent {
                kind: event.event,
                data: serde_json::from_str(&event.data).unwrap_or(Value::Null),
            }),
            Err(_) => Err(Failure::NotConnected(format!("the connection to {base} broke"))),
        })))
    }

    fn refusal(&self, status: StatusCode, body: &Value) -> Failure {
        let error = &body["error"];
        let message = error["message"].as_str().unwrap_or("the host gave no reason");
        if status == StatusCode::UNAUTHORIZED {
            return Failure::NotConnected(format!(
                "{} does not accept the token: set BERTH_ACCESS_TOKEN, or name the host's data folder with --data",
                self.base
            ));
        }
        let code = error["code"].as_str().map_or_else(|| format!("http_{}", status.as_u16()), str::to_owned);
        Failure::Failed { code, message: message.to_owned() }
    }
}

/// Escapes one segment of a path.
pub fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(segment("a/../b?c=ü"), "a%2F..%2Fb%3Fc%3D%C3%BC");
    }
}
