//! The broker: the one way from this process to a server that somebody else names.

use std::sync::Arc;
use std::time::Duration;

use crate::bounds::Bounds;
use crate::connect::{self, Connection};
use crate::error::BrokerError;
use crate::limits::Permits;
use crate::net::{Dialer, Resolver, SystemResolver, TcpDialer};
use crate::placed::Placed;
use crate::policy::{Authority, Permit, Use};
use crate::target::Target;
use crate::tls::Tls;

/// The longest that [`Broker::connect`] takes in all.
const CONNECT_TOTAL: Duration = Duration::from_secs(20);

/// What a broker reaches the network with.
pub struct BrokerParts {
    pub resolver: Arc<dyn Resolver>,
    pub dialer: Arc<dyn Dialer>,
    pub tls: Tls,
}

impl BrokerParts {
    /// The resolver, the sockets and the certificates of the machine.
    pub fn system() -> Self {
        Self { resolver: Arc::new(SystemResolver), dialer: Arc::new(TcpDialer), tls: Tls::native() }
    }
}

/// Decides, looks up, dials. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    parts: Arc<BrokerParts>,
    permits: Arc<Permits>,
    placed: Arc<Placed>,
}

impl Broker {
    pub fn new(parts: BrokerParts) -> Self {
        Self { parts: Arc::new(parts), permits: Arc::default(), placed: Arc::default() }
    }

    pub(crate) fn permits(&self) -> &Arc<Permits> {
        &self.permits
    }

    pub(crate) fn placed(&self) -> &Placed {
        &self.placed
    }

    /// A stream to `target`, for a protocol of the caller's own such as WebSocket, within 20 s.
    ///
    /// Asks `authority` for a GET, looks the name up once, dials the vetted addresses alone, and does TLS where the scheme
    /// is `https` or `wss`. Cancel-safe.
    pub async fn connect(
        &self,
        target: &Target,
        authority: &dyn Authority,
    ) -> Result<Connection, BrokerError> {
        self.connect_within(target, authority, &Bounds::within(CONNECT_TOTAL)).await
    }

    /// The same within the bounds of a call.
    pub async fn connect_within(
        &self,
        target: &Target,
        authority: &dyn Authority,
        bounds: &Bounds,
    ) -> Result<Connection, BrokerError> {
        self.connect_for("GET", target, authority, bounds).await
    }

    /// The same for a request with another method.
    pub async fn connect_for(
        &self,
        method: &str,
        target: &Target,
        authority: &dyn Authority,
        bounds: &Bounds,
    ) -> Result<Connection, BrokerError> {
        let permit = authority.authorize(Use { method, target }).await?;
        self.open(target, &permit, bounds).await
    }

    pub(crate) async fn open(
        &self,
        target: &Target,
        permit: &Permit,
        bounds: &Bounds,
    ) -> Result<Connection, BrokerError> {
        let BrokerParts { resolver, dialer, tls } = &*self.parts;
        let origin = target.origin();
        let addresses = connect::vetted(resolver.as_ref(), origin, permit, bounds).await?;
        connect::dial(dialer.as_ref(), tls, origin, &addresses, bounds).await
    }
}
