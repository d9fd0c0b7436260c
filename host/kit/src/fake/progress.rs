//! Reports of progress.

use std::sync::Mutex;

use async_trait::async_trait;
use berth_wasm::capability::progress::ProgressSink;

use super::lock;

/// Keeps the messages of reports.
#[derive(Default)]
pub struct Reports(Mutex<Vec<String>>);

impl Reports {
    /// What was reported since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.0))
    }
}

#[async_trait]
impl ProgressSink for Reports {
    fn report(&self, _: Option<f32>, message: &str) {
        lock(&self.0).push(message.to_owned());
    }

    async fn partial(&self, bytes: Vec<u8>) {
        lock(&self.0).push(String::from_utf8_lossy(&bytes).into_owned());
    }
}
