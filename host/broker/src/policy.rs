//! Who may reach what: the question that each use asks, and the simplest one who answers.

use std::net::IpAddr;

use async_trait::async_trait;

use crate::address::Range;
use crate::scope::{Scope, closed};
use crate::target::{Origin, Target};

/// One use of the network.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    pub method: &'a str,
    pub target: &'a Target,
}

/// A use that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denied {
    /// What is missing, and what somebody can do about it.
    pub message: String,
    /// The request could not be decided on in time, or was broken off: trying again may help.
    pub retryable: bool,
}

impl Denied {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: false }
    }
}

/// What an allowed use carries with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permit {
    scopes: Vec<Scope>,
}

impl Permit {
    /// `scopes` are those of the operator's grants that cover the use; they may open addresses off the public internet.
    pub fn new(scopes: Vec<Scope>) -> Self {
        Self { scopes }
    }

    /// The range that keeps `ip` from being dialled for `origin`.
    pub fn closed(&self, origin: &Origin, ip: IpAddr) -> Option<Range> {
        closed(&self.scopes, origin, ip)
    }
}

/// Decides on each use: on the request, and again on each redirect. Nothing is remembered between them.
#[async_trait]
pub trait Authority: Send + Sync {
    async fn authorize(&self, wanted: Use<'_>) -> Result<Permit, Denied>;

    /// Whether what was allowed before still is: asked before each piece of an answer. Must not wait.
    fn still_allows(&self, _wanted: Use<'_>) -> bool {
        true
    }

    /// Ends when what was allowed before no longer is: whoever waits for an answer, or a piece of it, then waits no more.
    async fn until_refused(&self, _wanted: Use<'_>) {
        std::future::pending().await
    }
}

/// A fixed list of what may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboundPolicy {
    allowed: Vec<Scope>,
    refused: Vec<Scope>,
}

impl OutboundPolicy {
    /// Reaches nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Reaches what `scope` covers as well.
    #[must_use]
    pub fn allow(mut self, scope: Scope) -> Self {
        self.allowed.push(scope);
        self
    }

    /// Does not reach what `scope` covers, whoever allows it.
    #[must_use]
    pub fn refuse(mut self, scope: Scope) -> Self {
        self.refused.push(scope);
        self
    }

    /// Decides on one use.
    pub fn decide(&self, wanted: Use<'_>) -> Result<Permit, Denied> {
        let Use { method, target } = wanted;
        if self.refused.iter().any(|scope| scope.covers(method, target)) {
            return Err(Denied::new(format!("{method} {} is refused by a rule", shown(target))));
        }
        let scopes: Vec<Scope> =
            self.allowed.iter().filter(|scope| scope.covers(method, target)).cloned().collect();
        if scopes.is_empty() {
            return Err(Denied::new(format!("no rule allows {method} {}", shown(target))));
        }
        Ok(Permit::new(scopes))
    }
}

#[async_trait]
impl Authority for OutboundPolicy {
    async fn authorize(&self, wanted: Use<'_>) -> Result<Permit, Denied> {
        self.decide(wanted)
    }
}

/// A target in a message: without its query, which may hold what is nobody's business.
pub(crate) fn shown(target: &Target) -> String {
    format!("{}{}", target.origin(), target.path())
}
