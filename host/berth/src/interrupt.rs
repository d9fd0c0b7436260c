//! Ctrl-C, while a command has something to end in an orderly way.

use anyhow::Context;

/// Hears every interrupt from its making on; the process does not end by itself any more.
pub struct Interrupts {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
}

impl Interrupts {
    pub fn listen() -> anyhow::Result<Self> {
        #[cfg(unix)]
        let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let signal = tokio::signal::windows::ctrl_c();
        Ok(Self { signal: signal.context("an interrupt cannot be heard")? })
    }

    /// Waits for the next one, which may have come since the last look. Cancel-safe.
    pub async fn next(&mut self) {
        // `None` would mean that the runtime hears no signals any more; then there is nothing to wait for.
        if self.signal.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
