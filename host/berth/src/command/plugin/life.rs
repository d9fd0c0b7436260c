//! `berth plugin upgrade`, `rollback`, `generations` and `remove`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use super::{path_of, report};
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::table;
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  berth plugin upgrade tally ./tally
  berth plugin upgrade tally --accept
  berth plugin upgrade tally --decline";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Upgrade {
    /// The id of the plugin.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// A folder with a plugin.toml, or a .wasm; without it the answer is for the upgrade that waits.
    #[arg(required_unless_present_any = ["accept", "decline"])]
    path: Option<PathBuf>,
    /// Yes to all that the upgrade asks for.
    #[arg(long, conflicts_with = "decline")]
    accept: bool,
    /// No to the upgrade that waits for consent; the version in place stays.
    #[arg(long, conflicts_with = "path")]
    decline: bool,
}

#[derive(Debug, Args)]
pub struct Rollback {
    /// The id of the plugin.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// The generation to go back to, from `berth plugin generations`; the last one without a fault when absent.
    #[arg(long, value_name = "NUMBER")]
    to: Option<i64>,
}

const REMOVALS: &str = "\
Examples:
  berth plugin remove tally
  berth plugin remove tally --purge";

#[derive(Debug, Args)]
#[command(after_help = REMOVALS)]
pub struct Remove {
    /// The id of the plugin.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// Remove its key-value pairs as well; also those of a plugin that was removed before.
    #[arg(long)]
    purge: bool,
}

pub async fn remove(global: &Global, client: &Client, options: &Remove) -> Result<(), Failure> {
    let Remove { id, purge } = options;
    let tail = if *purge { "?purge=true" } else { "" };
    let removed = client.delete_and_wait(&path_of(id, tail)).await?;
    report(global, &removed, &format!("{id} is removed"));
    if global.json {
        return Ok(());
    }
    let number = |key: &str| removed[key].as_u64().unwrap_or(0);
    let (kept, purged) = (number("kept_pairs"), number("purged_pairs"));
    if kept > 0 {
        output::line(&format!(
            "{kept} key-value pairs of it stay: berth plugin remove {id} --purge removes them"
        ));
    }
    if purged > 0 {
        output::line(&format!("{purged} key-value pairs of it are removed as well"));
    }
    Ok(())
}

pub async fn upgrade(global: &Global, client: &Client, options: Upgrade) -> Result<(), Failure> {
    let Upgrade { id, path, accept, decline } = options;
    let path = path.map(std::path::absolute).transpose().map_err(anyhow::Error::from)?;
    let body = json!({ "path": path, "accept": accept, "decline": decline });
    let done = client.post_and_wait(&path_of(&id, "/upgrade"), &body).await?;
    if global.json {
        output::json(&done);
        return Ok(());
    }
    let version = text(&done, "version");
    output::line(&match text(&done, "outcome").as_str() {
        "waiting" => format!("{id} {version} waits for consent; the version in place serves on"),
        "unchanged" => format!("{id} {version} is in place already"),
        "declined" => format!("{id} {version} is declined"),
        _ => format!("{id} {version} is in place"),
    });
    if text(&done, "outcome") == "waiting" {
        waits(&id, &done["diff"]);
    } else {
        changes(&done["diff"]);
    }
    for warning in items(&done["warnings"]) {
        output::note(&output::one_line(&format!("warning: {}", warning.as_str().unwrap_or_default())));
    }
    Ok(())
}

/// What an upgrade that waits for consent asks for beside the version in place, and how it is answered.
pub fn waits(id: &str, diff: &Value) {
    if diff.is_null() {
        return;
    }
    output::line("an upgrade waits for consent; beside the version in place it asks for");
    lines(diff);
    output::line(&format!("    berth plugin upgrade {id} --accept"));
    output::line(&format!("    berth plugin upgrade {id} --decline"));
}

/// What a version that is in place asks for beside the one before it.
pub fn changes(diff: &Value) {
    if CHANGES.iter().any(|kind| !items(&diff[kind]).is_empty()) {
        output::line("beside the version before it asks for");
        lines(diff);
    }
}

/// What reaches further first; what stays the same is left out.
const CHANGES: [&str; 4] = ["added", "widened", "narrowed", "removed"];

fn lines(diff: &Value) {
    if !diff["publisher"].is_null() {
        output::line(&output::one_line(&format!("  {}", text(&diff["publisher"], "line"))));
    }
    for (kind, entry) in CHANGES.iter().flat_map(|kind| items(&diff[kind]).iter().map(move |one| (kind, one)))
    {
        let line = text(entry, "line");
        let reason = text(entry, "reason");
        let line = if reason.is_empty() { line } else { format!("{line}: {reason}") };
        // What reaches further stands out.
        let tone = if matches!(*kind, "added" | "widened") { Tone::Waiting } else { Tone::Good };
        output::line(&Terminal::out().paint(tone, &output::one_line(&format!("  {line}"))));
    }
}

pub async fn rollback(global: &Global, client: &Client, options: Rollback) -> Result<(), Failure> {
    let Rollback { id, to } = options;
    let plugin = client.post_and_wait(&path_of(&id, "/rollback"), &json!({ "to": to })).await?;
    report(global, &plugin, &format!("{id} is back at {}", text(&plugin, "version")));
    Ok(())
}

pub async fn generations(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let all = client.get(&path_of(id, "/generations")).await?;
    if global.json {
        output::json(&all);
        return Ok(());
    }
    let rows: Vec<_> = items(&all)
        .iter()
        .map(|one| {
            let why = match (text(one, "code"), text(one, "last_error")) {
                (code, error) if code.is_empty() => error,
                (code, error) => format!("{code}: {error}"),
            };
            vec![
                text(one, "generation"),
                text(one, "version"),
                text(one, "origin"),
                text(one, "state"),
                when(one, "activated_at"),
                output::one_line(&why),
            ]
        })
        .collect();
    table::print(&["GENERATION", "VERSION", "ORIGIN", "STATE", "ACTIVATED", "ERROR"], &rows);
    Ok(())
}
