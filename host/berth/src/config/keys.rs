//! The list of what can be set: for `berth config`, and for the page that must name every key.

use serde_json::{Value, json};

use super::Config;

/// Something that can be set in `berth.toml`.
#[derive(Clone, Copy)]
pub struct Key {
    /// Section and key, such as `server.listen`.
    pub name: &'static str,
    /// The environment variable that beats the file.
    pub variable: Option<&'static str>,
    pub about: &'static str,
    value: fn(&Config) -> Value,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Environment(&'static str),
    File,
    Default,
}

/// Every key of `berth.toml`, in the order of the file.
pub const KEYS: &[Key] = &[
    Key {
        name: "server.listen",
        variable: Some("BERTH_LISTEN"),
        about: "address and port to listen on",
        value: |config| json!(config.server.listen.to_string()),
    },
    Key {
        name: "server.cors_origins",
        variable: None,
        about: "origins of web pages that may call, besides those of this machine",
        value: |config| json!(config.server.cors_origins),
    },
    Key {
        name: "database.url",
        variable: Some("BERTH_DATABASE"),
        about: "sqlite:PATH or postgres://…; DIR/berth.db when absent",
        value: |config| json!(config.database.url.as_deref().map(shown)),
    },
    Key {
        name: "database.max_bytes",
        variable: None,
        about: "how large the SQLite file may grow, in bytes; as large as the disk when absent",
        value: |config| json!(config.database.max_bytes),
    },
    Key {
        name: "model.provider",
        variable: Some("BERTH_MODEL_PROVIDER"),
        about: "scripted or openai",
        value: |config| json!(config.model.provider.as_str()),
    },
    Key {
        name: "model.base_url",
        variable: Some("BERTH_MODEL_BASE_URL"),
        about: "address of a host that speaks like OpenAI; OpenAI's own when absent",
        value: |config| json!(config.model.base_url),
    },
    Key {
        name: "model.model",
        variable: Some("BERTH_MODEL_NAME"),
        about: "name of the model, for openai",
        value: |config| json!(config.model.model),
    },
    Key {
        name: "runs.concurrent",
        variable: None,
        about: "runs at the same time; those of one thread come one after another",
        value: |config| json!(config.runs.concurrent),
    },
    Key {
        name: "runs.max_rounds",
        variable: None,
        about: "answers of the model in one run",
        value: |config| json!(config.runs.max_rounds),
    },
    Key {
        name: "runs.max_tool_calls",
        variable: None,
        about: "tool calls in one run",
        value: |config| json!(config.runs.max_tool_calls),
    },
    Key {
        name: "runs.max_wall_seconds",
        variable: None,
        about: "seconds that one run may take",
        value: |config| json!(config.runs.max_wall_seconds),
    },
    Key {
        name: "runs.locale",
        variable: None,
        about: "the language of the people who wait, such as de-CH, where neither a request nor a thread says it",
        value: |config| json!(config.runs.locale),
    },
    Key {
        name: "plugins.pooling",
        variable: Some("BERTH_PLUGINS_POOLING"),
        about: "false takes memory for each call from the system instead of a pool",
        value: |config| json!(config.plugins.pooling),
    },
    Key {
        name: "plugins.max_concurrent",
        variable: None,
        about: "calls of all plugins at the same time",
        value: |config| json!(config.plugins.max_concurrent),
    },
    Key {
        name: "plugins.max_memory_bytes",
        variable: None,
        about: "what the memory of all running calls may add up to; half of the machine's, at most 4 GiB, when absent",
        value: |config| json!(config.plugins.max_memory_bytes),
    },
    Key {
        name: "plugins.stack_bytes",
        variable: None,
        about: "stack of a plugin",
        value: |config| json!(config.plugins.stack_bytes),
    },
    Key {
        name: "plugins.component_bytes",
        variable: None,
        about: "the largest component that is installed",
        value: |config| json!(config.plugins.component_bytes),
    },
    Key {
        name: "plugins.prewarm",
        variable: None,
        about: "instances of plugins that wish for it may be made ahead of their call",
        value: |config| json!(config.plugins.prewarm),
    },
    Key {
        name: "plugins.pool",
        variable: None,
        about: "instances of plugins that wish for it may serve several calls of one actor",
        value: |config| json!(config.plugins.pool),
    },
    Key {
        name: "plugins.max_ready",
        variable: None,
        about: "instances that wait for a call, of all plugins",
        value: |config| json!(config.plugins.max_ready),
    },
    Key {
        name: "plugins.compile_memory_bytes",
        variable: None,
        about: "address space of the process that compiles a component",
        value: |config| json!(config.plugins.compile_memory_bytes),
    },
    Key {
        name: "plugins.compile_seconds",
        variable: None,
        about: "seconds that compiling a component may take, and half of its CPU time",
        value: |config| json!(config.plugins.compile_seconds),
    },
    Key {
        name: "plugins.keyvalue_max_pairs",
        variable: None,
        about: "pairs of key and value that a plugin may keep in one workspace",
        value: |config| json!(config.plugins.keyvalue_max_pairs),
    },
    Key {
        name: "plugins.keyvalue_max_bytes",
        variable: None,
        about: "keys and values that a plugin may keep in one workspace, in bytes",
        value: |config| json!(config.plugins.keyvalue_max_bytes),
    },
    Key {
        name: "plugins.keyvalue_max_value_bytes",
        variable: None,
        about: "the largest value that a plugin may keep, in bytes",
        value: |config| json!(config.plugins.keyvalue_max_value_bytes),
    },
    Key {
        name: "plugins.folder_max_bytes",
        variable: None,
        about: "bytes that a folder which a plugin writes to may hold in all; no bound when absent",
        value: |config| json!(config.plugins.folder_max_bytes),
    },
    Key {
        name: "plugins.folder_max_files",
        variable: None,
        about: "files, folders and links that it may hold; no bound when absent",
        value: |config| json!(config.plugins.folder_max_files),
    },
    Key {
        name: "secrets.key_file",
        variable: Some("BERTH_SECRETS_KEY_FILE"),
        about: "the key of the vault; a credential of systemd or DIR/secrets.key when absent",
        value: |config| json!(config.secrets.key_file),
    },
];

/// `[plugins.limits]` and `[plugins.ceilings]`, whose keys are those of the engine: name, about, value.
pub fn limits(config: &Config) -> impl Iterator<Item = (String, String, Value)> {
    let (limits, ceilings) = config.plugins.limits();
    let keys = berth_wasm::limits::KEYS;
    let of = move |section: &'static str, what: &'static str, of: berth_wasm::limits::Limits| {
        keys.iter().map(move |key| {
            (
                format!("plugins.{section}.{}", key.name),
                format!("{what}{}", key.about),
                json!((key.value)(&of)),
            )
        })
    };
    of("limits", "", limits).chain(of("ceilings", "highest wish: ", ceilings))
}

impl Key {
    /// The value in `config`, as TOML spells it but for null, which is absent.
    pub fn value(&self, config: &Config) -> Value {
        (self.value)(config)
    }

    /// Who has set this key: `file` is the text of `berth.toml`, which has been read without a complaint.
    pub fn source(&self, file: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Source {
        if let Some(name) = self.variable
            && variable(name).is_some_and(|value| !value.trim().is_empty())
        {
            return Source::Environment(name);
        }
        in_file(file, self.name)
    }
}

/// Whether `file` sets the key of this name.
pub fn in_file(file: Option<&str>, name: &str) -> Source {
    let table = file.and_then(|text| text.parse::<toml::Table>().ok()).map(toml::Value::Table);
    let found = table.as_ref().and_then(|table| name.split('.').try_fold(table, |part, key| part.get(key)));
    if found.is_some() { Source::File } else { Source::Default }
}

/// An address of a database without its password.
fn shown(url: &str) -> String {
    match url.parse::<berth_store::DatabaseUrl>() {
        Ok(url) => url.to_string(),
        Err(bad) => bad.url,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_has_every_key_that_the_file_may_have() {
        // Refusals of unknown keys name the known ones, section by section.
        let refusal = |text: &str| toml::from_str::<Config>(text).unwrap_err().message().to_owned();
        let named = |message: &str| -> Vec<String> {
            let list = message.split_once("expected").map_or("", |(_, list)| list);
            list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let mut known = BTreeSet::new();
        for section in named(&refusal("nothing = 1")) {
            for key in named(&refusal(&format!("[{section}]\nnothing = 1"))) {
                let name = format!("{section}.{key}");
                let inner = toml::from_str::<Config>(&format!("[{name}]\nnothing = 1")).err();
                let inner = inner.filter(|error| error.message().starts_with("unknown field"));
                match inner {
                    Some(error) => {
                        known.extend(named(error.message()).iter().map(|key| format!("{name}.{key}")))
                    }
                    None => {
                        known.insert(name);
                    }
                }
            }
        }

        let mut listed: BTreeSet<_> = KEYS.iter().map(|key| key.name.to_owned()).collect();
        listed.extend(limits(&Config::default()).map(|(name, ..)| name));

        assert_eq!(listed, known);
    }

    #[test]
    fn the_environment_beats_the_file_and_the_file_the_default() {
        let listen = KEYS.iter().find(|key| key.name == "server.listen").unwrap();
        let file = Some("[server]\nlisten = \"127.0.0.1:1\"");
        let set = |name: &str| (name == "BERTH_LISTEN").then(|| "127.0.0.1:2".to_owned());

        assert_eq!(listen.source(file, set), Source::Environment("BERTH_LISTEN"));
        assert_eq!(listen.source(file, |_| Some(" ".to_owned())), Source::File);
        assert_eq!(listen.source(Some(""), |_| None), Source::Default);
    }

    #[test]
    fn a_password_is_not_shown() {
        let mut config = Config::default();
        config.database.url = Some("postgres://berth:hunter2@db/berth".to_owned());
        let url = KEYS.iter().find(|key| key.name == "database.url").unwrap();

        assert_eq!(url.value(&config), json!("postgres://berth:***@db/berth"));
    }
}
