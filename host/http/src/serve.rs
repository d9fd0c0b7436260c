//! Serving the routes on a socket, with bounds on what a connection may take.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// The wait after the system refused a connection, as when it has no file descriptors left.
const PAUSE: Duration = Duration::from_secs(1);
/// The most headers of a request.
const MAX_HEADERS: usize = 100;
/// What is kept of a request that is not yet whole, in bytes; the layer around all routes refuses less, with a reason.
const BUFFER_BYTES: usize = 64 << 10;

/// Bounds of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeConfig {
    /// How long the headers of a request may take to arrive, and how long a connection may idle between requests.
    pub headers_within: Duration,
    /// Connections at the same time, event streams and sockets among them; one more waits until another one ends.
    pub max_connections: usize,
}

impl Default for ServeConfig {
    /// 30 s, 1024 connections.
    fn default() -> Self {
        Self { headers_within: Duration::from_secs(30), max_connections: 1024 }
    }
}

/// Serves `routes` until `closing`; then takes nobody in any more, lets requests under way end, and returns when the last
/// one has. A connection that was upgraded is no request any more.
pub async fn serve(listener: TcpListener, routes: Router, config: ServeConfig, closing: CancellationToken) {
    let tasks = TaskTracker::new();
    let places = Arc::new(Semaphore::new(config.max_connections));
    while let Some((socket, peer, place)) = next(&listener, &places, &closing).await {
        tasks.spawn(connection(socket, peer, routes.clone(), config, closing.clone(), place));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// The next connection with its place; `None` when the host closes.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    closing: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accept = async {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((socket, peer)) => return Some((socket, peer, place)),
                // The peer was quicker to leave than we were to greet.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken in now");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = closing.cancelled() => None,
        accepted = accept => accepted,
    }
}

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    routes: Router,
    config: ServeConfig,
    closing: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    // An event shall not wait for the next one to fill a packet.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let service = service_fn(move |request| answer(routes.clone(), peer, request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.headers_within)
        .max_headers(MAX_HEADERS)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = closing.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

async fn answer(
    routes: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    routes.oneshot(request).await
}
