//! `berth plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output::{self, items, text};

#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Install from a folder with a plugin.toml, or from a .wasm that has one beside it.
    Install { path: PathBuf },
    /// List the installed plugins.
    List,
    /// Show a plugin: its tools, what it asks for, what it was granted.
    Show { id: String },
    /// Allow a plugin a capability.
    Grant(GrantOptions),
    /// Take a grant back.
    Revoke { grant_id: String },
    /// Let a plugin take calls.
    Enable { id: String },
    /// Stop a plugin from taking calls.
    Disable { id: String },
    /// Remove a plugin; its grants stay.
    Remove { id: String },
    /// Call a tool.
    Call {
        tool: String,
        /// A JSON object.
        #[arg(default_value = "{}")]
        arguments: String,
    },
}

#[derive(Debug, Args)]
struct GrantOptions {
    id: String,
    /// Such as files or endpoint.
    capability: String,
    /// A JSON object, such as {"guest": "/", "host": "/srv/notes", "access": "ro"}.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    scope: String,
    #[arg(long, default_value = "")]
    reason: String,
    /// When the grant ends, such as 2026-12-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[arg(long, default_value = "allow", value_parser = ["allow", "deny"])]
    mode: String,
    /// Only in this workspace.
    #[arg(long, value_name = "ID")]
    workspace: Option<String>,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let client = Client::find(global)?;
    match options.action {
        Action::Install { path } => install(global, &client, path).await,
        Action::List => list(global, &client).await,
        Action::Show { id } => show(global, &client, &id).await,
        Action::Grant(grant) => give(global, &client, &grant).await,
        Action::Revoke { grant_id } => {
            change(global, &client, &format!("/operator/grants/{}/revoke", segment(&grant_id)), "revoked")
                .await
        }
        Action::Enable { id } => {
            change(global, &client, &format!("/operator/plugins/{}/enable", segment(&id)), "enabled").await
        }
        Action::Disable { id } => {
            change(global, &client, &format!("/operator/plugins/{}/disable", segment(&id)), "disabled").await
        }
        Action::Remove { id } => {
            let answer = client.delete(&format!("/operator/plugins/{}", segment(&id))).await?;
            report(global, &answer, "removed");
            Ok(())
        }
        Action::Call { tool, arguments } => call(global, &client, &tool, &arguments).await,
    }
}

async fn install(global: &Global, client: &Client, path: PathBuf) -> Result<(), Failure> {
    let path = std::path::absolute(&path).map_err(anyhow::Error::from)?;
    if !path.exists() {
        return Err(Failure::Usage(format!("{} does not exist", path.display())));
    }
    let plugin = client.post("/operator/plugins/install", &json!({ "path": path })).await?;
    if global.json {
        output::json(&plugin);
        return Ok(());
    }
    output::line(&format!("installed {} {}", text(&plugin, "plugin_id"), text(&plugin, "version")));
    print_tools(&plugin);
    for warning in items(&plugin["warnings"]) {
        output::line(&output::plain(&format!("warning: {}", warning.as_str().unwrap_or_default())));
    }
    print_wishes(&plugin);
    Ok(())
}

async fn list(global: &Global, client: &Client) -> Result<(), Failure> {
    let plugins = client.get("/operator/plugins").await?;
    if global.json {
        output::json(&plugins);
        return Ok(());
    }
    let rows: Vec<_> = items(&plugins)
        .iter()
        .map(|plugin| {
            let tools: Vec<_> = items(&plugin["tools"]).iter().map(|tool| text(tool, "name")).collect();
            vec![text(plugin, "plugin_id"), text(plugin, "version"), text(plugin, "status"), tools.join(" ")]
        })
        .collect();
    output::table(&["PLUGIN", "VERSION", "STATUS", "TOOLS"], &rows);
    Ok(())
}

async fn show(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let plugin = client.get(&format!("/operator/plugins/{}", segment(id))).await?;
    if global.json {
        output::json(&plugin);
        return Ok(());
    }
    output::line(&format!(
        "{} {}  {}",
        text(&plugin, "plugin_id"),
        text(&plugin, "version"),
        text(&plugin, "status")
    ));
    output::line(&format!("digest {}", text(&plugin, "digest")));
    print_tools(&plugin);
    print_wishes(&plugin);
    let rows: Vec<_> = items(&plugin["grants"])
        .iter()
        .map(|grant| {
            vec![
                text(grant, "grant_id"),
                text(grant, "capability"),
                text(grant, "mode"),
                text(grant, "state"),
                text(grant, "scope"),
            ]
        })
        .collect();
    output::table(&["GRANT", "CAPABILITY", "MODE", "STATE", "SCOPE"], &rows);
    Ok(())
}

fn print_tools(plugin: &Value) {
    for tool in items(&plugin["tools"]) {
        let text =
            format!("  tool {} ({}): {}", text(tool, "name"), text(tool, "risk"), text(tool, "description"));
        output::line(&output::plain(text.lines().next().unwrap_or_default()));
    }
}

fn print_wishes(plugin: &Value) {
    let id = text(plugin, "plugin_id");
    for wish in items(&plugin["capabilities"]) {
        let need = if wish["required"].as_bool().unwrap_or(false) { "needs" } else { "may use" };
        let line =
            format!("  {need} {} {}: {}", text(wish, "name"), text(wish, "scope"), text(wish, "reason"));
        output::line(&output::plain(&line));
        output::line(&format!("    berth plugin grant {id} {} --scope '…'", text(wish, "name")));
    }
}

async fn give(global: &Global, client: &Client, grant: &GrantOptions) -> Result<(), Failure> {
    let scope: Value = serde_json::from_str(&grant.scope)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| Failure::Usage(format!("--scope {} is no JSON object", grant.scope)))?;
    let answer = client
        .post(
            &format!("/operator/plugins/{}/grants", segment(&grant.id)),
            &json!({
                "capability": grant.capability, "scope": scope, "reason": grant.reason, "expires_at": grant.expires,
                "mode": grant.mode, "workspace_id": grant.workspace,
            }),
        )
        .await?;
    if global.json {
        output::json(&answer);
    } else {
        output::line(&format!(
            "granted {} to {} as {}",
            grant.capability,
            grant.id,
            text(&answer, "grant_id")
        ));
    }
    Ok(())
}

async fn change(global: &Global, client: &Client, path: &str, done: &str) -> Result<(), Failure> {
    let answer = client.post(path, &json!({})).await?;
    report(global, &answer, done);
    Ok(())
}

fn report(global: &Global, answer: &Value, done: &str) {
    if global.json {
        output::json(answer);
    } else {
        output::line(done);
    }
}

async fn call(global: &Global, client: &Client, tool: &str, arguments: &str) -> Result<(), Failure> {
    let arguments: Value = serde_json::from_str(arguments)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| Failure::Usage(format!("`{arguments}` is no JSON object")))?;
    let answer =
        client.post("/operator/plugins/call", &json!({ "tool": tool, "arguments": arguments })).await;
    match answer {
        Ok(answer) if global.json => {
            let failed = !answer["error"].is_null();
            output::json(&answer);
            if failed { Err(Failure::Silent) } else { Ok(()) }
        }
        Err(Failure::Failed { code, message }) if global.json => {
            output::json(&json!({ "error": { "code": code, "message": message, "details": null } }));
            Err(Failure::Silent)
        }
        Ok(answer) if answer["error"].is_null() => {
            let pretty = serde_json::to_string_pretty(&answer["result"]).map_err(anyhow::Error::from)?;
            output::line(&output::plain(&pretty));
            Ok(())
        }
        Ok(answer) => Err(Failure::Failed {
            code: text(&answer["error"], "code"),
            message: output::plain(&text(&answer["error"], "message")),
        }),
        Err(failure) => Err(failure),
    }
}
