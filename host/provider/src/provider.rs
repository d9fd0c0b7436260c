//! A provider and its life: connect, serve, wait, connect again.

use std::sync::Arc;
use std::time::Duration;

use berth_proto::{ProviderFrame, limits};
use futures::SinkExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::call::Handler;
use crate::capability::Capability;
use crate::connect::{Dial, DialError, Network};
use crate::credentials::Token;
use crate::error::{BuildError, Stopped};
use crate::identity::Identity;
use crate::operations::Operations;
use crate::report::Report;
use crate::session::{self, Ending};
use crate::tools::Tools;
use crate::wire;

/// How much a provider does at once, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls that run side by side; at least 1.
    pub max_running: usize,
    /// Calls that may wait for a place. More are refused with `busy`.
    pub max_waiting: usize,
    /// The longest time a call may take, whatever Core asks for.
    pub max_timeout: Duration,
    /// How long running calls may go on once the provider shall stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_running: 4,
            max_waiting: 32,
            max_timeout: Duration::from_secs(300),
            drain: Duration::from_secs(4),
        }
    }
}

/// Where a provider stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Connecting,
    /// Core has the capabilities.
    Ready,
    /// There is no connection; the next try comes after a wait.
    Waiting,
    Stopped,
}

/// What every connection of a provider shares.
pub(crate) struct Shared {
    pub identity: Identity,
    pub tools: Tools,
    pub limits: Limits,
    pub secret: Token,
    status: watch::Sender<Status>,
}

impl Shared {
    pub fn tell(&self, status: Status) {
        self.status.send_replace(status);
    }
}

/// Tools at a Core. Made by [`Provider::builder`].
pub struct Provider {
    shared: Shared,
    dial: Arc<dyn Dial>,
    backoff: Backoff,
}

/// Collects what a [`Provider`] is made of.
pub struct Builder {
    address: String,
    token: Token,
    secret: Option<Token>,
    identity: Identity,
    tools: Tools,
    limits: Limits,
    backoff: Backoff,
    dial: Option<Arc<dyn Dial>>,
}

impl Provider {
    /// A provider for the Core at `address`, `http://…` or `https://…`.
    pub fn builder(address: &str, token: Token, identity: Identity) -> Builder {
        Builder {
            address: address.to_owned(),
            token,
            secret: None,
            identity,
            tools: Tools::new(),
            limits: Limits::default(),
            backoff: Backoff::default(),
            dial: None,
        }
    }

    /// Opens one socket and closes it again: whether Core is there and takes the token.
    pub async fn probe(&self) -> Result<(), DialError> {
        let mut socket = self.dial.dial().await?;
        // It has served its purpose; how it ends does not matter.
        let _ = socket.close().await;
        Ok(())
    }

    /// Adds to `report` whether Core is there and takes the token.
    pub async fn check(&self, report: &mut Report) {
        let answers = self.probe().await.map(|()| "answers, and takes the token".to_owned());
        report.result("core", answers.map_err(|error| error.to_string()));
    }

    /// Follows where the provider stands.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// Serves until `stop` is cancelled, through every loss of the connection.
    ///
    /// At the stop no new calls are taken, running ones get [`Limits::drain`], the rest is cancelled and answered,
    /// and Core hears goodbye. Fails only when Core would refuse the next try as well.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Stopped> {
        let Self { shared, dial, mut backoff } = self;
        let result = serve(&shared, &*dial, &mut backoff, &stop).await;
        shared.tell(Status::Stopped);
        if let Err(stopped) = &result {
            tracing::error!(code = stopped.code(), "giving up: {stopped}");
        }
        result
    }
}

async fn serve(
    shared: &Shared,
    dial: &dyn Dial,
    backoff: &mut Backoff,
    stop: &CancellationToken,
) -> Result<(), Stopped> {
    let mut operations = Operations::default();
    // What the log says last of the connection. A Core that stays away is told of once, not at every try.
    let mut told: Option<String> = None;
    loop {
        shared.tell(Status::Connecting);
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            opened = dial.dial() => opened,
        };
        let ending = match opened {
            Ok(socket) => session::run(socket, shared, &mut operations, stop).await,
            Err(DialError::Unauthorized { status }) => {
                Ending::GivenUp(Stopped::Unauthorized { told: format!("HTTP {status}") })
            }
            Err(DialError::Failed(why)) => Ending::Lost { why, served: false, good: false },
        };
        let why = match ending {
            Ending::Stopped => return Ok(()),
            Ending::GivenUp(stopped) => return Err(stopped),
            Ending::Lost { why, served, good } => {
                if good {
                    backoff.reset();
                }
                if served {
                    told = None;
                }
                why
            }
        };
        shared.tell(Status::Waiting);
        let wait = backoff.next();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        if told.as_ref() == Some(&why) {
            tracing::debug!(wait_ms, "still not connected: {why}");
        } else {
            tracing::warn!("not connected, and trying again until it works: {why}");
            told = Some(why);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Builder {
    /// Adds a tool; one with the same key is replaced.
    #[must_use]
    pub fn capability(mut self, capability: Capability, handler: impl Handler) -> Self {
        self.tools = self.tools.with(capability, handler);
        self
    }

    #[must_use]
    pub fn tools(mut self, tools: Tools) -> Self {
        self.tools.extend(tools);
        self
    }

    /// Opens sensitive arguments with `secret` instead of the access token, which is what a berth Core seals with.
    #[must_use]
    pub fn secret(mut self, secret: Token) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Takes the secret of `BERTH_CREDENTIAL_SECRET`, else of `MEETYOU_CREDENTIAL_SECRET`, when there is one.
    #[must_use]
    pub fn secret_from_environment(self) -> Self {
        match Token::find(None, &["BERTH_CREDENTIAL_SECRET", "MEETYOU_CREDENTIAL_SECRET"]) {
            Ok(secret) => self.secret(secret),
            Err(_) => self,
        }
    }

    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Opens sockets with `dial` instead of the network.
    #[must_use]
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dial = Some(Arc::new(dial));
        self
    }

    /// Checks everything that can be known before the first connection.
    pub fn build(self) -> Result<Provider, BuildError> {
        self.identity.check()?;
        let dial = match self.dial {
            Some(dial) => dial,
            None => Arc::new(Network::new(&self.address, &self.token)?),
        };
        let limits = Limits { max_running: self.limits.max_running.max(1), ..self.limits };
        let (status, _) = watch::channel(Status::Connecting);
        let secret = self.secret.unwrap_or(self.token);
        let shared = Shared { identity: self.identity, tools: self.tools, limits, secret, status };
        let snapshot = ProviderFrame::Capabilities(shared.snapshot());
        let bytes = wire::write(&snapshot, &shared.identity.endpoint_id).len();
        if bytes > limits::MAX_IN_BYTES {
            return Err(BuildError::TooManyTools { bytes, limit: limits::MAX_IN_BYTES });
        }
        Ok(Provider { shared, dial, backoff: self.backoff })
    }
}
