//! Sockets that the host keeps.

use serde_json::json;

use super::{WitError, wit};
use crate::call::state::PluginState;
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
        Ok(sockets.connect(request).await.map_err(WitError::from))
    }

    async fn send(
        &mut self,
        socket: u64,
        is_text: bool,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<(), WitError>> {
        self.count_host_call();
        let sockets = self.services().sockets.clone();
        let checked = websocket::frame(is_text, data)
            .and_then(|frame| sockets.address(socket).map(|address| (frame, address)));
        let (frame, address) = match checked {
            Ok(checked) => checked,
            Err(refused) => return Ok(Err(refused.into())),
        };
        if let Err(denied) = self.may_reach(&address).await {
            sockets.close(socket, 1008, "the grant is gone").await;
            return Ok(Err(denied.into()));
        }
        Ok(sockets.send(socket, frame).await.map_err(WitError::from))
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
