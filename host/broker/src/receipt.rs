//! What is left of a request when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::error::BrokerError;
use crate::target::Target;

/// The record of one request. Secrets stand in it as their placeholders; queries do not stand in it at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub caller: String,
    pub method: String,
    /// Where it went first, such as `https://api.example.com`; empty when the URL was not taken.
    pub origin: String,
    pub path: String,
    /// Of the last answer.
    pub status: Option<u16>,
    /// Bytes of the body that went out.
    pub bytes_up: u64,
    /// Bytes of the body that came in, as they were on the wire.
    pub bytes_down: u64,
    pub ms: u64,
    pub redirects: u32,
    /// The code of the failure, and its message.
    pub failure: Option<(&'static str, String)>,
    /// Whether the failure is a refusal of ours.
    pub is_denial: bool,
}

/// Takes receipts. Must not wait.
pub trait Receipts: Send + Sync {
    fn record(&self, receipt: Receipt);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReceipts;

impl Receipts for NoReceipts {
    fn record(&self, _: Receipt) {}
}

/// A receipt in the making; it is handed in when this is dropped.
pub(crate) struct Account {
    receipt: Receipt,
    begun: Instant,
    receipts: Arc<dyn Receipts>,
    /// Counted by whoever moves the bytes.
    pub(crate) up: Arc<AtomicU64>,
    pub(crate) down: Arc<AtomicU64>,
}

impl Account {
    pub(crate) fn open(caller: &str, method: &str, receipts: Arc<dyn Receipts>) -> Self {
        let receipt = Receipt {
            caller: caller.to_owned(),
            method: method.to_owned(),
            origin: String::new(),
            path: String::new(),
            status: None,
            bytes_up: 0,
            bytes_down: 0,
            ms: 0,
            redirects: 0,
            failure: None,
            is_denial: false,
        };
        Self { receipt, begun: Instant::now(), receipts, up: Arc::default(), down: Arc::default() }
    }

    pub(crate) fn target(&mut self, target: &Target) {
        self.receipt.origin = target.origin().to_string();
        target.path().clone_into(&mut self.receipt.path);
    }

    pub(crate) fn redirected(&mut self) {
        self.receipt.redirects += 1;
    }

    pub(crate) fn status(&mut self, status: u16) {
        self.receipt.status = Some(status);
    }

    pub(crate) fn failed(&mut self, error: &BrokerError) {
        self.receipt.failure = Some((error.code(), error.to_string()));
        self.receipt.is_denial = error.is_denial();
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.receipt.bytes_up = self.up.load(Ordering::Relaxed);
        self.receipt.bytes_down = self.down.load(Ordering::Relaxed);
        self.receipt.ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.receipts.record(self.receipt.clone());
    }
}
