//! The settings of `berth-edge`: flags beat environment beats file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use crate::roots::{Access, Limits, RootSpec};

/// The file, as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address of Core; `url` means the same.
    #[serde(alias = "url")]
    pub core: String,
    pub token_file: Option<PathBuf>,
    /// `lab1` or `edge.lab1.executor`.
    pub endpoint_id: Option<String>,
    pub display_name: Option<String>,
    pub workspaces: Vec<String>,
    /// Keys of the tools on offer; all when empty.
    pub tools: Vec<String>,
    /// 1 to 64.
    pub max_parallel_calls: usize,
    /// 0 to 1024.
    pub max_waiting_calls: usize,
    /// 1 to 3600.
    pub max_call_seconds: u64,
    pub roots: BTreeMap<String, RootTable>,
    pub limits: Limits,
}

/// `[roots.NAME]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootTable {
    pub path: PathBuf,
    #[serde(default)]
    pub access: Access,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            core: "http://127.0.0.1:8787".to_owned(),
            token_file: None,
            endpoint_id: None,
            display_name: None,
            workspaces: vec!["personal".to_owned()],
            tools: Vec::new(),
            max_parallel_calls: 4,
            max_waiting_calls: 32,
            max_call_seconds: 300,
            roots: BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Reads a file. An unknown key is an error that names it and its line.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the configuration {} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("the configuration {} is wrong", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        /// What one answer, in base64 and escaped, may take of a frame.
        const MAX_BYTES: usize = 8 * 1024 * 1024;
        let within = |key: &str, value: usize, low: usize, high: usize| {
            anyhow::ensure!((low..=high).contains(&value), "`{key}` must be {low} to {high}, not {value}");
            Ok(())
        };
        within("max_parallel_calls", self.max_parallel_calls, 1, 64)?;
        within("max_waiting_calls", self.max_waiting_calls, 0, 1024)?;
        let seconds = usize::try_from(self.max_call_seconds).unwrap_or(usize::MAX);
        within("max_call_seconds", seconds, 1, 3600)?;
        within("limits.max_read_bytes", self.limits.max_read_bytes, 1, MAX_BYTES)?;
        within("limits.max_write_bytes", self.limits.max_write_bytes, 1, MAX_BYTES)?;
        within("limits.max_list_entries", self.limits.max_list_entries, 1, 20_000)
    }

    /// The roots of the file; those of `flags` come on top and win by name.
    pub fn root_specs(&self, flags: &[RootSpec]) -> Vec<RootSpec> {
        let given = |name: &str| flags.iter().any(|flag| flag.name == name);
        let file = self.roots.iter().filter(|(name, _)| !given(name)).map(|(name, root)| RootSpec {
            name: name.clone(),
            path: root.path.clone(),
            access: root.access,
        });
        file.chain(flags.iter().cloned()).collect()
    }

    pub fn provider_limits(&self) -> berth_provider::Limits {
        berth_provider::Limits {
            max_running: self.max_parallel_calls,
            max_waiting: self.max_waiting_calls,
            max_timeout: Duration::from_secs(self.max_call_seconds),
            ..berth_provider::Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_is_read() {
        let config = Config::parse(
            r#"
            core = "https://core.example"
            endpoint_id = "lab1"
            workspaces = ["home-lab"]
            tools = ["file.read"]

            [roots.docs]
            path = "/srv/docs"

            [roots.notes]
            path = "/srv/notes"
            access = "rw"

            [limits]
            max_read_bytes = 4096
            "#,
        )
        .unwrap();

        assert_eq!(config.core, "https://core.example");
        assert_eq!(config.roots["docs"].access, Access::ReadOnly);
        assert_eq!(config.roots["notes"].access, Access::ReadWrite);
        assert_eq!((config.limits.max_read_bytes, config.limits.max_write_bytes), (4096, 1024 * 1024));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Config::parse("url = \"http://x\"\n\n[limits]\nmax_reed_bytes = 1\n").unwrap_err();

        let text = format!("{error:#}");
        assert!(text.contains("line 4") && text.contains("max_reed_bytes"), "{text}");
    }

    #[test]
    fn a_number_out_of_its_range_is_named() {
        let error = Config::parse("max_parallel_calls = 0").unwrap_err();

        assert_eq!(error.to_string(), "`max_parallel_calls` must be 1 to 64, not 0");
    }

    #[test]
    fn a_root_on_the_command_line_wins_over_the_file() {
        let config = Config::parse("[roots.a]\npath = \"/file\"\n[roots.b]\npath = \"/b\"").unwrap();

        let specs = config.root_specs(&["a=/flag:rw".parse().unwrap()]);

        let paths: Vec<_> =
            specs.iter().map(|spec| (spec.name.as_str(), spec.path.to_str().unwrap())).collect();
        assert_eq!(paths, [("b", "/b"), ("a", "/flag")]);
    }
}
