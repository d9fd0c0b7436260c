//! `berth plugin grant`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Map, Value, json};

use super::path_of;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::nearest::quoted;
use crate::output::{self, items, text};

const EXAMPLES: &str = "\
Examples:
  berth plugin grant files files --folder ~/notes
  berth plugin grant files files --folder ~/notes --write --expires 2026-12-31T00:00:00Z
  berth plugin grant gpio endpoint --tool rpi.gpio.read --endpoint rpi.kitchen.executor
  berth plugin grant gpio endpoint --tool rpi.gpio.write --mode ask
  berth plugin grant gpio endpoint --tool rpi.gpio.write --uses 3 --reason 'to try it'
  berth plugin grant gpio endpoint --scope '{\"tools\": [\"rpi.*\"]}' --mode deny

`berth plugin show ID` prints what a plugin asks for, each with the command that grants it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The id of the plugin; it need not be installed yet.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// Such as files or endpoint.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    capability: String,
    #[command(flatten)]
    scope: Scope,
    /// Why; it is kept with the grant.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// When the grant ends, such as 2026-12-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// When the grant begins to count.
    #[arg(long, value_name = "TIME")]
    starts: Option<String>,
    /// How often it may be used.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    uses: Option<i64>,
    /// allow, ask (a yes first), observe (let it pass and write it down) or deny, which beats every other.
    #[arg(long, default_value = "allow", value_parser = ["allow", "ask", "observe", "deny"])]
    mode: String,
    /// Bounds as a JSON object, such as {"per_minute": 60}.
    #[arg(long, value_name = "JSON")]
    limit: Option<String>,
    /// Only for the build with this SHA-256.
    #[arg(long, value_name = "SHA256", conflicts_with = "publisher")]
    digest: Option<String>,
    /// Only for builds that this key signed; see --versions.
    #[arg(long, value_name = "KEY")]
    publisher: Option<String>,
    /// Only for these versions of the publisher, such as ^1.2.
    #[arg(long, value_name = "RANGE", requires = "publisher", default_value = "*")]
    versions: String,
    /// Only in this workspace.
    #[arg(long, value_name = "ID")]
    workspace: Option<String>,
}

/// What is granted: in words for files and endpoints, in JSON for anything.
#[derive(Debug, Default, Args)]
struct Scope {
    /// files: this folder of the host's machine, for reading.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// files: for writing as well.
    #[arg(long, requires = "folder")]
    write: bool,
    /// files: the name of the folder in the plugin; where the plugin asks for it when absent.
    #[arg(long = "as", value_name = "PATH", requires = "folder")]
    guest: Option<String>,
    /// endpoint: this tool, such as rpi.gpio.read or rpi.*; again for more.
    #[arg(long = "tool", value_name = "NAME")]
    tools: Vec<String>,
    /// endpoint: on this endpoint alone; again for more.
    #[arg(long = "endpoint", value_name = "ID")]
    endpoints: Vec<String>,
    /// The scope as a JSON object; {} is everything.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["folder", "tools", "endpoints"])]
    scope: Option<String>,
}

impl Scope {
    /// The scope in the form of the host; `None` when nothing was said.
    fn value(&self, capability: &str) -> Result<Option<Value>, Failure> {
        if let Some(text) = &self.scope {
            let parsed: Result<Map<String, Value>, _> = serde_json::from_str(text);
            let object = parsed
                .map_err(|error| Failure::Usage(format!("--scope {text} is no JSON object: {error}")))?;
            return Ok(Some(Value::Object(object)));
        }
        let misplaced = |flag: &str, of: &str| {
            Err(Failure::Usage(format!(
                "{flag} is for the capability {of}, not for {capability}: use --scope"
            )))
        };
        if let Some(folder) = &self.folder {
            if capability != "files" {
                return misplaced("--folder", "files");
            }
            if !(self.tools.is_empty() && self.endpoints.is_empty()) {
                return misplaced("--tool and --endpoint", "endpoint");
            }
            let host = std::path::absolute(folder).map_err(anyhow::Error::from)?;
            let mut scope = json!({ "host": host, "access": if self.write { "rw" } else { "ro" } });
            if let Some(guest) = &self.guest {
                scope["guest"] = json!(guest);
            }
            return Ok(Some(scope));
        }
        if self.tools.is_empty() && self.endpoints.is_empty() {
            return Ok(None);
        }
        if capability != "endpoint" {
            return misplaced("--tool and --endpoint", "endpoint");
        }
        let mut scope = Map::new();
        for (key, words) in [("tools", &self.tools), ("endpoints", &self.endpoints)] {
            if !words.is_empty() {
                scope.insert(key.to_owned(), json!(words));
            }
        }
        Ok(Some(Value::Object(scope)))
    }
}

/// The command that grants `wish` to a plugin.
pub fn words_of(id: &str, wish: &Value) -> String {
    let (name, scope) = (text(wish, "name"), &wish["scope"]);
    let is_empty = scope.as_object().is_some_and(Map::is_empty);
    let mut words = format!("berth plugin grant {id} {name}");
    match name.as_str() {
        "files" => {
            let guest = text(scope, "guest");
            words.push_str(" --folder DIR");
            if scope["access"] == "rw" {
                words.push_str(" --write");
            }
            if !guest.is_empty() {
                words.push_str(&format!(" --as {}", quoted(&guest)));
            }
        }
        "endpoint" if scope["tools"].is_array() => {
            for (flag, key) in [("--tool", "tools"), ("--endpoint", "endpoints")] {
                for word in items(&scope[key]).iter().filter_map(Value::as_str) {
                    words.push_str(&format!(" {flag} {}", quoted(word)));
                }
            }
        }
        // What the author leaves to the operator, he has to name.
        "endpoint" => words.push_str(" --tool KEY"),
        "http" if is_empty => words.push_str(" --scope '{\"hosts\": [\"https://HOST\"]}'"),
        "websocket" if is_empty => words.push_str(" --scope '{\"hosts\": [\"wss://HOST\"]}'"),
        "process" if is_empty => words.push_str(" --scope '{\"programs\": [\"ID\"]}'"),
        "secret" if is_empty => {
            words.push_str(" --scope '{\"id\": \"NAME\", \"audience\": [\"https://HOST\"]}'")
        }
        _ => words.push_str(&format!(" --scope {}", quoted(&scope.to_string()))),
    }
    words
}

pub async fn run(global: &Global, client: &Client, options: Options) -> Result<(), Failure> {
    let Some(scope) = options.scope.value(&options.capability)? else {
        return Err(Failure::Usage(unsaid(client, &options).await));
    };
    let limit: Option<Map<String, Value>> = match &options.limit {
        None => None,
        Some(text) => Some(
            serde_json::from_str(text)
                .map_err(|error| Failure::Usage(format!("--limit {text} is no JSON object: {error}")))?,
        ),
    };
    let rule = match (&options.digest, &options.publisher) {
        (Some(digest), _) => Some(format!("sha256:{digest}")),
        (None, Some(key)) => Some(format!("publisher:{key} {}", options.versions)),
        (None, None) => None,
    };
    let body = json!({
        "capability": options.capability, "scope": scope, "reason": options.reason, "mode": options.mode,
        "workspace_id": options.workspace, "starts_at": options.starts, "expires_at": options.expires,
        "uses": options.uses, "limit": limit, "rule": rule,
    });
    let grant = client.post(&path_of(&options.id, "/grants"), &body).await?;
    let verb = match options.mode.as_str() {
        "deny" => "denied",
        "ask" => "granted after a yes",
        "observe" => "granted and observed",
        _ => "granted",
    };
    let done = format!(
        "{verb} {} {} to {} as {}",
        options.capability,
        grant["scope"],
        options.id,
        text(&grant, "grant_id")
    );
    super::report(global, &grant, &done);
    // A grant ahead of the install is fine, and one for a plugin that does not exist most often is a slip.
    if let Err(unknown @ Failure::Failed { .. }) = client.get(&path_of(&options.id, "")).await
        && unknown.code() == "PLUGIN_NOT_FOUND"
    {
        output::note(&format!("no plugin {} is installed yet: the grant counts when it is", options.id));
    }
    Ok(())
}

/// What to say instead of nothing: the wish of the plugin, where it has one.
async fn unsaid(client: &Client, options: &Options) -> String {
    let capability = &options.capability;
    let plugin = client.get(&path_of(&options.id, "")).await.unwrap_or_default();
    let wishes: Vec<_> = items(&plugin["capabilities"])
        .iter()
        .filter(|wish| wish["name"] == capability.as_str())
        .map(|wish| format!("\n  {}", output::one_line(&words_of(&options.id, wish))))
        .collect();
    if wishes.is_empty() {
        return format!(
            "say what of {capability} is granted: --folder, --tool, --endpoint or --scope '{{…}}'"
        );
    }
    format!("say what of {capability} is granted; the plugin asks for{}", wishes.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_becomes_the_command_that_grants_it() {
        for (name, scope, command) in [
            ("files", json!({ "guest": "/", "access": "rw" }), "files --folder DIR --write --as /"),
            ("endpoint", json!({ "tools": ["rpi.*"] }), "endpoint --tool 'rpi.*'"),
            ("http", json!({ "hosts": ["a'b"] }), r#"http --scope '{"hosts":["a'\''b"]}'"#),
        ] {
            let wish = json!({ "name": name, "scope": scope });

            assert_eq!(words_of("x", &wish), format!("berth plugin grant x {command}"));
        }
    }

    #[test]
    fn a_flag_of_another_capability_is_refused() {
        let scope = Scope { tools: vec!["a".to_owned()], ..Scope::default() };

        let refusal = scope.value("files").unwrap_err().to_string();

        assert!(refusal.contains("--tool and --endpoint is for the capability endpoint"), "{refusal}");
        assert_eq!(scope.value("endpoint").unwrap(), Some(json!({ "tools": ["a"] })));
        assert_eq!(Scope::default().value("files").unwrap(), None);
    }
}
