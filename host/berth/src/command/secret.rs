//! `berth secret`.

mod value;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::table;

const EXAMPLES: &str = "\
Examples:
  berth secret set app_secret --plugin feishu
  berth secret set app_secret --plugin feishu --from-file ./app_secret
  pass show feishu | berth secret set app_secret --plugin feishu
  berth secret list
  berth secret rotate app_secret --plugin feishu
  berth secret remove app_secret --plugin feishu

A value is read from a file, from standard input, or asked for without an echo; never from the command line, which \
other users see. It goes in and never comes out again.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

/// Which secret is meant.
#[derive(Debug, Args)]
struct Which {
    /// The name of the secret, as the manifest of the plugin has it.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// The id of the plugin that it belongs to, which need not be installed yet; of several, the secret is shared.
    #[arg(long = "plugin", value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    plugins: Vec<String>,
    /// The secret that several plugins share; with one --plugin it is shared by that one so far.
    #[arg(long)]
    shared: bool,
    /// Only in this workspace.
    #[arg(long, value_name = "ID")]
    workspace: Option<String>,
}

#[derive(Debug, Args)]
struct NewValue {
    #[command(flatten)]
    which: Which,
    /// Read the value from this file; else from standard input.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Keep the line break at the end of the value, which is else left out.
    #[arg(long)]
    exact: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Keep a secret, or give it a new value.
    Set(NewValue),
    /// List the secrets, without their values.
    List,
    /// Show what is known of a secret; not its value.
    Show(Which),
    /// Give a secret that is there a new value; what was made with the old one ends.
    Rotate(NewValue),
    /// Forget a secret; calls under way have it no more at their next use.
    Remove(Which),
    /// Put every secret under a new key.
    RenewKey,
}

impl Which {
    /// The plugin that alone has it.
    fn owner(&self) -> Option<&str> {
        match &self.plugins[..] {
            [one] if !self.shared => Some(one),
            _ => None,
        }
    }

    fn query(&self) -> String {
        let mut query = Vec::new();
        if let Some(plugin) = self.owner() {
            query.push(format!("plugin_id={}", segment(plugin)));
        }
        if let Some(workspace) = &self.workspace {
            query.push(format!("workspace_id={}", segment(workspace)));
        }
        if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) }
    }

    fn body(&self) -> Value {
        let mut body = json!({ "name": self.name, "workspace_id": self.workspace });
        match self.owner() {
            Some(plugin) => body["plugin_id"] = json!(plugin),
            None => body["plugins"] = json!(self.plugins),
        }
        body
    }

    /// Whether a line of the list is this secret.
    fn is(&self, secret: &Value) -> bool {
        text(secret, "name") == self.name
            && text(secret, "plugin_id") == self.owner().unwrap_or_default()
            && text(secret, "workspace_id") == self.workspace.as_deref().unwrap_or_default()
    }

    /// Refuses what names nobody.
    fn checked(self) -> Result<Self, Failure> {
        if self.plugins.is_empty() && !self.shared {
            return Err(Failure::Usage("say whose secret it is: --plugin ID, or --shared".to_owned()));
        }
        Ok(self)
    }
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let client = Client::find(global)?;
    match options.action {
        Action::Set(new) => put(global, &client, new, false).await,
        Action::Rotate(new) => put(global, &client, new, true).await,
        Action::List => list(global, &client).await,
        Action::Show(which) => show(global, &client, which.checked()?).await,
        Action::Remove(which) => {
            let which = which.checked()?;
            let path = format!("/operator/secrets/{}{}", segment(&which.name), which.query());
            let answer = client.delete(&path).await?;
            report(global, &answer, &format!("{} is removed", which.name));
            Ok(())
        }
        Action::RenewKey => {
            let answer = client.post("/operator/secret-key/renew", &json!({})).await?;
            report(global, &answer, "every secret is under a new key; keep a copy of the new key file");
            Ok(())
        }
    }
}

async fn put(global: &Global, client: &Client, new: NewValue, must_exist: bool) -> Result<(), Failure> {
    let NewValue { which, from_file, exact } = new;
    let which = which.checked()?;
    let value = value::read(from_file.as_deref(), exact)?;
    let mut body = which.body();
    body["must_exist"] = json!(must_exist);
    body["value_base64"] = json!(value::base64(&value));
    let answer = client.post("/operator/secrets", &body).await?;
    let done = if must_exist { "has a new value" } else { "is kept" };
    report(global, &answer, &format!("{} {done}, version {}", which.name, answer["version"]));
    Ok(())
}

async fn list(global: &Global, client: &Client) -> Result<(), Failure> {
    let secrets = client.get("/operator/secrets").await?;
    if global.json {
        output::json(&secrets);
        return Ok(());
    }
    let row = |secret: &Value| {
        vec![
            text(secret, "name"),
            owners(secret),
            text(secret, "workspace_id"),
            text(secret, "state"),
            text(secret, "version"),
            when(secret, "updated_at"),
        ]
    };
    let rows: Vec<_> = items(&secrets).iter().map(row).collect();
    table::print(&["NAME", "PLUGIN", "WORKSPACE", "STATE", "VERSION", "SET"], &rows);
    Ok(())
}

async fn show(global: &Global, client: &Client, which: Which) -> Result<(), Failure> {
    let secrets = client.get("/operator/secrets").await?;
    let Some(secret) = items(&secrets).iter().find(|secret| which.is(secret)) else {
        let message = format!("there is no secret `{}` of this owner and workspace", which.name);
        return Err(Failure::failed("SECRET_NOT_FOUND", message));
    };
    if global.json {
        output::json(secret);
        return Ok(());
    }
    for (name, value) in [
        ("name", text(secret, "name")),
        ("plugin", owners(secret)),
        ("workspace", text(secret, "workspace_id")),
        ("state", text(secret, "state")),
        ("version", text(secret, "version")),
        ("made", when(secret, "created_at")),
        ("set", when(secret, "updated_at")),
    ] {
        output::line(format!("{name:<11}{}", output::one_line(&value)).trim_end());
    }
    Ok(())
}

fn owners(secret: &Value) -> String {
    let shared: Vec<_> = items(&secret["plugins"]).iter().filter_map(Value::as_str).collect();
    if shared.is_empty() { text(secret, "plugin_id") } else { shared.join(",") }
}

fn report(global: &Global, answer: &Value, done: &str) {
    if global.json {
        output::json(answer);
    } else {
        output::line(done);
    }
}
