//! The wish of the operator that the process ends.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

/// Cancelled at SIGTERM or an interrupt.
#[cfg(unix)]
pub fn requested() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("an interrupt cannot be heard")?;
    let token = CancellationToken::new();
    let told = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(token)
}

/// Cancelled at an interrupt.
#[cfg(not(unix))]
pub fn requested() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let told = token.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.context("an interrupt cannot be heard").is_ok() {
            told.cancel();
        }
    });
    Ok(token)
}
