//! Configuration: `DIR/berth.toml`, overlaid by the environment, overlaid by flags.

mod keys;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use berth_wasm::capability::keyvalue::Quota;
use berth_wasm::limits::{self as engine, Limits, Wishes};
use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::Deserialize;

pub use keys::{KEYS, Source, in_file, limits};

/// The file inside the data folder.
pub const FILE_NAME: &str = "berth.toml";

/// Everything that can be set. Each field has a default, so an absent file is a valid one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub database: Database,
    pub model: Model,
    pub runs: Runs,
    pub plugins: Plugins,
    /// `[plugin.ID.config]`: what is set for single plugins.
    pub plugin: BTreeMap<String, PluginSection>,
    pub secrets: Secrets,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on. Environment: `BERTH_LISTEN`.
    pub listen: SocketAddr,
    /// Origins of web pages that may call, besides those of this machine.
    pub cors_origins: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8787)), cors_origins: Vec::new() }
    }
}

/// `[database]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://…`; `DIR/berth.db` when absent. Environment: `BERTH_DATABASE`.
    pub url: Option<String>,
    /// How large the SQLite file may grow, in bytes; as large as the disk when absent. Beyond it the host refuses to
    /// store as it does on a full disk. PostgreSQL has quotas of its own.
    pub max_bytes: Option<u64>,
}

/// `[model]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// Environment: `BERTH_MODEL_PROVIDER`.
    pub provider: ModelProvider,
    /// Environment: `BERTH_MODEL_BASE_URL`.
    pub base_url: Option<String>,
    /// Environment: `BERTH_MODEL_NAME`.
    pub model: Option<String>,
}

/// Who answers. The key comes from `BERTH_MODEL_API_KEY` alone: it has no place in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelProvider {
    #[default]
    Scripted,
    OpenAi,
    Anthropic,
    Acp,
}

impl ModelProvider {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scripted => "scripted",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Acp => "acp",
        }
    }
}

/// `[runs]`: the ceilings of one run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runs {
    /// Runs at the same time; those of one thread always come one after another.
    pub concurrent: usize,
    pub max_rounds: u32,
    pub max_tool_calls: u32,
    pub max_wall_seconds: u64,
    /// The language of the people who wait, such as `de-CH`, where neither a request nor a thread says it.
    #[serde(deserialize_with = "locale")]
    pub locale: Option<String>,
}

impl Default for Runs {
    fn default() -> Self {
        Self { concurrent: 8, max_rounds: 40, max_tool_calls: 200, max_wall_seconds: 15 * 60, locale: None }
    }
}

fn locale<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known = berth_core::locale::read(&text);
    known.map(Some).ok_or_else(|| serde::de::Error::custom("must be the tag of a language, such as de-CH"))
}

/// `[plugins]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plugins {
    /// False takes memory for each call from the system instead of a pool. Environment: `BERTH_PLUGINS_POOLING`.
    pub pooling: bool,
    /// Calls of all plugins at the same time.
    pub max_concurrent: usize,
    /// What the memory limits of all running calls may add up to; half of the machine's memory, at most 4 GiB, when
    /// absent.
    pub max_memory_bytes: Option<u64>,
    /// Stack of a guest.
    pub stack_bytes: usize,
    /// The largest component that is installed.
    pub component_bytes: usize,
    /// Instances of plugins that wish for it may be made ahead of their call.
    pub prewarm: bool,
    /// Instances of plugins that wish for it may serve several calls of one actor.
    pub pool: bool,
    /// Instances that wait for a call, of all plugins.
    pub max_ready: usize,
    /// Address space of the process that compiles a component.
    pub compile_memory_bytes: u64,
    /// How long it may take; of CPU time twice as long, for it has several threads.
    pub compile_seconds: u64,
    /// Limits of a plugin whose manifest wishes for no others.
    pub limits: Wishes,
    /// The highest that a manifest may wish for.
    pub ceilings: Wishes,
    /// Pairs of key and value that a plugin may keep in one workspace.
    pub keyvalue_max_pairs: u64,
    /// Keys and values of a plugin in one workspace, together.
    pub keyvalue_max_bytes: u64,
    /// The largest value.
    pub keyvalue_max_value_bytes: u64,
    /// Bytes that a folder which a plugin writes to may hold in all; no bound when absent.
    pub folder_max_bytes: Option<NonZeroU64>,
    /// Files, folders and links that it may hold; no bound when absent.
    pub folder_max_files: Option<NonZeroU64>,
}

impl Default for Plugins {
    fn default() -> Self {
        let quota = Quota::default();
        Self {
            pooling: true,
            max_concurrent: engine::CALLS_PER_HOST,
            max_memory_bytes: None,
            stack_bytes: engine::STACK_BYTES,
            component_bytes: engine::COMPONENT_BYTES,
            prewarm: true,
            pool: false,
            max_ready: engine::instances::READY_PER_HOST,
            compile_memory_bytes: engine::compile::MEMORY_BYTES,
            compile_seconds: engine::compile::WALL.as_secs(),
            limits: Wishes::default(),
            ceilings: Wishes::default(),
            keyvalue_max_pairs: quota.pairs,
            keyvalue_max_bytes: quota.bytes,
            keyvalue_max_value_bytes: quota.value_bytes,
            folder_max_bytes: None,
            folder_max_files: None,
        }
    }
}

/// `[plugin.ID]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PluginSection {
    /// What the plugin reads of its settings, in the form that its schema says. Secrets have no place here.
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// `[secrets]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// The key of the vault; a credential of systemd or `DIR/secrets.key` when absent. Environment:
    /// `BERTH_SECRETS_KEY_FILE`.
    pub key_file: Option<PathBuf>,
}

/// Why the configuration is no good.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ConfigError {
    #[error("{path} cannot be read")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{message}")]
    #[diagnostic(help("docs/operator-guide.md lists every key"))]
    Invalid {
        message: String,
        #[source_code]
        file: NamedSource<String>,
        #[label("here")]
        at: Option<SourceSpan>,
    },
    #[error("{name}={value} is not {wanted}")]
    Environment { name: &'static str, value: String, wanted: &'static str },
    #[error("[{section}] {key} must be at least 1")]
    Zero { section: &'static str, key: &'static str },
    #[error("[{section}] {key} = {value} is not possible: it must be from {least} to {most}")]
    Range { section: &'static str, key: &'static str, value: u64, least: u64, most: u64 },
    #[error(
        "[plugins.limits] {key} = {value} is above the ceiling of {ceiling}: set [plugins.ceilings] {key} as well"
    )]
    AboveCeiling { key: &'static str, value: u64, ceiling: u64 },
    #[error("[plugin.{id}] is the section of no plugin: {message}")]
    PluginId { id: String, message: String },
}

impl Config {
    /// Reads `path`, which must exist, or `data/berth.toml`, which need not, and lays the environment over it.
    pub fn load(path: Option<&Path>, data: &Path) -> Result<Self, ConfigError> {
        let mut config = match file(path, data)? {
            Some((path, text)) => Self::parse(&path, &text)?,
            None => Self::default(),
        };
        config.overlay(|name| std::env::var(name).ok())?;
        config.validate()?;
        Ok(config)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let place =
                line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()));
            ConfigError::Invalid {
                message: format!("{place}: {}", error.message()),
                file: NamedSource::new(path.display().to_string(), text.to_owned()),
                at: error.span().map(SourceSpan::from),
            }
        })
    }

    /// A blank variable hides nothing.
    fn overlay(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        let set = |name: &'static str| variable(name).filter(|value| !value.trim().is_empty());
        if let Some(value) = set("BERTH_LISTEN") {
            self.server.listen = value.trim().parse().map_err(|_| ConfigError::Environment {
                name: "BERTH_LISTEN",
                value,
                wanted: "an address and port such as 127.0.0.1:8787",
            })?;
        }
        if let Some(value) = set("BERTH_DATABASE") {
            self.database.url = Some(value);
        }
        if let Some(value) = set("BERTH_MODEL_PROVIDER") {
            self.model.provider = match value.trim() {
                "scripted" => ModelProvider::Scripted,
                "openai" => ModelProvider::OpenAi,
                "anthropic" => ModelProvider::Anthropic,
                "acp" => ModelProvider::Acp,
                _ => {
                    return Err(ConfigError::Environment {
                        name: "BERTH_MODEL_PROVIDER",
                        value,
                        wanted: "one of scripted, openai, anthropic, acp",
                    });
                }
            };
        }
        if let Some(value) = set("BERTH_MODEL_BASE_URL") {
            self.model.base_url = Some(value);
        }
        if let Some(value) = set("BERTH_MODEL_NAME") {
            self.model.model = Some(value);
        }
        if let Some(value) = set("BERTH_PLUGINS_POOLING") {
            self.plugins.pooling = match value.trim() {
                "true" | "on" | "1" => true,
                "false" | "off" | "0" => false,
                _ => {
                    return Err(ConfigError::Environment {
                        name: "BERTH_PLUGINS_POOLING",
                        value,
                        wanted: "true or false",
                    });
                }
            };
        }
        if let Some(value) = set("BERTH_SECRETS_KEY_FILE") {
            self.secrets.key_file = Some(PathBuf::from(value));
        }
        Ok(())
    }

    fn validate(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("concurrent", self.runs.concurrent as u64),
            ("max_rounds", u64::from(self.runs.max_rounds)),
            ("max_tool_calls", u64::from(self.runs.max_tool_calls)),
            ("max_wall_seconds", self.runs.max_wall_seconds),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero { section: "runs", key });
            }
        }
        for id in self.plugin.keys() {
            berth_model::PluginId::new(id)
                .map_err(|error| ConfigError::PluginId { id: id.clone(), message: error.to_string() })?;
        }
        self.plugins.validate()
    }
}

impl Plugins {
    /// The limits of a plugin without wishes, and the ceilings of wishes. Defaults end at a lowered ceiling.
    pub fn limits(&self) -> (Limits, Limits) {
        let ceilings = self.ceilings.over(&Limits::ceilings());
        (self.limits.over(&Limits::default()).clamped(&ceilings), ceilings)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        if self.max_concurrent == 0 {
            return Err(ConfigError::Zero { section: "plugins", key: "max_concurrent" });
        }
        let (section, stack, component) = ("plugins", self.stack_bytes as u64, self.component_bytes as u64);
        let most = engine::MAX_COMPONENT_BYTES as u64;
        let (_, ceilings) = self.limits();
        for (section, key, value, least, most) in [
            (section, "stack_bytes", stack, 64 << 10, 16 << 20),
            (section, "component_bytes", component, 1, most),
            (section, "compile_memory_bytes", self.compile_memory_bytes, 256 << 20, 1 << 46),
            (section, "compile_seconds", self.compile_seconds, 1, 3600),
            (section, "max_memory_bytes", self.max_memory_bytes.unwrap_or(1 << 30), 1 << 20, 1 << 46),
            // What the pool of instances can be built with.
            ("plugins.ceilings", "memory_bytes", ceilings.memory_bytes as u64, 64 << 10, 4 << 30),
            ("plugins.ceilings", "table_elements", ceilings.table_elements as u64, 1, 10_000_000),
            ("plugins.ceilings", "core_instances", ceilings.core_instances as u64, 1, 1000),
        ] {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::Range { section, key, value, least, most });
            }
        }
        for key in engine::KEYS {
            let ceiling = (key.value)(&ceilings);
            if let Some(value) = (key.wish)(&self.limits).filter(|value| *value > ceiling) {
                return Err(ConfigError::AboveCeiling { key: key.name, value, ceiling });
            }
        }
        Ok(())
    }
}

/// The file that is read, and its text: `path`, which must exist, or `data/berth.toml`, which need not.
pub fn file(path: Option<&Path>, data: &Path) -> Result<Option<(PathBuf, String)>, ConfigError> {
    if let Some(path) = path {
        return Ok(Some((path.to_owned(), read(path)?)));
    }
    let path = data.join(FILE_NAME);
    match read(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(ConfigError::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("berth.toml"), text)
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse("[model]\nprovider = \"openai\"\n\n[server]\nlisten_on = \"x\"\n").unwrap_err();

        let text = error.to_string();
        assert!(text.starts_with("berth.toml:5: unknown field `listen_on`"), "{text}");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_line() {
        let text = parse("[runs]\nmax_rounds = \"many\"\n").unwrap_err().to_string();

        assert!(text.starts_with("berth.toml:2: invalid type"), "{text}");
    }

    #[test]
    fn the_environment_beats_the_file_and_a_blank_one_does_not() {
        let mut config =
            parse("[server]\nlisten = \"127.0.0.1:1\"\n[database]\nurl = \"sqlite:x\"\n").unwrap();

        config
            .overlay(|name| match name {
                "BERTH_LISTEN" => Some("127.0.0.1:2".to_owned()),
                "BERTH_DATABASE" => Some(" ".to_owned()),
                "BERTH_MODEL_PROVIDER" => Some("openai".to_owned()),
                _ => None,
            })
            .unwrap();

        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.database.url.as_deref(), Some("sqlite:x"));
        assert_eq!(config.model.provider, ModelProvider::OpenAi);
    }

    #[test]
    fn a_bad_variable_is_named_with_what_is_wanted() {
        let error = Config::default()
            .overlay(|name| (name == "BERTH_LISTEN").then(|| "8787".to_owned()))
            .unwrap_err();

        assert_eq!(error.to_string(), "BERTH_LISTEN=8787 is not an address and port such as 127.0.0.1:8787");
    }

    #[test]
    fn settings_of_plugins_are_tables_of_their_ids() {
        let config =
            parse("[plugin.bot.config]\nhost = \"a\"\n[plugin.bot.config.proxy]\nport = 1\n").unwrap();

        let bot = serde_json::Value::Object(config.plugin["bot"].config.clone());
        assert_eq!(bot, serde_json::json!({ "host": "a", "proxy": { "port": 1 } }));
        assert!(
            parse("[plugin.bot]\nconfg = {}\n").unwrap_err().to_string().contains("unknown field `confg`")
        );
        let error = parse("[plugin.\"\".config]\n").unwrap().validate().unwrap_err();
        assert!(error.to_string().starts_with("[plugin.] is the section of no plugin"), "{error}");
    }

    #[test]
    fn a_ceiling_of_zero_is_refused() {
        let error = parse("[runs]\nmax_rounds = 0\n").unwrap().validate().unwrap_err();

        assert_eq!(error.to_string(), "[runs] max_rounds must be at least 1");
    }

    #[test]
    fn an_operator_lowers_and_raises_limits_and_ceilings() {
        let config = parse(
            "[plugins.limits]\nmemory_bytes = 1048576\ncpu_ms = 90000\n[plugins.ceilings]\ncpu_ms = 120000\n\
             output_bytes = 1024\n",
        )
        .unwrap();
        config.validate().unwrap();

        let (limits, ceilings) = config.plugins.limits();

        assert_eq!(limits.memory_bytes, 1 << 20);
        assert_eq!((limits.cpu.as_secs(), ceilings.cpu.as_secs()), (90, 120));
        assert_eq!(
            (limits.output_bytes, ceilings.output_bytes),
            (1024, 1024),
            "a ceiling cuts the default too"
        );
    }

    #[test]
    fn a_limit_that_nobody_knows_is_named_with_its_line() {
        let text = parse("[plugins.limits]\nmemory_bytes = 1\nmemory = 1\n").unwrap_err().to_string();
        assert!(text.starts_with("berth.toml:3: unknown field `memory`"), "{text}");

        let text = parse("[plugins.ceilings]\ncpu_ms = 0\n").unwrap_err().to_string();
        assert!(text.starts_with("berth.toml:2: "), "{text}");
    }

    #[test]
    fn a_limit_above_its_ceiling_and_one_that_cannot_be_are_refused() {
        for (text, said) in [
            ("[plugins.limits]\ncpu_ms = 90000", "set [plugins.ceilings] cpu_ms as well"),
            ("[plugins]\nstack_bytes = 1", "[plugins] stack_bytes = 1 is not possible"),
            ("[plugins]\nmax_concurrent = 0", "[plugins] max_concurrent must be at least 1"),
            ("[plugins.ceilings]\nmemory_bytes = 1", "[plugins.ceilings] memory_bytes = 1 is not possible"),
        ] {
            let error = parse(text).unwrap().validate().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
