//! Values of a story: texts or bytes, times, spans, secrets.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_model::Timestamp;
use berth_wasm::manifest::json;
use serde::{Deserialize, Deserializer, de::Error as _};

/// A text, bytes as `{ base64 = "…" }`, or JSON as `{ json = … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(pub Vec<u8>);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bad = || D::Error::custom("content is a text, { base64 = \"…\" } or { json = … }");
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text.into_bytes())),
            toml::Value::Table(mut table) if table.len() == 1 => {
                if let Some(value) = table.remove("json") {
                    return Ok(Self(json(value).to_string().into_bytes()));
                }
                let text = table.remove("base64").and_then(|value| value.as_str().map(str::to_owned));
                let bytes = STANDARD.decode(text.ok_or_else(bad)?);
                bytes.map(Self).map_err(|error| D::Error::custom(format!("`base64`: {error}")))
            }
            _ => Err(bad()),
        }
    }
}

/// A point in time: a TOML time or the same as a text, such as `2026-05-01T00:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::Datetime(time) => time.to_string(),
            toml::Value::String(text) => text,
            _ => return Err(D::Error::custom("a time is such as 2026-05-01T00:00:00Z")),
        };
        text.parse().map(Self).map_err(|error| {
            D::Error::custom(format!("`{text}` is no time such as 2026-05-01T00:00:00Z: {error}"))
        })
    }
}

/// A span such as `"90s"`, `"1h 30m"` or `"250ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || D::Error::custom(format!("`{text}` is no span such as \"90s\" or \"1h 30m\""));
        let span: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
        Duration::try_from(span).map(Self).map_err(|_| bad())
    }
}

/// What a secret is in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretText {
    /// What it is when nothing is recorded.
    pub value: String,
    /// The variable of the environment that has the real one, for recording.
    pub env: Option<String>,
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            value: Option<String>,
            env: Option<String>,
        }
        let (value, env) = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => (Some(text), None),
            other => {
                let table = Table::deserialize(other).map_err(D::Error::custom)?;
                (table.value, table.env)
            }
        };
        // Long and odd enough to be told apart from ordinary text.
        let stand_in = || format!("stand-in-of-{}", env.as_deref().unwrap_or_default());
        Ok(Self { value: value.unwrap_or_else(stand_in), env })
    }
}
