//! The manifest as it stands in the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub plugin: Plugin,
    pub component: Option<Component>,
    #[serde(default)]
    pub capability: Vec<CapabilityWish>,
    #[serde(default)]
    pub tool: BTreeMap<String, ToolHints>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub config: Config,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub id: Spanned<String>,
    pub version: Spanned<String>,
    #[serde(default)]
    pub kind: Kind,
    pub abi: Option<Spanned<String>>,
    #[serde(default)]
    pub description: String,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    #[default]
    Tool,
    Channel,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Component {
    pub file: Option<Spanned<String>>,
    pub sha256: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CapabilityWish {
    pub name: Spanned<String>,
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default)]
    pub reason: String,
    pub scope: Option<Spanned<toml::Table>>,
    pub limit: Option<toml::Table>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolHints {
    pub name: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub risk: Option<Spanned<String>>,
    pub confirm: Option<bool>,
    pub idempotent: Option<bool>,
    pub timeout_ms: Option<Spanned<u64>>,
    #[serde(default)]
    pub examples: Vec<toml::Value>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub memory_bytes: Option<Spanned<u64>>,
    pub cpu_ms: Option<Spanned<u64>>,
    pub timeout_ms: Option<Spanned<u64>>,
    pub output_bytes: Option<Spanned<u64>>,
    pub concurrent: Option<Spanned<u64>>,
    pub instances: Option<Instances>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum Instances {
    Fresh,
    Prewarm,
    Pool,
    Actor,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub schema_file: Option<String>,
}
