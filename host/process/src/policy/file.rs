//! `commands.toml` as it stands in the file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub sandbox: Sandbox,
    #[serde(default)]
    pub program: BTreeMap<String, Spanned<Program>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Sandbox {
    #[serde(default)]
    pub allow_weaker: bool,
    pub bubblewrap: Option<Spanned<PathBuf>>,
    pub user: Option<Spanned<u32>>,
    pub concurrent: Option<Spanned<usize>>,
    pub concurrent_per_plugin: Option<Spanned<usize>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Paths {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Pattern {
    Word(String),
    Choice(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Positionals {
    pub of: Pattern,
    pub most: usize,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Folder {
    #[default]
    None,
    Optional,
    Needed,
}

/// What arguments may be, of a program or of one of its commands.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    #[serde(default)]
    pub fixed: Vec<String>,
    #[serde(default)]
    pub flags: Vec<String>,
    #[serde(default)]
    pub values: BTreeMap<String, Pattern>,
    #[serde(default)]
    pub denied: Vec<String>,
    pub positionals: Option<Positionals>,
    pub after_dashes: Option<Positionals>,
    /// Whether a folder may be written, when its grant lets it too.
    pub write: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    pub path: Paths,
    #[serde(default)]
    pub about: String,
    #[serde(default)]
    pub folder: Folder,
    #[serde(default)]
    pub write: bool,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub env_from_host: Vec<String>,
    #[serde(default)]
    pub read: Vec<PathBuf>,
    #[serde(default)]
    pub execute: Vec<PathBuf>,
    #[serde(default)]
    pub connect: Vec<u16>,
    pub stdin_bytes: Option<usize>,
    pub output_bytes: Option<usize>,
    pub timeout_ms: Option<u64>,
    pub cpu_seconds: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub file_bytes: Option<u64>,
    pub open_files: Option<u64>,
    pub processes: Option<u32>,
    #[serde(default)]
    pub fixed: Vec<String>,
    #[serde(default)]
    pub flags: Vec<String>,
    #[serde(default)]
    pub values: BTreeMap<String, Pattern>,
    #[serde(default)]
    pub denied: Vec<String>,
    pub positionals: Option<Positionals>,
    pub after_dashes: Option<Positionals>,
    #[serde(default)]
    pub command: BTreeMap<String, Spanned<Arguments>>,
}
