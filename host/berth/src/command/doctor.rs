//! `berth doctor`.

mod probe;

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::client::Client;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{self, items, text};
use crate::place::DataDir;
use crate::table;

const EXAMPLES: &str = "\
Examples:
  berth doctor
  berth doctor --json | jq '.checks[] | select(.ok | not)'
  berth doctor --probe

Exit codes: 0 all is well, 1 something is not or was not blocked, 3 no host answers or it does not take the token.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Test the sandbox instead: a hostile component tries everything that a plugin must not be able to do.
    ///
    /// Needs no running host, no data folder and no network; takes some ten seconds.
    #[arg(long)]
    probe: bool,
}

/// One thing that was looked at.
struct Check {
    name: String,
    ok: bool,
    detail: String,
}

pub async fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    if options.probe {
        return probe::run(global).await;
    }
    let data = DataDir::find(global.data.clone())?;
    let mut checks =
        vec![data_folder(&data), configuration(&data), token(&data), key(&data), commands(&data)];
    let connected = host(global, &mut checks).await;
    let failed = checks.iter().any(|check| !check.ok);
    if global.json {
        let list: Vec<_> = checks
            .iter()
            .map(|check| json!({ "name": check.name, "ok": check.ok, "detail": check.detail }))
            .collect();
        output::json(&json!({ "ok": !failed, "checks": list }));
    } else {
        let rows: Vec<_> = checks
            .iter()
            .map(|check| {
                vec![
                    if check.ok { "ok" } else { "FAILED" }.to_owned(),
                    check.name.clone(),
                    check.detail.clone(),
                ]
            })
            .collect();
        table::print(&["", "CHECK", "DETAIL"], &rows);
    }
    if let Err(failure) = connected {
        // One answer is enough for a program, and it has this check.
        return Err(if global.json { Failure::Told(Box::new(failure)) } else { failure });
    }
    if failed { Err(Failure::Silent) } else { Ok(()) }
}

fn data_folder(data: &DataDir) -> Check {
    let path = data.path();
    let (ok, detail) = match std::fs::metadata(path) {
        Ok(entry) if entry.is_dir() => (true, path.display().to_string()),
        Ok(_) => (false, format!("{} is no folder", path.display())),
        Err(error) => (false, format!("{}: {error}; `berth serve` makes it", path.display())),
    };
    Check { name: "data folder".to_owned(), ok, detail }
}

fn configuration(data: &DataDir) -> Check {
    let (ok, detail) = match Config::load(None, data.path()) {
        Ok(config) => (true, format!("listens on {}", config.server.listen)),
        Err(error) => (false, error.to_string()),
    };
    Check { name: "configuration".to_owned(), ok, detail }
}

fn token(data: &DataDir) -> Check {
    let (ok, detail) = match data.lookup_token() {
        Ok(Some(_)) => (true, "there is one".to_owned()),
        Ok(None) => (false, "none yet: the first start makes it".to_owned()),
        Err(error) => (false, format!("{error:#}")),
    };
    Check { name: "access token".to_owned(), ok, detail }
}

/// The key of the secrets, as it lies here.
fn key(data: &DataDir) -> Check {
    let config = Config::load(None, data.path()).unwrap_or_default();
    let place = crate::host::key_place(&config, data);
    let (ok, detail) = match place.check() {
        Ok(true) => (true, format!("{} is closed to others", place.path().display())),
        Ok(false) => (true, "none yet: the first secret makes it".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    Check { name: "secrets key".to_owned(), ok, detail }
}

/// Whether the host can open each secret.
async fn secrets(client: &Client) -> Result<Check, Failure> {
    let secrets = client.get("/operator/secrets").await?;
    let broken: Vec<String> = items(&secrets)
        .iter()
        .filter(|secret| secret["state"] != "ok")
        .map(|secret| format!("{} is {}", text(secret, "name"), text(secret, "state")))
        .collect();
    let detail = match (items(&secrets).len(), broken.is_empty()) {
        (0, _) => "there is none".to_owned(),
        (count, true) => format!("{count} can be used"),
        _ => broken.join(", "),
    };
    Ok(Check { name: "secrets".to_owned(), ok: broken.is_empty(), detail })
}

/// The policy of commands, and the walls that this machine has for programs.
fn commands(data: &DataDir) -> Check {
    let (ok, detail) = match crate::programs::policy(data) {
        Ok(policy) => {
            let layers = berth_process::Layers::probe(policy.sandbox.bubblewrap.as_deref());
            let weaker = policy.sandbox.allow_weaker;
            let whole = layers.missing().is_empty();
            let note = if whole || !weaker { "" } else { "; the policy allows less" };
            (whole || weaker, format!("{} programs; {}{note}", policy.programs().count(), layers.summary()))
        }
        Err(failure) => (false, failure.to_string()),
    };
    Check { name: "commands".to_owned(), ok, detail }
}

/// What the running host says of itself.
async fn host(global: &Global, checks: &mut Vec<Check>) -> Result<(), Failure> {
    let client = Client::find(global)?;
    let health = match client.health().await {
        Ok(health) => health,
        Err(failure) => {
            checks.push(Check { name: "host".to_owned(), ok: false, detail: failure.to_string() });
            return Err(failure);
        }
    };
    let (status, version) = (text(&health, "status"), text(&health, "version"));
    let detail = format!("{status} at {}", client.base());
    checks.push(Check { name: "host".to_owned(), ok: health["ready"] == true, detail });
    let ours = env!("CARGO_PKG_VERSION");
    let detail = format!("the host is {version}, this command is {ours}");
    checks.push(Check { name: "version".to_owned(), ok: series(&version) == series(ours), detail });
    for check in items(&health["checks"]) {
        let ok = matches!(check["status"].as_str(), Some("ok" | "ready"));
        checks.push(Check { name: text(check, "name"), ok, detail: text(check, "detail") });
    }
    // A route that needs the token shows that ours is the right one.
    let accepted = client.get("/runtime/workspaces").await.map(drop);
    let detail = match &accepted {
        Ok(()) => "the host takes our token".to_owned(),
        Err(failure) => failure.to_string(),
    };
    checks.push(Check { name: "authorisation".to_owned(), ok: accepted.is_ok(), detail });
    if accepted.is_ok() {
        checks.push(secrets(&client).await?);
    }
    accepted
}

/// Major and minor version: hosts and commands of one series understand each other.
fn series(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}
