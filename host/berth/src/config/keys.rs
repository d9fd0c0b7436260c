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
        name: "plugins.pooling",
        variable: Some("BERTH_PLUGINS_POOLING"),
        about: "false takes memory for each call from the system instead of a pool",
        value: |config| json!(config.plugins.pooling),
    },
];

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
        let table: Option<toml::Table> = file.and_then(|text| text.parse().ok());
        let (section, key) = self.name.split_once('.').unwrap_or((self.name, ""));
        let is_set =
            table.is_some_and(|table| table.get(section).is_some_and(|part| part.get(key).is_some()));
        if is_set { Source::File } else { Source::Default }
    }
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
                known.insert(format!("{section}.{key}"));
            }
        }

        let listed: BTreeSet<_> = KEYS.iter().map(|key| key.name.to_owned()).collect();

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
