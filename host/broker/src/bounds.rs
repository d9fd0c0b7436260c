//! How long a request may take, and who may end it early.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{BrokerError, Phase};

/// The longest each phase may take. A caller gets less where it asks for less, never more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub resolve: Duration,
    pub connect: Duration,
    pub tls: Duration,
    pub first_byte: Duration,
    pub between_bytes: Duration,
}

impl Default for Timeouts {
    /// 5 s to look up, 10 s to connect, 10 s for TLS, 60 s for the first byte, 30 s between bytes.
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            between_bytes: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    /// The shorter of each pair.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        Self {
            resolve: self.resolve.min(other.resolve),
            connect: self.connect.min(other.connect),
            tls: self.tls.min(other.tls),
            first_byte: self.first_byte.min(other.first_byte),
            between_bytes: self.between_bytes.min(other.between_bytes),
        }
    }

    fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Resolve => self.resolve,
            Phase::Connect => self.connect,
            Phase::Tls => self.tls,
            Phase::FirstByte => self.first_byte,
            Phase::BetweenBytes => self.between_bytes,
        }
    }
}

/// Tells how time goes by for a request, where it is not that of the machine, as in a test of who asks.
#[async_trait]
pub trait Pace: Send + Sync {
    /// Ends when `span` has gone by. Cancel-safe.
    async fn after(&self, span: Duration);
}

/// The time-outs of one request, the end of the call that it is part of, and its cancellation.
#[derive(Clone)]
pub struct Bounds {
    pub timeouts: Timeouts,
    pub deadline: Instant,
    pub cancel: CancellationToken,
    /// Ends a wait before the machine's time does.
    pub pace: Option<Arc<dyn Pace>>,
}

impl Bounds {
    /// Ends `total` from now.
    pub fn within(total: Duration) -> Self {
        Self {
            timeouts: Timeouts::default(),
            deadline: Instant::now() + total,
            cancel: CancellationToken::new(),
            pace: None,
        }
    }

    /// Waits for `work` as long as its phase, the deadline and the caller let it.
    pub async fn wait<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        let after = self.timeouts.of(phase);
        let now = Instant::now();
        let end = (now + after).min(self.deadline);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(BrokerError::Cancelled),
            done = work => done,
            () = self.over(end, now) => Err(self.too_late(phase, end)),
        }
    }

    /// Waits for `work`, which has no time-out of its own, as long as the deadline and the caller let it.
    pub async fn during<T>(
        &self,
        work: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(BrokerError::Cancelled),
            done = work => done,
            () = self.over(self.deadline, Instant::now()) => Err(BrokerError::Deadline),
        }
    }

    async fn over(&self, end: Instant, now: Instant) {
        match &self.pace {
            None => tokio::time::sleep_until(end).await,
            Some(pace) => tokio::select! {
                () = tokio::time::sleep_until(end) => {}
                () = pace.after(end.saturating_duration_since(now)) => {}
            },
        }
    }

    /// What it is called when a wait until `end` was for nothing.
    pub(crate) fn too_late(&self, phase: Phase, end: Instant) -> BrokerError {
        if end >= self.deadline {
            BrokerError::Deadline
        } else {
            BrokerError::Timeout { phase, after: self.timeouts.of(phase) }
        }
    }
}
