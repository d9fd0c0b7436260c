//! The handle to the hub.

use std::sync::Arc;

use berth_core::Core;
use berth_model::EndpointId;
use futures::{Sink, Stream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::config::HubConfig;
use crate::wire::{Incoming, Outgoing, SocketError};
use crate::{Links, session};

/// Who is at the other end.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The network address, for the records.
    pub remote: String,
}

/// Serves endpoint sockets. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    core: Core,
    links: Arc<Links>,
    config: HubConfig,
    places: Arc<Semaphore>,
    sessions: TaskTracker,
    /// Held while endpoints are bound or unbound together with their records, so that the records of one that leaves
    /// never overwrite those of one that comes.
    registry: Mutex<()>,
    /// Held while an outbox is sent, so that nothing in it is sent twice.
    outbox: Mutex<()>,
}

impl Hub {
    /// `links` is the one that `core` was started with.
    pub fn new(core: Core, links: Arc<Links>, config: HubConfig) -> Self {
        links.share_secret(config.secret.clone().unwrap_or_default());
        let places = Arc::new(Semaphore::new(config.max_sockets));
        Self(Arc::new(Inner {
            core,
            links,
            config,
            places,
            sessions: TaskTracker::new(),
            registry: Mutex::default(),
            outbox: Mutex::default(),
        }))
    }

    /// Serves one socket, whose peer is known to have the right token, to its end. Ends by itself after the host was
    /// asked to stop.
    pub async fn serve<R, W>(&self, reader: R, writer: W, peer: Peer)
    where
        R: Stream<Item = Result<Incoming, SocketError>> + Send + Unpin,
        W: Sink<Outgoing> + Send + Unpin + 'static,
    {
        self.0.sessions.track_future(session::serve(self.clone(), peer, reader, writer)).await;
    }

    /// Ends when every socket is closed; none is taken from here on. To be called after Core was asked to stop.
    pub async fn drained(&self) {
        self.0.places.close();
        self.0.sessions.close();
        self.0.sessions.wait().await;
    }

    /// Sockets that are open now.
    pub fn sockets(&self) -> usize {
        self.0.sessions.len()
    }

    /// A place for one more socket, unless the hub is full or the host stops.
    pub(crate) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        if self.0.core.stopping().is_cancelled() {
            return None;
        }
        self.0.places.clone().try_acquire_owned().ok()
    }

    pub(crate) fn core(&self) -> &Core {
        &self.0.core
    }

    pub(crate) fn links(&self) -> &Arc<Links> {
        &self.0.links
    }

    pub(crate) fn config(&self) -> &HubConfig {
        &self.0.config
    }

    pub(crate) fn registry(&self) -> &Mutex<()> {
        &self.0.registry
    }

    /// Sends what waits for an endpoint. What fails stays in the outbox.
    pub(crate) async fn drain(&self, endpoint: &EndpointId) {
        let _alone = self.0.outbox.lock().await;
        if let Err(error) = self.0.core.drain(endpoint).await {
            tracing::warn!(%error, endpoint.id = %endpoint, "the outbox could not be sent");
        }
    }
}
