//! `berth config`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::config::{Config, KEYS, Source, file, in_file, limits};
use crate::failure::Failure;
use crate::place::{DataDir, TOKEN_VARIABLE};
use crate::{brain, output, table};

const EXAMPLES: &str = "\
Examples:
  berth config
  berth config --config ./berth.toml --json

Shows what `berth serve` would start with here. Flags beat the environment, the environment beats the file. Secrets are \
not shown.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The configuration; DIR/berth.toml when absent.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// One line of the list.
struct Setting {
    key: String,
    value: Value,
    source: String,
    /// The environment variable that beats the file.
    variable: Option<&'static str>,
    about: String,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let data = DataDir::find(global.data.clone())?;
    let config = Config::load(options.config.as_deref(), data.path())?;
    let source = file(options.config.as_deref(), data.path())?;
    let text = source.as_ref().map(|(_, text)| text.as_str());
    let mut settings: Vec<Setting> = KEYS
        .iter()
        .map(|key| Setting {
            key: key.name.to_owned(),
            value: key.value(&config),
            source: match key.source(text, |name| std::env::var(name).ok()) {
                Source::Environment(name) => name.to_owned(),
                Source::File => "file".to_owned(),
                Source::Default => "default".to_owned(),
            },
            variable: key.variable,
            about: key.about.to_owned(),
        })
        .collect();
    settings.extend(limits(&config).map(|(key, about, value)| {
        let source = if in_file(text, &key) == Source::File { "file" } else { "default" };
        Setting { key, value, source: source.to_owned(), variable: None, about }
    }));
    settings.extend([secret(brain::KEY_VARIABLE, None, "key of the model's provider"), token(&data)?]);
    if global.json {
        let list: Vec<_> = settings
            .iter()
            .map(|setting| {
                json!({
                    "key": setting.key, "value": setting.value, "source": setting.source,
                    "variable": setting.variable, "about": setting.about,
                })
            })
            .collect();
        let file = source.as_ref().map(|(path, _)| path);
        output::json(&json!({ "data": data.path(), "file": file, "settings": list }));
        return Ok(());
    }
    output::line(&format!("data folder  {}", data.path().display()));
    let file = source.as_ref().map_or_else(|| "none".to_owned(), |(path, _)| path.display().to_string());
    output::line(&format!("file         {file}"));
    output::line("");
    let rows: Vec<_> = settings
        .iter()
        .map(|setting| {
            let value = match &setting.value {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            vec![setting.key.clone(), value, setting.source.clone(), setting.about.clone()]
        })
        .collect();
    table::print(&["KEY", "VALUE", "SOURCE", "IS"], &rows);
    Ok(())
}

/// A secret: whether there is one, and where it is from, never what it is.
fn secret(variable: &'static str, fallback: Option<&'static str>, about: &'static str) -> Setting {
    let is_set = std::env::var(variable).is_ok_and(|value| !value.trim().is_empty());
    let (value, source) = match (is_set, fallback) {
        (true, _) => (json!("(hidden)"), "environment"),
        (false, Some(place)) => (json!("(hidden)"), place),
        (false, None) => (Value::Null, "default"),
    };
    Setting {
        key: variable.to_owned(),
        value,
        source: source.to_owned(),
        variable: Some(variable),
        about: about.to_owned(),
    }
}

fn token(data: &DataDir) -> Result<Setting, Failure> {
    let kept = data.lookup_token()?.map(|_| "access-token");
    Ok(secret(TOKEN_VARIABLE, kept, "the access token; made at the first start"))
}
