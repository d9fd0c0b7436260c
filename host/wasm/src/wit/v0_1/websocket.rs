//! Sockets that the host keeps.

use serde_json::json;

use super::{WitError, wit};
use crate::call::state::PluginState;
use crate::capability::limit::Limit;
use crate::capability::websocket::{self, ConnectRequest};
use crate::capability::{Capability, CapabilityError};

impl PluginState {
    async fn may_reach(&mut self, url: &str) -> Result<(), CapabilityError> {
        let sockets = self.services().sockets.clone();
        let url = url.to_owned();
        let wanted = json!({ "hosts": [origin(&url)] });
        self.authorize(Capability::Websocket, wanted, move |scope| sockets.covers(scope, &url)).await
    }
}

impl PluginState {
    fn socket_limit(&mut self, url: &str) -> Limit {
        let sockets = self.services().sockets.clone();
        self.grants().limit(Capability::Websocket, |scope| sockets.covers(scope, url))
    }
}

impl wit::websocket::Host for PluginState {
    async fn connect(
        &mut self,
        request: wit::websocket::ConnectRequest,
    ) -> wasmtime::Result<Result<u64, WitError>> {
        self.count_host_call();
        let request = ConnectRequest {
            name: request.name,
            url: request.url,
            headers: request.headers,
            protocols: request.protocols,
            reconnect: request.reconnect,
        };
        if let Err(refused) = websocket::check(&request) {
            return Ok(Err(refused.into()));
        }
        if let Err(denied) = self.may_reach(&request.url).await {
            return Ok(Err(denied.into()));
        }
        let sockets = self.services().sockets.clone();
        let limit = self.socket_limit(&request.url);
        let most = limit.get("concurrent").and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        Ok(sockets.connect(request, most).await.map_err(WitError::from))
    }

    async fn send(
        &mut self,
        socket: u64,
        is_text: bool,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<(), WitError>> {
        self.count_host_call();
        let sockets = self.services().sockets.clone();
        let address = match sockets.address(socket) {
            Ok(address) => address,
            Err(refused) => return Ok(Err(refused.into())),
        };
        if let Err(denied) = self.may_reach(&address).await {
            sockets.close(socket, 1008, "the grant is gone").await;
            return Ok(Err(denied.into()));
        }
        let most = websocket::frame_bytes(&self.socket_limit(&address));
        let sent = async {
            let frame = websocket::frame(is_text, data, most)?;
            let asked = sockets.clone();
            let _counted = self.throttled(Capability::Websocket, |scope| asked.covers(scope, &address))?;
            sockets.send(socket, frame).await
        };
        Ok(sent.await.map_err(WitError::from))
    }

    async fn close(
        &mut self,
        socket: u64,
        code: u16,
        reason: String,
    ) -> wasmtime::Result<Result<(), WitError>> {
        self.count_host_call();
        let sockets = self.services().sockets.clone();
        sockets.close(socket, code, &reason).await;
        Ok(Ok(()))
    }
}

/// Scheme, host and port of an address, for what an operator is asked to grant.
fn origin(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.chars().take(200).collect() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What stands before an `@` could be a password.
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}").chars().take(200).collect()
}
