//! How far a call is.

use super::{WitError, wit};
use crate::call::state::PluginState;
use crate::capability::{CapabilityError, progress};

impl wit::progress::Host for PluginState {
    fn report(&mut self, fraction: Option<f32>, message: String) -> wasmtime::Result<()> {
        self.count_host_call();
        self.spending().count_sent(message.len());
        let (fraction, message) = progress::cleaned(fraction, &message);
        self.progress().report(fraction, &message);
        Ok(())
    }

    async fn partial(&mut self, bytes: Vec<u8>) -> wasmtime::Result<Result<(), WitError>> {
        self.count_host_call();
        self.spending().count_sent(bytes.len());
        let progress = self.progress().clone();
        let cancel = self.cancel().clone();
        Ok(tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled().into()),
            () = progress.partial(bytes) => Ok(()),
        })
    }
}
