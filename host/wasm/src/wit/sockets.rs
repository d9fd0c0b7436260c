//! `wasi:sockets` as a wall: what would make a socket or look up a name answers access-denied.
//!
//! Without these two nothing else of the interfaces can be reached. No grant opens it.

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::TcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::UdpSocket;
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{DynPollable, SocketError, SocketResult};
use wasmtime_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView as _};

use crate::call::spending::Spending;
use crate::call::state::PluginState;

/// The wall of one call.
pub struct Wall<'a> {
    inner: WasiSocketsCtxView<'a>,
    spending: Arc<Spending>,
}

struct HasWall;

impl HasData for HasWall {
    type Data<'a> = Wall<'a>;
}

impl Wall<'_> {
    fn denied(&self) -> SocketError {
        self.spending.count_denial();
        ErrorCode::AccessDenied.into()
    }
}

fn wall(state: &mut PluginState) -> Wall<'_> {
    let spending = state.spending().clone();
    Wall { inner: state.sockets(), spending }
}

/// Puts the wall in the place of what the library serves.
pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    tcp_create_socket::add_to_linker::<_, HasWall>(linker, wall)?;
    udp_create_socket::add_to_linker::<_, HasWall>(linker, wall)?;
    ip_name_lookup::add_to_linker::<_, HasWall>(linker, wall)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl network::Host for Wall<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.inner, error)
    }
}

impl network::HostNetwork for Wall<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.inner, network)
    }
}

impl tcp_create_socket::Host for Wall<'_> {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        Err(self.denied())
    }
}

impl udp_create_socket::Host for Wall<'_> {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        Err(self.denied())
    }
}

impl ip_name_lookup::Host for Wall<'_> {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        _: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        Err(self.denied())
    }
}

/// Nobody gets such a stream; a handle of another kind is the mistake of the guest.
impl ip_name_lookup::HostResolveAddressStream for Wall<'_> {
    fn resolve_next_address(&mut self, _: Resource<ResolveAddressStream>) -> SocketResult<Option<IpAddress>> {
        Err(self.denied())
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.inner.subscribe(stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        ip_name_lookup::HostResolveAddressStream::drop(&mut self.inner, stream)
    }
}
