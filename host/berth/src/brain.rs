//! The model that the configuration names.

use std::sync::Arc;

use anyhow::bail;
use berth_core::port::model::Model;
use berth_llm::openai::{OpenAiConfig, RetryPolicy};
use berth_llm::{ApiKey, OpenAi, Scripted};

use crate::config::{self, ModelProvider};

/// Where the key of the model's provider is looked for.
pub const KEY_VARIABLE: &str = "BERTH_MODEL_API_KEY";
/// The provider that the dialect is named after.
const OPENAI_URL: &str = "https://api.openai.com/v1";

/// Makes the model.
pub fn model(config: &config::Model) -> anyhow::Result<Arc<dyn Model>> {
    Ok(match config.provider {
        ModelProvider::Scripted => Arc::new(Scripted),
        ModelProvider::OpenAi => Arc::new(OpenAi::new(OpenAiConfig {
            base_url: config.base_url.clone().unwrap_or_else(|| OPENAI_URL.to_owned()),
            model: config.model.clone().unwrap_or_default(),
            key: std::env::var(KEY_VARIABLE).ok().and_then(|key| ApiKey::new(&key)),
            retry: RetryPolicy::default(),
        })?),
        ModelProvider::Anthropic | ModelProvider::Acp => bail!(
            "[model] provider = \"{}\" is not in this version: use \"openai\" with the base_url of a compatible \
             host, or \"scripted\"",
            config.provider.as_str()
        ),
    })
}
