//! What is told of plugins.

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::grant::words_of;
use super::path_of;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::table;
use crate::terminal::{Terminal, Tone};
use crate::wrap;

pub async fn list(global: &Global, client: &Client) -> Result<(), Failure> {
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
    table::print(&["PLUGIN", "VERSION", "STATUS", "TOOLS"], &rows);
    Ok(())
}

pub async fn one(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let plugin = client.get(&path_of(id, "")).await?;
    if global.json {
        output::json(&plugin);
        return Ok(());
    }
    let status = text(&plugin, "status");
    let painted = Terminal::out().paint(Tone::of(&status), &status);
    output::line(&format!("plugin     {} {}", text(&plugin, "plugin_id"), text(&plugin, "version")));
    output::line(&format!("status     {painted}"));
    for (name, fact) in [
        ("error", output::one_line(&text(&plugin, "last_error"))),
        ("digest", text(&plugin, "digest")),
        ("installed", when(&plugin, "installed_at")),
    ] {
        if !fact.is_empty() {
            output::hanging(&format!("{name:<10} "), &fact, Tone::Plain);
        }
    }
    tools(&plugin);
    wishes(&plugin);
    grants(&plugin);
    used(&plugin["usage"]);
    super::consent::waits(id, &plugin["diff"], &text(&plugin, "waiting_digest"));
    Ok(())
}

pub async fn logs(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let lines = client.get(&path_of(id, "/logs")).await?;
    if global.json {
        output::json(&lines);
        return Ok(());
    }
    for line in items(&lines) {
        output::line(&output::one_line(&format!("{}  {}", text(line, "level"), text(line, "text"))));
    }
    Ok(())
}

/// The tools of a plugin, each with the first line of what it says of itself.
pub fn tools(plugin: &Value) {
    output::line("tools");
    let width = Terminal::out().width;
    let names = items(&plugin["tools"]).iter().map(|tool| text(tool, "name").width()).max().unwrap_or(0);
    for tool in items(&plugin["tools"]) {
        let about = text(tool, "description");
        let line = format!(
            "  {:<names$}  {:<14}  {}",
            text(tool, "name"),
            text(tool, "risk"),
            about.lines().next().unwrap_or_default()
        );
        let line = output::one_line(&line);
        output::line(width.map_or(line.clone(), |width| wrap::cut(&line, width)).trim_end());
    }
}

/// What a plugin asks for, with the command that grants it.
pub fn wishes(plugin: &Value) {
    let id = text(plugin, "plugin_id");
    if items(&plugin["capabilities"]).is_empty() {
        return;
    }
    output::line("asks for");
    for wish in items(&plugin["capabilities"]) {
        let need = if wish["required"] == true { "needs" } else { "may use" };
        let line = format!("{need} {} {}: {}", text(wish, "name"), text(wish, "scope"), text(wish, "reason"));
        output::hanging("  ", &line, Tone::Plain);
        // In one line, however long, so that it can be copied.
        output::line(&output::one_line(&format!("    {}", words_of(&id, wish))));
    }
}

/// What the calls have used since the host started.
fn used(usage: &Value) {
    let number = |key: &str| usage[key].as_u64().unwrap_or(0);
    if number("calls") == 0 {
        return;
    }
    output::line("used since the host started");
    for line in [
        format!("{} calls, {} failed", number("calls"), number("failures")),
        format!(
            "{} ms of processor, {} KiB of memory at the most",
            number("cpu_us") / 1000,
            number("peak_memory_bytes") >> 10
        ),
        format!(
            "{} calls of the host, {} bytes out, {} bytes in, {} denied",
            number("host_calls"),
            number("sent_bytes"),
            number("received_bytes"),
            number("denials")
        ),
    ] {
        output::hanging("  ", &line, Tone::Plain);
    }
}

fn grants(plugin: &Value) {
    let rows: Vec<_> = items(&plugin["grants"])
        .iter()
        .map(|grant| {
            let mut limits = vec![text(grant, "scope")];
            for (name, value) in [
                ("in", text(grant, "workspace_id")),
                ("only", Some(text(grant, "rule")).filter(|rule| rule != "any").unwrap_or_default()),
                ("within", Some(text(grant, "limit")).filter(|limit| limit != "{}").unwrap_or_default()),
                ("from", when(grant, "starts_at")),
                ("until", when(grant, "expires_at")),
                ("uses left", text(grant, "uses_left")),
                ("for", text(grant, "bound_to")),
                ("reason:", text(grant, "reason")),
            ] {
                if !value.is_empty() {
                    limits.push(format!("{name} {value}"));
                }
            }
            vec![
                text(grant, "grant_id"),
                text(grant, "capability"),
                text(grant, "mode"),
                text(grant, "state"),
                limits.join("; "),
            ]
        })
        .collect();
    if rows.is_empty() {
        output::line("grants     none");
        return;
    }
    output::line("");
    table::print(&["GRANT", "CAPABILITY", "MODE", "STATE", "SCOPE"], &rows);
}
