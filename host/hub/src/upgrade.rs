//! `GET /endpoint/ws`.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use berth_proto::limits::MAX_IN_BYTES;
use berth_proto::refusal::Refusal;

use crate::{Hub, Peer, auth, wire};

/// What a peer may send before it is cut off without a word. A frame between [`MAX_IN_BYTES`] and this one is read to
/// its end and thrown away, so that the peer hears why the socket closes.
const CUT_OFF_BYTES: usize = MAX_IN_BYTES + MAX_IN_BYTES / 2;

/// The route, with its own check of token and origin. A wrong token is refused with 401 before the upgrade: clients of
/// MeetYou come back at a sane rate then, and at once after a socket that closes.
pub fn router(hub: Hub) -> Router {
    Router::new().route(berth_proto::PATH, get(upgrade)).with_state(hub)
}

async fn upgrade(
    State(hub): State<Hub>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    let Ok(socket) = socket else {
        return (
            StatusCode::NOT_FOUND,
            [(header::CONTENT_TYPE, "application/json")],
            r#"{"detail":"Not Found"}"#,
        )
            .into_response();
    };
    if let Some(origin) = auth::refused_origin(request.headers(), &hub.config().origins) {
        tracing::warn!(origin, "an endpoint socket of a foreign page was refused");
        return refuse(&hub, StatusCode::FORBIDDEN, &Refusal::origin(&origin));
    }
    let token = auth::token(request.headers(), request.uri()).unwrap_or_default();
    if !(hub.config().verify)(&token) {
        tracing::warn!("an endpoint socket without the right token was refused");
        return refuse(&hub, StatusCode::UNAUTHORIZED, &Refusal::unauthorized());
    }
    let Some(place) = hub.admit() else {
        let refusal =
            Refusal::unavailable("endpoint_sockets_exhausted", "the host takes no more sockets now");
        return refuse(&hub, StatusCode::SERVICE_UNAVAILABLE, &refusal);
    };
    let remote = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.to_string());
    let peer = Peer { remote: remote.unwrap_or_default() };
    socket.max_message_size(CUT_OFF_BYTES).max_frame_size(CUT_OFF_BYTES).on_upgrade(
        move |socket| async move {
            let (reader, writer) = wire::split(socket);
            hub.serve(reader, writer, peer).await;
            drop(place);
        },
    )
}

fn refuse(hub: &Hub, status: StatusCode, refusal: &Refusal) -> Response {
    let body = refusal.write(&hub.core().now().to_string());
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
    }
    response
}
