//! `berth plugin upgrade`, `rollback`, `generations` and `remove`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::consent::{self, Consent};
use super::install::{explained, found, warn};
use super::{path_of, report};
use crate::cli::Global;
use crate::client::Client;
use crate::confirm;
use crate::failure::Failure;
use crate::output::{self, items, text, when};
use crate::progress::Progress;
use crate::table;

const EXAMPLES: &str = "\
Examples:
  berth plugin upgrade tally ./tally
  berth plugin upgrade tally tally-0.2.0.berth --yes --digest sha256:…
  berth plugin upgrade tally --accept
  berth plugin upgrade tally --decline

One that asks for more than the version in place waits for a yes: on a terminal you are asked, and --yes answers ahead.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Upgrade {
    /// The id of the plugin.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// What `berth plugin install` takes; without it the answer is for the upgrade that waits.
    #[arg(required_unless_present_any = ["yes", "decline"], value_parser = NonEmptyStringValueParser::new())]
    path: Option<String>,
    #[command(flatten)]
    consent: Consent,
    /// No to the upgrade that waits for consent; the version in place stays.
    #[arg(long, conflicts_with_all = ["path", "yes", "digest"])]
    decline: bool,
}

const ROLLBACKS: &str = "\
Examples:
  berth plugin rollback tally
  berth plugin rollback tally --to 3";

#[derive(Debug, Args)]
#[command(after_help = ROLLBACKS)]
pub struct Rollback {
    /// The id of the plugin.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
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
    pub id: String,
    /// Remove its key-value pairs as well, for good; also those of a plugin that was removed before.
    #[arg(long)]
    purge: bool,
    /// Do not ask on a terminal before pairs are removed for good.
    #[arg(long)]
    yes: bool,
}

pub async fn remove(global: &Global, client: &Client, options: &Remove) -> Result<(), Failure> {
    let Remove { id, purge, yes } = options;
    let question = format!("Remove {id} and its key-value pairs for good?");
    if *purge && !yes && confirm::asked(global, &question) == Some(false) {
        return Err(Failure::failed("not_confirmed", format!("{id} stays as it is")));
    }
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
    let Upgrade { id, path, consent: Consent { yes, digest }, decline } = options;
    let found = match &path {
        Some(path) => Some(found(client, path).await?),
        None => None,
    };
    let (path, source) = found.as_ref().map(|found| (&found.path, &found.source)).unzip();
    let body = json!({ "path": path, "source": source, "accept": yes, "decline": decline, "digest": digest });
    let progress = Progress::start("upgrading");
    let done = client.post_and_wait(&path_of(&id, "/upgrade"), &body).await;
    drop(progress);
    let done = done.map_err(|refused| match path {
        Some(path) => explained(path, refused),
        None => refused,
    })?;
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
        // What is odd is read before the question is answered.
        warn(&done);
        return consent::settle(global, client, &id, &done["diff"], &text(&done, "waiting_digest")).await;
    }
    consent::changes(&done["diff"]);
    warn(&done);
    Ok(())
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
