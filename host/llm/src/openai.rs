//! The OpenAI chat-completions dialect, as spoken by many hosts.
//!
//! Streams text, reasoning and tool calls. A 429 or 5xx answer before the first byte of the stream is tried again,
//! after what `Retry-After` says or an exponential back-off with jitter; a 400 that names an optional field is tried
//! once more without the optional fields. Source: OpenAI API reference, chat completions, streaming.

mod error;
mod request;
mod retry;
mod stream;

use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::model::{Model, ModelError, ModelInfo, ModelRequest, ModelStream};
use futures::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::ApiKey;
pub use retry::RetryPolicy;

/// How long a provider may take to accept the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence inside a stream.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Where and as whom to ask.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// Up to and with the version, such as `https://api.openai.com/v1`.
    pub base_url: String,
    pub model: String,
    pub key: Option<ApiKey>,
    pub retry: RetryPolicy,
}

/// A client of one host.
#[derive(Debug, Clone)]
pub struct OpenAi {
    config: OpenAiConfig,
    url: reqwest::Url,
    client: reqwest::Client,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("`{url}` is no base URL of a model: it must be like https://api.openai.com/v1")]
    BadUrl { url: String },
    #[error("[model] model is empty: name the model, such as \"gpt-4o-mini\"")]
    NoModel,
    #[error("the HTTP client could not be built")]
    Client { source: reqwest::Error },
}

impl OpenAi {
    /// Opens no connection: a host that is not there shows at the first question.
    pub fn new(config: OpenAiConfig) -> Result<Self, ConfigError> {
        let bad = || ConfigError::BadUrl { url: config.base_url.clone() };
        let base = config.base_url.trim_end_matches('/');
        let base = base.strip_suffix("/chat/completions").unwrap_or(base);
        let url = reqwest::Url::parse(&format!("{base}/chat/completions")).map_err(|_| bad())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !url.username().is_empty()
        {
            return Err(bad());
        }
        if config.model.trim().is_empty() {
            return Err(ConfigError::NoModel);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A redirect would carry the key to another host.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| ConfigError::Client { source })?;
        Ok(Self { config, url, client })
    }

    /// Sends `body` until the host starts an answer, or says no for good.
    async fn send(&self, body: &Value) -> Result<reqwest::Response, ModelError> {
        let mut attempt = 0;
        loop {
            let error = match self.send_once(body).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let Some(wait) = self.config.retry.wait(attempt, &error.error, error.retry_after) else {
                return Err(error.error);
            };
            tracing::info!(
                code = error.error.code,
                wait_ms = wait.as_millis() as u64,
                attempt,
                "asking the model again"
            );
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn send_once(&self, body: &Value) -> Result<reqwest::Response, error::Refused> {
        let mut call = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(body.to_string());
        if let Some(key) = &self.config.key {
            call = call.bearer_auth(key.expose());
        }
        let response = call.send().await.map_err(|failure| error::unreachable(&self.url, &failure))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(error::refused(&self.url, body, response).await)
        }
    }
}

#[async_trait]
impl Model for OpenAi {
    fn info(&self) -> ModelInfo {
        ModelInfo { provider: "openai".to_owned(), model: self.config.model.clone() }
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let body = request::body(&self.config.model, &request);
        let response = match self.send(&body).await {
            Err(error) if error.code == "provider_invalid_request_fields" => {
                self.send(&request::without_optional_fields(body)).await?
            }
            other => other?,
        };
        let host = json!(self.url.host_str());
        Ok(stream::events(response.bytes_stream(), host).boxed())
    }
}
