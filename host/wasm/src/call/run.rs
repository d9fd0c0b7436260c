//! From a prepared call to its outcome.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_model::ApprovalId;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{ComponentExportIndex, ResourceTableError, Val};
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx};

use super::meter::{Meter, Metered};
use super::notice::Notice;
use super::opening::{self, Opening};
use super::panic;
use super::quotas::FolderQuotas;
use super::ready::{self, Mode, Owner, Place};
use super::state::{self, Call, PluginState, Shared, Stop};
use super::{CallOutcome, Measured, Receipt, ToolInvocation};
use crate::capability::CapabilityError;
use crate::capability::files::{self, Access, Folder};
use crate::capability::logs::LogLine;
use crate::capability::surroundings::{Surroundings, Waiter};
use crate::engine::EngineConfig;
use crate::error::CallError;
use crate::limits;
use crate::plugin::Loaded;
use crate::value::{BadValue, EncodeError, Encoder, FunctionShape, Shape};
use crate::wit::v0_1::{Output, Request, WitError};

/// What the guest is asked.
pub(crate) enum Work {
    Typed { function: ComponentExportIndex, shape: Arc<FunctionShape>, params: Vec<Val> },
    Invoke { function: ComponentExportIndex, name: String, arguments: String, meta: Vec<(String, String)> },
    Describe { function: ComponentExportIndex },
}

/// What the guest answered, before it is JSON.
enum Answer {
    Typed(Option<Val>, Arc<FunctionShape>),
    Invoked(Result<Output, WitError>),
    Described(Vec<u8>),
}

/// Of the host, of the plugin, of the memory of all.
pub(crate) type Permits = (OwnedSemaphorePermit, OwnedSemaphorePermit, OwnedSemaphorePermit);

/// Runs `work` in a fresh store: on this task, or on a thread for files when the call has folders.
///
/// On the heap, once: each layer of callers would move some KB of it about.
pub(crate) fn run(
    plugin: Arc<Loaded>,
    invocation: ToolInvocation,
    work: Work,
    permits: Permits,
) -> BoxFuture<'static, Measured> {
    Box::pin(async move {
        let opening = match opening::open(&plugin, &invocation).await {
            Ok(opening) => opening,
            Err(error) => return error.into(),
        };
        let ran = if opening.folders.is_empty() {
            contained(pin!(execute(plugin, invocation, work, opening, permits))).await
        } else {
            let engine = plugin.engine.clone();
            let call = Box::pin(async move {
                contained(pin!(execute(plugin, invocation, work, opening, permits))).await
            });
            let ran = engine.inner.files.run(call).await;
            ran.unwrap_or_else(|gone| Err(CallError::Host { message: gone.to_string() }))
        };
        ran.unwrap_or_else(Measured::from)
    })
}

/// The text that a dynamic tool gets, when it is an object of sane size.
pub(crate) fn dynamic_arguments(arguments: &Value) -> Result<String, BadValue> {
    let bad = |message: &str| BadValue { pointer: String::new(), message: message.to_owned() };
    if !arguments.is_object() {
        return Err(bad("must be an object"));
    }
    let text = arguments.to_string();
    if text.len() > limits::INPUT_BYTES { Err(bad("the arguments hold too much text")) } else { Ok(text) }
}

/// Keeps a panic of the host's own code inside the call.
pub(super) async fn contained<T>(call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        tracing::error!(panic = %message, "the host failed while it served a plugin");
        Err(CallError::Host { message })
    })
}

async fn execute(
    plugin: Arc<Loaded>,
    invocation: ToolInvocation,
    work: Work,
    opening: Opening,
    (_host, _own, memory): Permits,
) -> Result<Measured, CallError> {
    let Opening { start, view, folders, agreed, asking } = opening;
    let wall = invocation.timeout.min(plugin.limits.wall);
    let engine = &plugin.engine.inner;
    let mut shared = Shared::new(
        Meter::new(start, engine.config.tick),
        start + wall,
        plugin.limits.clone(),
        invocation.cancel.clone(),
    );
    shared.asking = asking;
    let surroundings = invocation.services.surroundings.clone();
    shared.surround(surroundings.as_ref(), wall);
    let shared = Arc::new(shared);
    let ledger = invocation.services.ledger.clone();
    let wasi = with_folders(&shared, surroundings.as_ref(), &folders, &engine.config)?;
    let quotas = FolderQuotas::open(&view, &folders, &engine.config, &engine.folder_counts);
    let call_id = invocation.context.call;
    let mode = if folders.is_empty() { plugin.mode } else { Mode::Fresh };
    let owner = (mode != Mode::Fresh).then(|| Owner::of(&invocation.context, &view));
    let notice = Notice::of(&plugin, &invocation, &work);
    let context = Arc::new(invocation.context);
    let call = Call {
        context: context.clone(),
        grants: view,
        source: invocation.grants,
        folders,
        quotas: quotas.clone(),
        agreed,
        progress: invocation.progress,
        services: invocation.services,
        clock: engine.config.clock.clone(),
    };

    // What the host asks at an install is no call of anybody's.
    let is_own = matches!(work, Work::Describe { .. });
    let at_rest = owner.as_ref().and_then(|owner| plugin.ready.take(owner));
    let mut place = match at_rest {
        Some(mut place) => {
            PluginState::begin(&mut place.store, shared.clone(), call);
            place
        }
        None => PluginState::new(shared.clone(), call, wasi)
            .into_store(&engine.engine)
            .map(Place::new)
            .map_err(|error| failed(&error, &plugin, &shared, wall))?,
    };
    let ended = {
        let mut guest = pin!(serve(&plugin, &mut place, work));
        let metered = Metered { meter: &shared.meter, inner: guest.as_mut() };
        let ends = pin!(async {
            tokio::select! {
                biased;
                answer = metered => Ended::Answered(answer),
                () = past(start + wall, surroundings.as_deref().zip(shared.due)) => Ended::TimedOut,
                approval = shared.asking.parked() => Ended::Parked(approval),
                () = grace(&invocation.cancel) => Ended::Cancelled,
            }
        });
        match notice {
            None => ends.await,
            // On the heap: the stack of a call has no room for a second instance.
            Some(notice) => Box::pin(notice.beside(ends)).await,
        }
    };
    let again = shared.asking.trail().finish();
    if !again.is_empty() {
        ledger.recount(again).await;
    }
    quotas.finish(&plugin.id, &shared.logs, &*ledger, &context).await;

    let is_clean = matches!(ended, Ended::Answered(Ok(_))) && !invocation.cancel.is_cancelled();
    match (mode, owner) {
        (Mode::Pool, Some(owner)) if is_clean => {
            ready::park(&plugin, place, owner);
            ready::refill_later(&plugin, None);
        }
        // Whoever makes the next one clears this one away, after the answer. Its memory is taken until then.
        (Mode::Prewarm, _) if is_clean => ready::refill_later(&plugin, Some((place, memory))),
        (Mode::Prewarm | Mode::Pool, _) => {
            drop(place);
            ready::refill_later(&plugin, None);
        }
        (Mode::Fresh, _) => drop(place),
    }

    let (lines, dropped) = shared.logs.finish();
    if !lines.is_empty() {
        for line in &lines {
            tracing::debug!(plugin.id = %plugin.id, call.id = %call_id, "guest: {}", line.text);
        }
        plugin.remember(&lines);
    }
    let receipt = receipt(&shared, start, lines, dropped);
    if !is_own {
        plugin.used.add(&receipt, !matches!(ended, Ended::Answered(Ok(_))));
    }
    let failed = match ended {
        Ended::Parked(approval) => Err(CallError::Parked { approval }),
        Ended::TimedOut => Err(CallError::Timeout { seconds: wall.as_secs_f64() }),
        Ended::Cancelled => Err(CallError::Cancelled),
        Ended::Answered(_) if invocation.cancel.is_cancelled() => Err(CallError::Cancelled),
        Ended::Answered(Err(error)) => {
            Err(panic::explained(failed(&error, &plugin, &shared, wall), &receipt.logs))
        }
        Ended::Answered(Ok(answer)) => match finished(answer, &shared) {
            Ok((content, is_error)) => {
                let outcome = Ok(CallOutcome { content, is_error, receipt });
                return Ok(Measured { outcome, receipt: None });
            }
            Err(error) => Err(error),
        },
    };
    Ok(Measured { outcome: failed, receipt: Some(receipt) })
}

/// What a call has used that began at `start`.
pub(super) fn receipt(shared: &Shared, start: Instant, logs: Vec<LogLine>, dropped: u64) -> Receipt {
    let spending = &shared.spending;
    Receipt {
        wall_us: micros(start.elapsed()),
        cpu_us: micros(shared.meter.total()),
        peak_memory_bytes: shared.peak_memory(),
        host_calls: spending.host_calls(),
        sent_bytes: spending.sent(),
        received_bytes: spending.received(),
        written_bytes: spending.written(),
        created_files: spending.created(),
        denials: spending.denials(),
        logs,
        dropped_log_lines: dropped,
    }
}

enum Ended {
    Answered(wasmtime::Result<Answer>),
    TimedOut,
    /// The guest waits for the answer of a person, and begins anew when there is one.
    Parked(ApprovalId),
    Cancelled,
}

async fn serve(plugin: &Loaded, place: &mut Place, work: Work) -> wasmtime::Result<Answer> {
    let instance = match place.instance {
        Some(instance) => instance,
        None => {
            let instance = plugin.pre.instantiate_async(&mut place.store).await?;
            place.filled(instance);
            instance
        }
    };
    let store = &mut place.store;
    match work {
        Work::Typed { function, shape, params } => {
            let Some(function) = instance.get_func(&mut *store, function) else {
                wasmtime::bail!("the prepared function is gone");
            };
            let mut results = [Val::Bool(false)];
            let used = usize::from(shape.result.is_some());
            function.call_async(&mut *store, &params, &mut results[..used]).await?;
            let [result] = results;
            Ok(Answer::Typed((used == 1).then_some(result), shape))
        }
        Work::Invoke { function, name, arguments, meta } => {
            let invoke =
                instance.get_typed_func::<(Request,), (Result<Output, WitError>,)>(&mut *store, function)?;
            let request = Request { name, arguments, meta };
            let (answer,) = invoke.call_async(&mut *store, (request,)).await?;
            Ok(Answer::Invoked(answer))
        }
        Work::Describe { function } => {
            let describe = instance.get_typed_func::<(), (Vec<u8>,)>(&mut *store, function)?;
            let (json,) = describe.call_async(&mut *store, ()).await?;
            Ok(Answer::Described(json))
        }
    }
}

/// Ends at `end`, or when the surroundings say so. A guest that answers at once costs no timer.
pub(super) async fn past(end: Instant, surroundings: Option<(&dyn Surroundings, Duration)>) {
    let end = tokio::time::sleep_until(end.into());
    match surroundings {
        None => end.await,
        Some((surroundings, due)) => tokio::select! {
            () = end => {}
            () = surroundings.until(due, Waiter::Limit) => {}
        },
    }
}

/// Ends when a cancelled guest has had its time to return.
pub(super) async fn grace(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(limits::CANCEL_GRACE).await;
}

/// The WASI context of a call with folders; without any, it is made when the guest first uses it.
pub(super) fn with_folders(
    shared: &Shared,
    surroundings: Option<&Arc<dyn Surroundings>>,
    folders: &[Folder],
    config: &EngineConfig,
) -> Result<Option<WasiCtx>, CallError> {
    if folders.is_empty() {
        return Ok(None);
    }
    let mut builder = state::wasi_builder(shared, surroundings);
    // Before the folders: each takes the setting over when it is opened.
    builder.allow_blocking_current_thread(true);
    for folder in folders {
        let unavailable = |message: String| CallError::Files { guest: folder.guest.clone(), message };
        let host = folder.host.canonicalize().map_err(|error| unavailable(error.to_string()))?;
        if !host.is_dir() {
            return Err(unavailable("it is no folder".to_owned()));
        }
        // Looked at again: what was granted may be a link that leads elsewhere by now.
        if config.private.as_deref().is_some_and(|private| files::shows_private(&host, private)) {
            return Err(unavailable("it shows the data folder of the host".to_owned()));
        }
        if files::shows_hidden(&host, &config.hidden).is_some() {
            return Err(unavailable("it shows a file of the host".to_owned()));
        }
        let perms = match folder.access {
            Access::ReadOnly => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        builder
            .preopened_dir(&host, &folder.guest, perms)
            .map_err(|error| unavailable(error.root_cause().to_string()))?;
    }
    Ok(Some(builder.build()))
}

fn finished(answer: Answer, shared: &Shared) -> Result<(Value, bool), CallError> {
    let limit = shared.limits.output_bytes;
    Ok(match answer {
        Answer::Typed(None, _) => (Value::Null, false),
        Answer::Typed(Some(value), shape) => typed(value, shape.result.as_ref(), limit)?,
        Answer::Described(json) => {
            if json.len() > limit {
                return Err(CallError::OutputTooLarge { limit });
            }
            let text = String::from_utf8(json)
                .map_err(|_| CallError::BadOutput { message: "it is no UTF-8".to_owned() })?;
            (Value::String(text), false)
        }
        Answer::Invoked(Ok(output)) => {
            if output.content.len() > limit {
                return Err(CallError::OutputTooLarge { limit });
            }
            let content = serde_json::from_str(&output.content)
                .map_err(|error| CallError::BadOutput { message: format!("it is no JSON: {error}") })?;
            (content, output.is_error)
        }
        Answer::Invoked(Err(error)) => {
            return Err(CallError::Tool { failure: CapabilityError::from(error).bounded() });
        }
    })
}

/// A `result` as the return is the outcome itself; anything else is the content.
fn typed(value: Val, shape: Option<&Shape>, limit: usize) -> Result<(Value, bool), CallError> {
    let mut encoder = Encoder::new(limit);
    let mut encode = |shape: Option<&Shape>, value: Option<Box<Val>>| match (shape, value) {
        (Some(shape), Some(value)) => encoder.value(shape, *value),
        (None, None) => Ok(Value::Null),
        _ => Err(EncodeError::Mismatch),
    };
    let encoded = match (shape, value) {
        (Some(Shape::Result { ok, .. }), Val::Result(Ok(value))) => {
            encode(ok.as_deref(), value).map(|content| (content, false))
        }
        (Some(Shape::Result { err, .. }), Val::Result(Err(value))) => {
            encode(err.as_deref(), value).map(|content| (content, true))
        }
        (shape, value) => encode(shape, Some(Box::new(value))).map(|content| (content, false)),
    };
    encoded.map_err(|error| match error {
        EncodeError::TooLarge { limit } => CallError::OutputTooLarge { limit },
        EncodeError::Mismatch => CallError::BadOutput { message: error.to_string() },
    })
}

/// Names what ended a guest.
pub(super) fn failed(error: &wasmtime::Error, plugin: &Loaded, shared: &Shared, wall: Duration) -> CallError {
    match shared.stop() {
        Stop::Cpu => return CallError::Cpu { seconds: shared.limits.cpu.as_secs_f64() },
        Stop::Wall => return CallError::Timeout { seconds: wall.as_secs_f64() },
        Stop::None => {}
    }
    if shared.is_revoked() {
        return CallError::Revoked;
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return CallError::Exit { status: *status };
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return CallError::Busy { what: "the engine", limit: plugin.engine.inner.config.concurrent_calls };
    }
    // The type of this error is private to the engine; its text is all there is.
    if error.root_cause().to_string().contains("fuel allocated for hostcalls") {
        return CallError::Hostcall { limit: shared.limits.hostcall_bytes };
    }
    if out_of_handles(error) {
        return CallError::Handles { limit: shared.limits.handles };
    }
    if error.root_cause().to_string().starts_with("resource limit exceeded: instance count") {
        return CallError::Instances { limit: shared.limits.core_instances };
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::StackOverflow) {
        return CallError::Stack { limit_bytes: plugin.engine.inner.config.stack_bytes };
    }
    if shared.was_short_of_memory() {
        return CallError::Memory { limit: shared.limits.memory_bytes };
    }
    if shared.was_short_of_table() {
        return CallError::Table { limit: shared.limits.table_elements };
    }
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .map(|backtrace| {
            backtrace.frames().iter().filter_map(|frame| frame.func_name().map(str::to_owned)).collect()
        })
        .unwrap_or_default();
    let kind = trap.map_or_else(|| error.root_cause().to_string(), Trap::to_string);
    CallError::Trap { kind, frames }
}

/// Whether the guest holds as many resources as it may: of its own, or of the host.
fn out_of_handles(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<ResourceTableError>().is_some_and(|error| matches!(error, ResourceTableError::Full))
        || error.root_cause().to_string().ends_with("store handle limit exceeded")
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
