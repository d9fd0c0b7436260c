//! What the host serves to guests beyond the engine: one port for each capability that leaves the sandbox.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use berth_secrets::Desk;

use super::approvals::{ApprovalDesk, NoApprovals};
use super::config::{ConfigSource, NoConfig};
use super::endpoint::{EndpointCaller, NoEndpoints};
use super::http::HttpOutlet;
use super::inbound::{Inbox, NoInbox};
use super::keyvalue::{KeyvalueStore, NoKeyvalue};
use super::ledger::{Ledger, NoLedger};
use super::process::{NoPrograms, ProgramRunner};
use super::surroundings::Surroundings;
use super::throttle::Throttle;
use super::websocket::{NoSockets, Sockets};

/// The ports of the capabilities. Cheap to clone: each call does. A test puts a fake in the place of one.
#[derive(Clone)]
pub struct Services(Arc<Ports>);

/// One port for each capability.
#[derive(Clone)]
pub struct Ports {
    pub endpoints: Arc<dyn EndpointCaller>,
    pub approvals: Arc<dyn ApprovalDesk>,
    pub ledger: Arc<dyn Ledger>,
    pub keyvalue: Arc<dyn KeyvalueStore>,
    pub config: Arc<dyn ConfigSource>,
    pub secrets: Arc<Desk>,
    pub http: HttpOutlet,
    pub inbox: Arc<dyn Inbox>,
    pub sockets: Arc<dyn Sockets>,
    pub programs: Arc<dyn ProgramRunner>,
    /// Counts the uses that have a limit.
    pub throttle: Arc<Throttle>,
    /// What calls meet in the place of the machine's clocks, chance and disk.
    pub surroundings: Option<Arc<dyn Surroundings>>,
}

impl Deref for Services {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.0
    }
}

/// Changes this one alone, not those that it was cloned from.
impl DerefMut for Services {
    fn deref_mut(&mut self) -> &mut Ports {
        Arc::make_mut(&mut self.0)
    }
}

impl Services {
    /// Nothing is in reach.
    pub fn none() -> Self {
        static NONE: LazyLock<Services> = LazyLock::new(|| {
            Services(Arc::new(Ports {
                endpoints: Arc::new(NoEndpoints),
                approvals: Arc::new(NoApprovals),
                ledger: Arc::new(NoLedger),
                keyvalue: Arc::new(NoKeyvalue),
                config: Arc::new(NoConfig),
                secrets: Arc::new(Desk::closed()),
                http: HttpOutlet::closed(),
                inbox: Arc::new(NoInbox),
                sockets: Arc::new(NoSockets),
                programs: Arc::new(NoPrograms),
                throttle: Arc::default(),
                surroundings: None,
            }))
        });
        NONE.clone()
    }

    /// The same, with a way to run programs of the machine.
    #[must_use]
    pub fn with_programs(mut self, programs: Arc<dyn ProgramRunner>) -> Self {
        self.programs = programs;
        self
    }

    /// The same, with the secrets of a vault.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Arc<Desk>) -> Self {
        self.secrets = secrets;
        self
    }

    /// The same, with people who can be asked.
    #[must_use]
    pub fn with_approvals(mut self, approvals: Arc<dyn ApprovalDesk>) -> Self {
        self.approvals = approvals;
        self
    }

    /// The same, with a place where uses are written down and counted.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.ledger = ledger;
        self
    }

    /// The same, with a way to the connected endpoints.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: Arc<dyn EndpointCaller>) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// The same, with a place for the pairs of plugins.
    #[must_use]
    pub fn with_keyvalue(mut self, keyvalue: Arc<dyn KeyvalueStore>) -> Self {
        self.keyvalue = keyvalue;
        self
    }

    /// The same, with a way out.
    #[must_use]
    pub fn with_http(mut self, http: HttpOutlet) -> Self {
        self.http = http;
        self
    }

    /// The same, with other clocks, chance and disk than those of the machine.
    #[must_use]
    pub fn with_surroundings(mut self, surroundings: Arc<dyn Surroundings>) -> Self {
        self.surroundings = Some(surroundings);
        self
    }

    /// The same, with what the operator has set for plugins.
    #[must_use]
    pub fn with_config(mut self, config: Arc<dyn ConfigSource>) -> Self {
        self.config = config;
        self
    }

    /// The same for a channel, with what it brings in and the sockets that the host keeps for it.
    #[must_use]
    pub fn with_channel(mut self, inbox: Arc<dyn Inbox>, sockets: Arc<dyn Sockets>) -> Self {
        self.inbox = inbox;
        self.sockets = sockets;
        self
    }
}
