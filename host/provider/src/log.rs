//! The log of a program that is a provider.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("`{filter}` is no filter for the log")]
    Filter { filter: String, source: ParseError },
    #[error("the log cannot be set up")]
    Taken(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Logs to standard error what `filter` lets through, such as `info` or `berth_provider=debug`. Once in a process.
pub fn log_to_stderr(filter: &str) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|source| LogError::Filter { filter: filter.to_owned(), source })?;
    let ansi = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi);
    // Not `init`, which lets in what others write with the crate `log`: at its trace level the WebSocket writes its
    // whole request, the access token with it.
    Ok(tracing::subscriber::set_global_default(log.finish())?)
}
