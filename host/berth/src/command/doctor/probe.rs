//! `berth doctor --probe`.

use std::sync::Arc;

use berth_wasm::EngineConfig;
use berth_wasm::probe::{Outcome, Probe, Row};
use serde_json::json;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output;
use crate::system::SystemClock;
use crate::table;

/// Tries everything that a plugin must not be able to do, and tells what stopped it. Fails when something did not.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let probe = Probe::new(EngineConfig::new(Arc::new(SystemClock)));
    let rows = probe.run().await.map_err(anyhow::Error::from)?;
    if global.json {
        output::json(&json!(rows));
    } else {
        show(&rows);
    }
    if rows.iter().any(|row| row.outcome == Outcome::Allowed) { Err(Failure::Silent) } else { Ok(()) }
}

fn show(rows: &[Row]) {
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let outcome = match row.outcome {
                Outcome::Blocked => "blocked",
                Outcome::Allowed => "ALLOWED",
                Outcome::NotApplicable => "not applicable",
            };
            vec![outcome.to_owned(), row.name.clone(), row.by.clone(), format!("{} ms", row.ms)]
        })
        .collect();
    table::print(&["", "TRIED", "STOPPED BY", "AFTER"], &cells);
    let allowed = rows.iter().filter(|row| row.outcome == Outcome::Allowed).count();
    output::line(&format!("{} of {} tries were blocked", rows.len() - allowed, rows.len()));
}
