//! An instance that stays for more than one call, as a channel's does.
//!
//! Each call has its own time, guest time and log; memory and handles are those of the instance. One that broke off is
//! never called again.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_model::channel::PartOutcome;
use wasmtime::Store;
use wasmtime::component::Instance;

use super::ToolInvocation;
use super::asking::Asking;
use super::extra::{self, Extra};
use super::meter::{Meter, Metered};
use super::quotas::FolderQuotas;
use super::run::{contained, failed, grace, past, receipt, with_folders};
use super::state::{Call, PluginState, Shared};
use crate::capability::context::CallContext;
use crate::capability::files::{self, Folder};
use crate::error::CallError;
use crate::plugin::{Loaded, LoadedPlugin};
use crate::wit::v0_1::WitError;
use crate::wit::v0_1::channel::{
    Address, Binding, Delivery, Description, Event, Reach, WebhookRequest, WebhookResponse, Wishes,
    outcome_from_wit,
};
use crate::wit::v0_1::optional::Finding;

/// What a channel is asked.
pub(crate) enum Question {
    Describe,
    Start(Binding),
    Webhook(WebhookRequest),
    Event(Event),
    Deliver(Delivery),
    Reach(Address),
    Stop(String),
    Extra(Extra),
}

/// What it answers.
pub(crate) enum Reply {
    Described(Description),
    Started(Result<Wishes, WitError>),
    Answered(WebhookResponse),
    Done(Result<(), WitError>),
    Delivered(Vec<PartOutcome>),
    Reach(Reach),
    Reconciled(Result<PartOutcome, WitError>),
    Found(Result<Finding, WitError>),
    /// The component has no such export.
    Unknown,
}

/// A living instance.
pub(crate) struct Resident {
    plugin: Arc<Loaded>,
    store: Store<PluginState>,
    instance: Instance,
    shared: Arc<Shared>,
    folders: Vec<Folder>,
    quotas: Arc<FolderQuotas>,
}

impl Resident {
    /// Instantiates the component; what runs then counts as a call of its own.
    pub async fn open(plugin: Arc<Loaded>, invocation: ToolInvocation) -> Result<Self, CallError> {
        let folders = files::folders(&invocation.grants.view(), &[]);
        let engine = plugin.engine.clone();
        if folders.is_empty() {
            return contained(Self::instantiate(plugin, invocation, folders)).await;
        }
        let opened = engine.inner.files.run(contained(Self::instantiate(plugin, invocation, folders))).await;
        opened.unwrap_or_else(|gone| Err(CallError::Host { message: gone.to_string() }))
    }

    async fn instantiate(
        plugin: Arc<Loaded>,
        invocation: ToolInvocation,
        folders: Vec<Folder>,
    ) -> Result<Self, CallError> {
        let engine = &plugin.engine.inner;
        let wall = invocation.timeout.min(plugin.limits.wall);
        let shared = Arc::new(fresh(&plugin, wall, &invocation));
        let surroundings = invocation.services.surroundings.as_ref();
        let wasi = with_folders(&shared, surroundings, &folders, &engine.config)?;
        let view = invocation.grants.view();
        let quotas = FolderQuotas::open(&view, &folders, &engine.config, &engine.folder_counts);
        let call = Call {
            context: Arc::new(invocation.context),
            grants: view,
            source: invocation.grants,
            folders: folders.clone(),
            quotas: quotas.clone(),
            agreed: Vec::new(),
            progress: invocation.progress,
            services: invocation.services,
            clock: engine.config.clock.clone(),
        };
        let mut store = PluginState::new(shared.clone(), call, wasi)
            .into_store(&engine.engine)
            .map_err(|error| failed(&error, &plugin, &shared, wall))?;
        let opened = {
            let mut opening = pin!(plugin.pre.instantiate_async(&mut store));
            let metered = Metered { meter: &shared.meter, inner: opening.as_mut() };
            tokio::select! {
                biased;
                opened = metered => opened,
                () = tokio::time::sleep(wall) => return Err(CallError::Timeout { seconds: wall.as_secs_f64() }),
                () = grace(&invocation.cancel) => return Err(CallError::Cancelled),
            }
        };
        let instance = opened.map_err(|error| failed(&error, &plugin, &shared, wall))?;
        Ok(Self { plugin, store, instance, shared, folders, quotas })
    }

    /// Whether the instance is of this very plugin: component, manifest and limits.
    pub fn is_of(&self, plugin: &LoadedPlugin) -> bool {
        Arc::ptr_eq(&self.plugin, &plugin.inner)
    }

    /// Whether the instance was made with the folders that are granted now.
    pub fn has_folders(&self, granted: &[Folder]) -> bool {
        self.folders == granted
    }

    /// Asks one thing. The instance comes back unless the guest broke off, ran out of time or was cancelled.
    pub async fn ask(
        self,
        question: Question,
        invocation: ToolInvocation,
    ) -> (Option<Self>, Result<Reply, CallError>) {
        let engine = self.plugin.engine.clone();
        let asked = if self.folders.is_empty() {
            contained(self.answer(question, invocation)).await
        } else {
            let there = engine.inner.files.run(contained(self.answer(question, invocation))).await;
            there.unwrap_or_else(|gone| Err(CallError::Host { message: gone.to_string() }))
        };
        match asked {
            Ok((resident, reply)) => (Some(resident), Ok(reply)),
            Err(error) => (None, Err(error)),
        }
    }

    async fn answer(
        mut self,
        question: Question,
        invocation: ToolInvocation,
    ) -> Result<(Self, Reply), CallError> {
        let begun = Instant::now();
        let wall = invocation.timeout.min(self.plugin.limits.wall);
        let mut shared = fresh(&self.plugin, wall, &invocation);
        // Streams that are open write and count where they did when they were opened.
        shared.logs = self.shared.logs.clone();
        shared.spending = self.shared.spending.clone();
        shared.spending.renew();
        let surroundings = invocation.services.surroundings.clone();
        shared.surround(surroundings.as_ref(), wall);
        let shared = Arc::new(shared);
        let context: Arc<CallContext> = Arc::new(invocation.context);
        let ledger = invocation.services.ledger.clone();
        self.store.data_mut().renew(shared.clone(), context.clone());
        self.store.set_epoch_deadline(1);
        self.store.set_hostcall_fuel(self.plugin.limits.hostcall_bytes);
        self.shared = shared.clone();
        let ended = {
            let mut guest = pin!(serve(&self.plugin, &mut self.store, &self.instance, question));
            let metered = Metered { meter: &shared.meter, inner: guest.as_mut() };
            tokio::select! {
                biased;
                reply = metered => Ok(reply),
                () = past(begun + wall, surroundings.as_deref().zip(shared.due)) => Err(CallError::Timeout { seconds: wall.as_secs_f64() }),
                () = grace(&invocation.cancel) => Err(CallError::Cancelled),
            }
        };
        self.quotas.finish(&self.plugin.id, &shared.logs, &*ledger, &context).await;
        let (lines, dropped) = shared.logs.finish();
        for line in &lines {
            tracing::debug!(plugin.id = %self.plugin.id, call.id = %context.call, "guest: {}", line.text);
        }
        self.plugin.remember(&lines);
        let used = receipt(&shared, begun, lines, dropped);
        self.plugin.used.add(&used, !matches!(ended, Ok(Ok(_))));
        let reply = ended?.map_err(|error| failed(&error, &self.plugin, &shared, wall))?;
        // What it was made with was taken away: it is as good as gone.
        if shared.is_revoked() {
            return Err(CallError::Revoked);
        }
        Ok((self, reply))
    }
}

fn fresh(plugin: &Loaded, wall: Duration, invocation: &ToolInvocation) -> Shared {
    let start = Instant::now();
    let tick = plugin.engine.inner.config.tick;
    let mut shared =
        Shared::new(Meter::new(start, tick), start + wall, plugin.limits.clone(), invocation.cancel.clone());
    shared.asking = Arc::new(Asking::staying());
    shared.surround(invocation.services.surroundings.as_ref(), wall);
    shared
}

async fn serve(
    plugin: &Loaded,
    store: &mut Store<PluginState>,
    instance: &Instance,
    question: Question,
) -> wasmtime::Result<Reply> {
    let question = match question {
        Question::Extra(extra) => return extra::serve(&plugin.extras, store, instance, extra).await,
        question => question,
    };
    let Some(channel) = &plugin.channel else { return Ok(Reply::Unknown) };
    let guest = channel.load(&mut *store, instance)?;
    Ok(match question {
        Question::Describe => Reply::Described(guest.call_describe(store).await?),
        Question::Start(binding) => Reply::Started(guest.call_start(store, &binding).await?),
        Question::Webhook(request) => Reply::Answered(guest.call_on_webhook(store, &request).await?),
        Question::Event(event) => Reply::Done(guest.call_on_event(store, &event).await?),
        Question::Deliver(delivery) => {
            let outcomes = guest.call_deliver(store, &delivery).await?;
            Reply::Delivered(outcomes.into_iter().map(outcome_from_wit).collect())
        }
        Question::Reach(address) => Reply::Reach(guest.call_reachability(store, &address).await?),
        Question::Stop(reason) => {
            guest.call_stop(store, &reason).await?;
            Reply::Done(Ok(()))
        }
        Question::Extra(_) => Reply::Unknown,
    })
}
