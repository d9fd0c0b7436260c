//! The runtime of channels: plugins that are surfaces where people are.
//!
//! Each channel that is loaded and granted has a supervised task for what comes in and one for what goes out, with a
//! bounded mailbox in between and the outside. The host owns web addresses, timers, polls and sockets: an idle channel has
//! no instance and wakes nobody. A start of the host runs no guest code: wishes are stored with the digest.
//!
//! **Invariant:** what breaks one channel touches no other, and not the host.

pub mod alarm;
mod binding;
mod changes;
mod desk;
mod egress;
pub mod happening;
pub mod hooks;
mod inbox;
mod ingress;
mod lane;
pub mod link;
mod mail;
pub(crate) mod polls;
mod sockets;
mod supervisor;
pub mod wire;
pub mod wishes;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use berth_core::Core;
use berth_core::port::target::ApprovalAnswered;
use berth_model::channel::{ChannelEvent, ChannelEventStatus};
use berth_model::{EndpointId, PluginId};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use alarm::{Alarm, SystemAlarm};
pub use binding::Settings;
pub use hooks::{HookAnswer, HookRefusal, Place};
pub use link::ChannelLink;
pub use polls::PollView;
pub use wire::{NoDialer, SocketDialer};

use crate::host::{AnswerListener, HostError, PluginHost};
use crate::lock;
use crate::plugin::LoadedPlugin;
use binding::{Binding, Grants, Parts};
use happening::HookCall;
use mail::{MAILBOX, Mail};
use polls::PollTable;
use sockets::SocketTable;
use wishes::Hook;

/// How long the provider of a request waits for its answer: as long as the guest may take, and a little in the mailbox.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);
/// Events of a channel that are listed.
const LISTED: u32 = 1000;

/// What the runtime is made of.
pub struct ChannelParts {
    pub host: Arc<PluginHost>,
    pub alarm: Arc<dyn Alarm>,
    pub dialer: Arc<dyn SocketDialer>,
    pub settings: Settings,
}

/// Runs the channels of a host.
pub struct Channels {
    parts: ChannelParts,
    core: OnceLock<Core>,
    actors: Mutex<HashMap<PluginId, Actor>>,
    keeper: TaskTracker,
    stop: CancellationToken,
}

/// A channel at work.
#[derive(Clone)]
struct Actor {
    binding: Arc<Binding>,
    mailbox: mpsc::Sender<Mail>,
    tasks: TaskTracker,
}

/// How a channel stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelView {
    pub endpoint: EndpointId,
    /// Names and paths of its web addresses, tokens included: for the operator alone.
    pub hooks: Vec<(String, String)>,
    /// Instances that are kept right now.
    pub residents: usize,
    /// Mails that wait.
    pub waiting: usize,
    /// What is asked again and again, by name.
    pub polls: Vec<PollView>,
}

/// A request that was let in.
pub struct Admitted {
    actor: Actor,
    hook: Hook,
    place: Place,
    id: String,
}

impl Channels {
    pub fn new(parts: ChannelParts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            core: OnceLock::new(),
            actors: Mutex::default(),
            keeper: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Joins core and begins to keep the channels that are loaded and granted. Joined once.
    pub fn start(self: &Arc<Self>, core: Core) {
        if self.core.set(core).is_err() {
            tracing::warn!("the channels were joined with core already");
            return;
        }
        let (this, mut changes) = (self.clone(), self.parts.host.changes());
        self.keeper.spawn(async move {
            loop {
                this.keep().await;
                tokio::select! {
                    biased;
                    () = this.stop.cancelled() => break,
                    changed = changes.changed() => if changed.is_err() { break },
                }
            }
        });
    }

    /// Stops every channel; what is at hand is kept for the next start.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.keeper.close();
        self.keeper.wait().await;
        let actors: Vec<Actor> = lock(&self.actors).drain().map(|(_, actor)| actor).collect();
        for actor in actors {
            actor.stop().await;
        }
    }

    /// Brings the actors in line with what is loaded and granted.
    async fn keep(&self) {
        let mut wanted: HashMap<PluginId, LoadedPlugin> =
            self.parts.host.loaded_channels().into_iter().collect();
        let known: Vec<(PluginId, Actor)> =
            lock(&self.actors).iter().map(|(id, actor)| (id.clone(), actor.clone())).collect();
        for (id, actor) in known {
            let loaded = wanted.remove(&id).filter(|loaded| self.grants(loaded).is_granted());
            match loaded {
                Some(loaded) if !actor.binding.stop.is_cancelled() => {
                    // Another manifest alone has other wishes and limits.
                    if !loaded.is_same(&actor.binding.loaded()) {
                        actor.binding.replace(loaded);
                    }
                    actor.binding.keep_open();
                    actor.binding.polls.recheck();
                    actor.binding.ring.notify_one();
                }
                again => {
                    lock(&self.actors).remove(&id);
                    actor.stop().await;
                    actor.binding.mark("offline").await;
                    if let Some(loaded) = again {
                        self.open(id, &loaded);
                    }
                }
            }
        }
        for (id, loaded) in wanted {
            if self.grants(&loaded).is_granted() {
                self.open(id, &loaded);
            }
        }
    }

    fn grants(&self, loaded: &LoadedPlugin) -> Grants {
        Grants {
            host: self.parts.host.clone(),
            workspace: self.parts.settings.workspace.clone(),
            loaded: Mutex::new(loaded.clone()),
            dialer: self.parts.dialer.clone(),
        }
    }

    fn open(&self, id: PluginId, loaded: &LoadedPlugin) {
        let Some(core) = self.core.get() else { return };
        let Ok(endpoint) = endpoint_of(&id) else { return };
        let (mailbox, mails) = mpsc::channel(MAILBOX);
        let tasks = TaskTracker::new();
        let stop = self.stop.child_token();
        let grants = Arc::new(self.grants(loaded));
        let sockets = SocketTable::new(sockets::Parts {
            mailbox: mailbox.clone(),
            dialer: self.parts.dialer.clone(),
            alarm: self.parts.alarm.clone(),
            ids: self.parts.host.parts().ids.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            allowed: grants.clone(),
        });
        let polls = PollTable::new(polls::Parts {
            plugin: id.clone(),
            endpoint: endpoint.clone(),
            mailbox: mailbox.clone(),
            alarm: self.parts.alarm.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            grants: grants.clone(),
        });
        let binding = Binding::new(Parts {
            plugin: id.clone(),
            endpoint,
            core: core.clone(),
            alarm: self.parts.alarm.clone(),
            settings: self.parts.settings.clone(),
            stop,
            sockets,
            polls,
            grants,
        });
        tasks.spawn(supervised(binding.clone(), ingress::run(binding.clone(), mails)));
        tasks.spawn(supervised(binding.clone(), egress::run(binding.clone())));
        lock(&self.actors).insert(id, Actor { binding, mailbox, tasks });
    }

    /// Lets a request in before its body is read, or refuses it.
    ///
    /// What nobody wished, nobody granted, or comes without its token is `Unknown`, all alike.
    pub fn admit(
        &self,
        plugin: &str,
        hook: &str,
        token: Option<&str>,
        method: &str,
    ) -> Result<Admitted, HookRefusal> {
        let actor = PluginId::new(plugin).ok().and_then(|id| lock(&self.actors).get(&id).cloned());
        let wish = match &actor {
            Some(actor) => actor.binding.admits(hook, token, method),
            None => {
                // The same comparison as for one that there is.
                let _unknown = hooks::same(plugin, token.unwrap_or_default());
                None
            }
        };
        let (Some(actor), Some(hook)) = (actor, wish) else { return Err(HookRefusal::Unknown) };
        if actor.binding.stop.is_cancelled() {
            return Err(HookRefusal::Away);
        }
        let place = actor.binding.turnstile.enter(self.parts.alarm.now())?;
        let id = format!("cev_{}", self.parts.host.parts().ids.uuid().simple());
        Ok(Admitted { actor, hook, place, id })
    }

    /// How a channel stands; `None` when it is not at work.
    pub fn view(&self, plugin: &PluginId) -> Option<ChannelView> {
        let actor = lock(&self.actors).get(plugin).cloned()?;
        Some(ChannelView {
            endpoint: actor.binding.endpoint.clone(),
            hooks: actor.binding.hook_paths(),
            residents: actor.binding.living.load(Ordering::Relaxed),
            waiting: actor.mailbox.max_capacity() - actor.mailbox.capacity(),
            polls: actor.binding.polls.views(),
        })
    }

    /// The events of a channel that wait or are parked, oldest first.
    pub async fn events(&self, plugin: &PluginId) -> Result<Vec<ChannelEvent>, HostError> {
        Ok(self.parts.host.parts().store.read().await?.channel_events(plugin, LISTED).await?)
    }

    /// Hands a parked event over again. Fails with `CHANNEL_EVENT_NOT_FOUND`.
    pub async fn retry_event(&self, plugin: &PluginId, id: &str) -> Result<ChannelEvent, HostError> {
        let mut tx = self.parts.host.parts().store.write().await?;
        let found = tx.lookup_channel_event(id).await?.filter(|event| event.plugin == *plugin);
        let mut event = found.ok_or_else(|| HostError::EventNotFound { id: id.to_owned() })?;
        event.status = ChannelEventStatus::Pending;
        event.attempts = 0;
        event.available_at = None;
        event.updated_at = self.parts.alarm.now();
        tx.upsert_channel_event(&event).await?;
        tx.commit().await?;
        if let Some(actor) = lock(&self.actors).get(plugin) {
            actor.binding.wake.notify_one();
        }
        Ok(event)
    }

    /// Forgets an event. Fails with `CHANNEL_EVENT_NOT_FOUND`.
    pub async fn drop_event(&self, plugin: &PluginId, id: &str) -> Result<(), HostError> {
        let mut tx = self.parts.host.parts().store.write().await?;
        let found = tx.lookup_channel_event(id).await?.filter(|event| event.plugin == *plugin);
        if found.is_none() || !tx.remove_channel_event(id).await? {
            return Err(HostError::EventNotFound { id: id.to_owned() });
        }
        Ok(tx.commit().await?)
    }

    /// Whether an endpoint is a channel of this host, at work or not.
    pub fn is_channel(&self, endpoint: &EndpointId) -> bool {
        endpoint.as_str().starts_with(ENDPOINTS)
    }

    /// The channels that are at work.
    pub fn at_work(&self) -> Vec<EndpointId> {
        lock(&self.actors)
            .values()
            .filter(|actor| !actor.binding.stop.is_cancelled())
            .map(|actor| actor.binding.endpoint.clone())
            .collect()
    }

    /// Tells a channel that something waits in its outbox.
    pub fn ring(&self, endpoint: &EndpointId) {
        let found = lock(&self.actors).values().find(|actor| actor.binding.endpoint == *endpoint).cloned();
        if let Some(actor) = found {
            actor.binding.ring.notify_one();
        }
    }
}

impl AnswerListener for Channels {
    fn answered(&self, answer: ApprovalAnswered) {
        if let Some(actor) = lock(&self.actors).get(&answer.plugin) {
            actor.binding.wake.notify_one();
        }
    }
}

impl Admitted {
    /// Hands the request to the channel and waits for its answer.
    pub async fn answer(
        self,
        method: &str,
        query: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Result<HookAnswer, HookRefusal> {
        let Self { actor, hook, place, id } = self;
        let call = HookCall {
            headers: hooks::wanted(&hook, headers),
            hook: hook.name,
            method: method.to_owned(),
            query: query.to_owned(),
            body,
        };
        let (reply, answer) = oneshot::channel();
        // Whoever waits here would hold a connection: a provider comes again by itself.
        actor.mailbox.try_send(Mail::Asked { id, call, place, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => HookRefusal::Full,
            mpsc::error::TrySendError::Closed(_) => HookRefusal::Away,
        })?;
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(HookRefusal::Away),
            Err(_) => Err(HookRefusal::Timeout),
        }
    }
}

impl Actor {
    async fn stop(&self) {
        self.binding.sockets.close_all();
        self.binding.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A panic of ours ends the one channel, and not silently.
async fn supervised(binding: Arc<Binding>, task: impl Future<Output = ()> + Send + 'static) {
    use futures::FutureExt as _;
    if std::panic::AssertUnwindSafe(task).catch_unwind().await.is_err() {
        tracing::error!(plugin.id = %binding.plugin, "the host failed while it ran a channel");
        binding.quarantine("PLUGIN_HOST_FAILURE: the host failed while it ran the channel").await;
    }
}

/// What the ids of the endpoints of channels begin with.
const ENDPOINTS: &str = "channel.";

/// Under which Core knows the channel of a plugin.
pub fn endpoint_of(plugin: &PluginId) -> Result<EndpointId, berth_model::IdError> {
    EndpointId::new(format!("{ENDPOINTS}{plugin}"))
}
