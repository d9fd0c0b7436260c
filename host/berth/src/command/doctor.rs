//! `berth doctor`.

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::client::Client;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{self, items, text};
use crate::place::DataDir;

#[derive(Debug, Args)]
pub struct Options {}

/// One thing that was looked at.
struct Check {
    name: String,
    ok: bool,
    detail: String,
}

pub async fn run(global: &Global, _: &Options) -> Result<(), Failure> {
    let data = DataDir::find(global.data.clone())?;
    let mut checks = vec![data_folder(&data), configuration(&data), token(&data)];
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
        output::table(&["", "CHECK", "DETAIL"], &rows);
    }
    connected?;
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

/// What the running host says of itself.
async fn host(global: &Global, checks: &mut Vec<Check>) -> Result<(), Failure> {
    let client = Client::find(global)?;
    let health = match client.get("/health").await {
        Ok(health) => health["health"].clone(),
        Err(failure) => {
            let detail = failure.to_string();
            checks.push(Check { name: "host".to_owned(), ok: false, detail });
            return Err(failure);
        }
    };
    let detail = format!("{} at {}", text(&health, "version"), client.base());
    checks.push(Check { name: "host".to_owned(), ok: health["ready"].as_bool() == Some(true), detail });
    for check in items(&health["checks"]) {
        let ok = matches!(check["status"].as_str(), Some("ok" | "ready"));
        checks.push(Check { name: text(check, "name"), ok, detail: text(check, "detail") });
    }
    // A route that needs the token shows that ours is the right one.
    client.get("/runtime/workspaces").await.map(|_| ())
}
