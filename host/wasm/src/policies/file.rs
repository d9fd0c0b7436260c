//! `policies/grants.toml` as it stands in the file.

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub grant: Vec<Grant>,
    pub ceiling: Option<Vec<Ceiling>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    pub plugin: Spanned<String>,
    pub capability: Spanned<String>,
    pub scope: Option<Spanned<toml::Table>>,
    pub limit: Option<Spanned<toml::Table>>,
    pub mode: Option<Spanned<String>>,
    pub rule: Option<Spanned<String>>,
    pub workspace: Option<Spanned<String>>,
    #[serde(default)]
    pub reason: String,
    pub starts: Option<Spanned<toml::Value>>,
    pub expires: Option<Spanned<toml::Value>>,
    pub uses: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ceiling {
    pub capability: Option<Spanned<String>>,
    pub plugin: Option<String>,
    pub workspace: Option<Spanned<String>>,
    pub origin: Option<Spanned<String>>,
    pub uses: Option<Uses>,
    pub mode: Most,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum Uses {
    All,
    Write,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum Most {
    Deny,
    Ask,
}
