//! The one place that sets up logging.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Which log lines are written, such as `debug` or `info,berth_core=trace`.
const FILTER_VARIABLE: &str = "BERTH_LOG";
const FILTER: &str = "info,sqlx=warn";

/// Logs to standard error; `BERTH_LOG` filters, `info` by default.
pub fn init(format: LogFormat) -> Result<(), Failure> {
    let filter = std::env::var(FILTER_VARIABLE).ok().filter(|filter| !filter.trim().is_empty());
    let filter = EnvFilter::builder().parse(filter.as_deref().unwrap_or(FILTER)).map_err(|error| {
        Failure::Usage(format!(
            "{FILTER_VARIABLE} is no filter such as `debug` or `info,berth_core=trace`: {error}"
        ))
    })?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(Terminal::err().colours);
    match format {
        LogFormat::Text => logs.with_target(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}
