//! `wasi:http`: requests of guests go to the broker, which asks the grants about each of them.

use std::sync::Arc;
use std::time::Duration;

use berth_broker::{Bounds, Broker, BrokerError, Caller, Pace, Phase, Receipt, Receipts, Timeouts};
use http_body_util::BodyExt as _;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types;
use wasmtime_wasi_http::{
    Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView,
};

use crate::call::access::Access;
use crate::call::state::PluginState;
use crate::capability::Capability;
use crate::capability::http::{GrantAuthority, PlacedSecrets, limits};
use crate::capability::surroundings::Paced;

/// The most that the headers of one request or answer weigh in the host.
const FIELDS_BYTES: usize = 64 << 10;
/// The most that a guest writes to a body at once.
const CHUNK_BYTES: usize = 64 << 10;

pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    // The engine's own looks for another type than the one that a body fails with, and never finds it.
    linker.allow_shadowing(true);
    linker.instance(TYPES)?.func_wrap("http-error-code", error_code)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The version that the engine links.
const TYPES: &str = "wasi:http/types@0.2.12";

/// The code of an error that a guest met while it read or wrote a body.
fn error_code(
    mut store: StoreContextMut<'_, PluginState>,
    (error,): (Resource<types::IoError>,),
) -> wasmtime::Result<(Option<types::ErrorCode>,)> {
    let error = store.data_mut().resources().get(&error)?;
    let code = error.downcast_ref::<types::ErrorCode>().cloned();
    Ok((code.or_else(|| error.downcast_ref::<Error>().and_then(code_of)),))
}

/// What [`known`] says, in the words of the guest.
fn code_of(error: &Error) -> Option<types::ErrorCode> {
    Some(match error {
        Error::HttpRequestDenied => types::ErrorCode::HttpRequestDenied,
        Error::ConnectionReadTimeout => types::ErrorCode::ConnectionReadTimeout,
        Error::HttpResponseTimeout => types::ErrorCode::HttpResponseTimeout,
        Error::HttpResponseBodySize(limit) => types::ErrorCode::HttpResponseBodySize(*limit),
        Error::HttpRequestBodySize(limit) => types::ErrorCode::HttpRequestBodySize(*limit),
        Error::HttpResponseContentCoding(coding) => {
            types::ErrorCode::HttpResponseContentCoding(coding.clone())
        }
        Error::HttpProtocolError => types::ErrorCode::HttpProtocolError,
        Error::InternalError(text) => types::ErrorCode::InternalError(text.clone()),
        _ => return None,
    })
}

/// The requests of one call.
pub struct Egress {
    context: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks(Access);

impl Egress {
    pub fn new(access: Access) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(FIELDS_BYTES);
        Self { context, hooks: Hooks(access) }
    }

    /// What a request of the host's own, made for this call, is sent with.
    pub fn caller(&self) -> (Broker, Caller) {
        (self.hooks.0.services().http.broker.clone(), self.hooks.caller(None))
    }
}

impl WasiHttpView for PluginState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (egress, table) = self.egress();
        WasiHttpCtxView { hooks: &mut egress.hooks, table, ctx: &mut egress.context }
    }
}

type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        self.0.shared().spending.count_host_call();
        let caller = self.caller(options);
        let broker = self.0.services().http.broker.clone();
        Box::new(async move {
            let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
            let answer = broker.send(&caller, request).await.map_err(|error| known(&error))?;
            let answer = answer.map(|body| body.map_err(|error| known(&error)).boxed_unsync());
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((answer, done))
        })
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| {
            // Those of the engine as well: a host header of the guest's would be dropped later without a word.
            wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS.contains(name)
                || berth_broker::is_forbidden_header(name)
        })
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }
}

impl Hooks {
    fn caller(&self, options: Option<RequestOptions>) -> Caller {
        let access = &self.0;
        let view = access.view();
        let limit = view.limit(Capability::Http, |_| true);
        let surroundings = access.services().surroundings.clone();
        let deadline = match (&surroundings, access.shared().due) {
            (Some(surroundings), Some(due)) => {
                tokio::time::Instant::now() + due.saturating_sub(surroundings.monotonic())
            }
            _ => tokio::time::Instant::from_std(access.shared().deadline),
        };
        let pace = surroundings
            .map(|surroundings| Arc::new(Paced::new(surroundings, access.shared().due)) as Arc<dyn Pace>);
        let deadline = match limit.get("timeout_ms") {
            Some(ms) => deadline.min(tokio::time::Instant::now() + Duration::from_millis(ms)),
            None => deadline,
        };
        let own = Timeouts::default();
        let shorter = |asked: Option<Duration>, own: Duration| asked.map_or(own, |asked| asked.min(own));
        let options = options.unwrap_or_default();
        let connect = shorter(options.connect_timeout, own.connect);
        let timeouts = Timeouts {
            resolve: connect.min(own.resolve),
            connect,
            tls: connect.min(own.tls),
            first_byte: shorter(options.first_byte_timeout, own.first_byte),
            between_bytes: shorter(options.between_bytes_timeout, own.between_bytes),
        };
        Caller {
            id: view.plugin().to_owned(),
            authority: Arc::new(GrantAuthority::new(access.clone())),
            secrets: Arc::new(PlacedSecrets(access.clone())),
            limits: limits(|name| limit.get(name)),
            receipts: Arc::new(Told(access.clone())),
            bounds: Bounds { timeouts, deadline, cancel: access.cancel().clone(), pace },
        }
    }
}

/// The error of the standard that says the most of ours. The guest learns no address and no name from it.
fn known(error: &BrokerError) -> Error {
    let told = || Error::InternalError(Some(format!("{}: {error}", error.code())));
    match error {
        BrokerError::Url(_) => Error::HttpRequestUriInvalid,
        BrokerError::Denied(_)
        | BrokerError::Header { .. }
        | BrokerError::Redirect { .. }
        | BrokerError::SecretRefused { .. }
        | BrokerError::SecretPlace { .. }
        | BrokerError::Revoked => Error::HttpRequestDenied,
        BrokerError::AddressClosed { .. } => Error::DestinationIpProhibited,
        BrokerError::Unresolved { .. } => {
            Error::DnsError { rcode: Some("no address".to_owned()), info_code: None }
        }
        BrokerError::Connect { .. } => Error::ConnectionRefused,
        BrokerError::Tls { .. } => Error::TlsCertificateError,
        BrokerError::Timeout { phase, .. } => match phase {
            Phase::Resolve => Error::DnsTimeout,
            Phase::Connect | Phase::Tls => Error::ConnectionTimeout,
            Phase::FirstByte => Error::HttpResponseTimeout,
            Phase::BetweenBytes => Error::ConnectionReadTimeout,
        },
        BrokerError::Deadline => Error::HttpResponseTimeout,
        BrokerError::Busy { .. } => Error::ConnectionLimitReached,
        BrokerError::Method { .. } => Error::HttpRequestMethodInvalid,
        BrokerError::RequestTooLarge { limit } => Error::HttpRequestBodySize(Some(*limit)),
        BrokerError::ResponseTooLarge { limit } => Error::HttpResponseBodySize(Some(*limit)),
        BrokerError::Encoding { .. } => Error::HttpResponseContentCoding(None),
        BrokerError::Protocol { .. } => Error::HttpProtocolError,
        BrokerError::TooManyRedirects => Error::LoopDetected,
        BrokerError::Cancelled
        | BrokerError::RateLimited { .. }
        | BrokerError::RequestBody { .. }
        | BrokerError::SecretEcho => told(),
    }
}

/// Receipts count in the call, and what failed stands in its log, where the operator reads what to grant.
struct Told(Access);

impl Receipts for Told {
    fn record(&self, receipt: Receipt) {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let shared = self.0.shared();
        shared.spending.count_sent(bytes(receipt.bytes_up));
        shared.spending.count_received(bytes(receipt.bytes_down));
        if let Some((code, message)) = &receipt.failure {
            if receipt.is_denial {
                shared.spending.count_denial();
            }
            let Receipt { method, origin, path, .. } = &receipt;
            shared.logs.note(&format!("{code}: {method} {origin}{path}: {message}"));
        }
        self.0.services().http.receipts.record(receipt);
    }
}
