//! The manifest as it stands in the file.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde::Deserialize;
use toml::Spanned;

use crate::limits::Wishes;

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
    #[serde(default)]
    pub build: Build,
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
    pub limit: Option<Spanned<toml::Table>>,
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

/// The keys of [`crate::limits::KEYS`], and how long an instance lives.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    pub memory_bytes: Option<NonZeroU64>,
    pub cpu_ms: Option<NonZeroU64>,
    pub timeout_ms: Option<NonZeroU64>,
    pub output_bytes: Option<NonZeroU64>,
    pub hostcall_bytes: Option<NonZeroU64>,
    pub handles: Option<NonZeroU64>,
    pub table_elements: Option<NonZeroU64>,
    pub core_instances: Option<NonZeroU64>,
    pub log_lines: Option<NonZeroU64>,
    pub log_line_bytes: Option<NonZeroU64>,
    pub written_bytes: Option<NonZeroU64>,
    pub created_files: Option<NonZeroU64>,
    pub random_bytes: Option<NonZeroU64>,
    pub concurrent: Option<NonZeroU64>,
    pub instances: Option<Instances>,
}

impl From<&Limits> for Wishes {
    fn from(file: &Limits) -> Self {
        Self {
            memory_bytes: file.memory_bytes,
            cpu: file.cpu_ms,
            wall: file.timeout_ms,
            output_bytes: file.output_bytes,
            hostcall_bytes: file.hostcall_bytes,
            handles: file.handles,
            table_elements: file.table_elements,
            core_instances: file.core_instances,
            log_lines: file.log_lines,
            log_line_bytes: file.log_line_bytes,
            written_bytes: file.written_bytes,
            created_files: file.created_files,
            random_bytes: file.random_bytes,
            concurrent_calls: file.concurrent,
        }
    }
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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    pub language: Option<String>,
    pub world: Option<String>,
    pub source: Option<String>,
}
