//! A channel at work: what its instances, its sockets and its web addresses share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use berth_core::Core;
use berth_core::inbound::Source;
use berth_core::port::store::{StoreError, Tx};
use berth_model::channel::Channel;
use berth_model::{ActorId, EndpointId, OperationId, PluginId, WorkspaceId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::alarm::Alarm;
use super::changes::Typing;
use super::hooks::{self, Access, Turnstile};
use super::polls::PollTable;
use super::sockets::{Allowed, SocketTable};
use super::supervisor::{Supervisor, Verdict};
use super::wire::SocketDialer;
use super::wishes::{self, Description, Hook, Wishes};
use crate::capability::grants::{GrantView, HeldScope, allows};
use crate::capability::{Capability, websocket};
use crate::error::CallError;
use crate::host::{Health, PluginHost};
use crate::lock;
use crate::plugin::LoadedPlugin;
use crate::wit::v0_1::channel as wit;

/// What an operator may tune.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an instance that nobody asks is kept.
    pub idle: Duration,
    /// How long a guest may take for one event.
    pub wall: Duration,
    /// The workspace of conversations.
    pub workspace: WorkspaceId,
}

impl Default for Settings {
    /// 30 s, 30 s, `personal`.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            wall: Duration::from_secs(30),
            workspace: WorkspaceId::fixed("personal"),
        }
    }
}

/// See the module.
pub(super) struct Binding {
    pub plugin: PluginId,
    pub endpoint: EndpointId,
    pub workspace: WorkspaceId,
    pub host: Arc<PluginHost>,
    pub core: Core,
    pub alarm: Arc<dyn Alarm>,
    pub settings: Settings,
    pub stop: CancellationToken,
    /// Rung when there may be something to take in besides mails.
    pub wake: Notify,
    /// Rung when there may be something to send.
    pub ring: Notify,
    pub sockets: Arc<SocketTable>,
    pub polls: Arc<PollTable>,
    pub turnstile: Turnstile,
    pub grants: Arc<Grants>,
    pub supervisor: Mutex<Supervisor>,
    /// Instances that are kept.
    pub living: Arc<AtomicUsize>,
    /// Where an answer is being written.
    pub typing: Typing,
    /// Of this start of the host: what it asks the owner is asked anew after the next one.
    born: uuid::Uuid,
    state: RwLock<State>,
}

#[derive(Clone)]
struct State {
    row: Option<Channel>,
    description: Option<Description>,
    wishes: Wishes,
}

/// What the grants say right now.
pub(super) struct Grants {
    pub host: Arc<PluginHost>,
    pub workspace: WorkspaceId,
    pub loaded: Mutex<LoadedPlugin>,
    pub dialer: Arc<dyn SocketDialer>,
}

impl Grants {
    pub fn loaded(&self) -> LoadedPlugin {
        lock(&self.loaded).clone()
    }

    pub fn view(&self) -> Arc<GrantView> {
        let operation = OperationId::from_uuid(self.host.parts().ids.uuid());
        self.host.live_grants(&self.loaded(), &self.workspace, operation).view()
    }

    /// Whether the plugin may be a channel at all.
    pub fn is_granted(&self) -> bool {
        self.view().decide(Capability::Channel, json!({}), |_| true).is_ok()
    }

    fn access(&self, hook: &str) -> Access {
        let view = self.view();
        let wanted = json!({ "hooks": [hook] });
        if view.decide(Capability::Channel, wanted, |scope| hooks::covers(scope, hook)).is_err() {
            return Access::Denied;
        }
        let open = view
            .grants(Capability::Channel)
            .any(|grant| allows(grant.mode) && hooks::is_open(&grant.scope, hook));
        if open { Access::Open } else { Access::Token }
    }
}

impl Allowed for Grants {
    fn frame_bytes(&self, url: &str) -> usize {
        let limit = self.view().limit(Capability::Websocket, |scope| self.dialer.covers(scope, url));
        websocket::frame_bytes(&limit)
    }

    fn most(&self, url: &str) -> usize {
        let limit = self.view().limit(Capability::Websocket, |scope| self.dialer.covers(scope, url));
        limit.get("concurrent").and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
    }

    fn scopes(&self, url: &str) -> Vec<Value> {
        let view = self.view();
        let covers = |scope: &HeldScope| self.dialer.covers(scope, url);
        if view.decide(Capability::Websocket, json!({}), covers).is_err() {
            return Vec::new();
        }
        view.grants(Capability::Websocket)
            .filter(|grant| allows(grant.mode) && covers(&grant.scope))
            .map(|grant| grant.scope.to_json())
            .collect()
    }
}

/// What a binding is made of.
pub(super) struct Parts {
    pub plugin: PluginId,
    pub endpoint: EndpointId,
    pub core: Core,
    pub alarm: Arc<dyn Alarm>,
    pub settings: Settings,
    pub stop: CancellationToken,
    pub sockets: Arc<SocketTable>,
    pub polls: Arc<PollTable>,
    pub grants: Arc<Grants>,
}

impl Binding {
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { plugin, endpoint, core, alarm, settings, stop, sockets, polls, grants } = parts;
        Arc::new(Self {
            turnstile: Turnstile::new(alarm.now()),
            typing: Typing::default(),
            born: grants.host.parts().ids.uuid(),
            workspace: grants.workspace.clone(),
            host: grants.host.clone(),
            plugin,
            endpoint,
            core,
            alarm,
            settings,
            stop,
            wake: Notify::new(),
            ring: Notify::new(),
            sockets,
            polls,
            grants,
            supervisor: Mutex::default(),
            living: Arc::default(),
            state: RwLock::new(State { row: None, description: None, wishes: Wishes::default() }),
        })
    }

    pub fn loaded(&self) -> LoadedPlugin {
        self.grants.loaded()
    }

    /// Puts another version in place; the instances change at their next event.
    pub fn replace(&self, loaded: LoadedPlugin) {
        *lock(&self.grants.loaded) = loaded;
        self.wake.notify_one();
        self.ring.notify_one();
    }

    /// Whether the version that is loaded has described itself and been started.
    pub fn is_current(&self) -> bool {
        let state = self.state();
        state.row.is_some_and(|row| row.digest == self.loaded().digest())
    }

    pub fn source(&self) -> Source {
        let state = self.state();
        Source {
            endpoint: self.endpoint.clone(),
            provider_type: state
                .description
                .map_or_else(|| self.plugin.to_string(), |description| description.provider_type),
            workspace: self.workspace.clone(),
        }
    }

    /// On whose behalf the channel itself acts.
    pub fn actor(&self) -> ActorId {
        ActorId::new(self.endpoint.as_str()).unwrap_or_else(|_| ActorId::fixed("system:host"))
    }

    pub fn max_text_bytes(&self) -> usize {
        let wanted = self.state().description.and_then(|description| description.max_text_bytes);
        wanted.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX)
    }

    pub fn shows_markdown(&self) -> bool {
        self.state().description.is_some_and(|description| description.supports_markdown)
    }

    pub fn display_name(&self) -> String {
        self.state().description.map(|description| description.display_name).unwrap_or_default()
    }

    /// Whether the component can find out what became of a part.
    pub fn can_reconcile(&self) -> bool {
        self.loaded().inner.extras.reconciles()
    }

    /// Whether the component can change what it has sent, and show that somebody writes.
    pub fn can_edit(&self) -> bool {
        self.loaded().inner.extras.edits()
    }

    /// Stands for an event or a delivery: the same for each attempt.
    pub fn operation_of(&self, event: &str) -> OperationId {
        let digest = Sha256::digest(format!("{}\n{}\n{event}", self.born, self.plugin));
        let (bytes, _) = digest.split_at(size_of::<uuid::Uuid>());
        OperationId::from_uuid(uuid::Uuid::from_slice(bytes).unwrap_or_default())
    }

    pub fn wishes(&self) -> Wishes {
        self.state().wishes
    }

    /// What a start of the guest begins with.
    pub async fn start(&self) -> Result<wit::Binding, CallError> {
        let row = self.stored().await.map_err(|error| store_failed(&error))?;
        let (state, position) = row.map(|row| (row.state, row.position)).unwrap_or_default();
        let hooks = self.hook_paths();
        Ok(wit::Binding {
            id: self.plugin.to_string(),
            endpoint_id: self.endpoint.to_string(),
            workspace_id: self.workspace.to_string(),
            state,
            position,
            hooks: hooks.into_iter().map(|(name, path)| wit::HookPath { name, path }).collect(),
            meta: Vec::new(),
        })
    }

    /// The wished and granted web addresses with their paths.
    pub fn hook_paths(&self) -> Vec<(String, String)> {
        let state = self.state();
        let Some(row) = &state.row else { return Vec::new() };
        let path = |hook: &Hook| {
            let plain = format!("/channels/{}/{}", self.plugin, hook.name);
            match self.grants.access(&hook.name) {
                Access::Denied => None,
                Access::Open => Some((hook.name.clone(), plain)),
                Access::Token => {
                    Some((hook.name.clone(), format!("{plain}/{}", token(&row.hook_token, &hook.name))))
                }
            }
        };
        state.wishes.hooks.iter().filter_map(path).collect()
    }

    /// The wish that a request is for, when it may come in. Looks at everything before it answers, whatever is wrong.
    pub fn admits(&self, name: &str, given: Option<&str>, method: &str) -> Option<Hook> {
        let state = self.state();
        let key = state.row.as_ref().map_or("", |row| row.hook_token.as_str());
        let right = hooks::same(&token(key, name), given.unwrap_or_default());
        let wish = state.wishes.hooks.iter().find(|hook| hook.name == name);
        let may = match self.grants.access(name) {
            Access::Denied => false,
            Access::Token => right,
            Access::Open => right || given.is_none(),
        };
        let known = state.row.is_some() && may;
        wish.filter(|wish| known && wish.methods.iter().any(|known| known == method)).cloned()
    }

    /// What is stored of the channel.
    pub async fn stored(&self) -> Result<Option<Channel>, StoreError> {
        self.host.parts().store.read().await?.lookup_channel(&self.plugin).await
    }

    /// Takes over what is stored of this very version; false when another one described itself last, or none.
    pub async fn recall(&self) -> Result<bool, StoreError> {
        let Some(row) = self.stored().await? else { return Ok(false) };
        let description = serde_json::from_value(row.description.clone());
        let wishes = serde_json::from_value(row.wishes.clone());
        let (Ok(description), Ok(wishes)) = (description, wishes) else { return Ok(false) };
        if row.digest != self.loaded().digest() {
            return Ok(false);
        }
        self.set(State { row: Some(row), description: Some(description), wishes });
        Ok(true)
    }

    /// Stores what this version says of itself; its wishes come with its start.
    pub async fn described(&self, description: Description) -> Result<(), CallError> {
        let now = self.alarm.now();
        let digest = self.loaded().digest().to_owned();
        let told = serde_json::to_value(&description).unwrap_or(Value::Null);
        let stored = async {
            let mut tx = self.host.parts().store.write().await?;
            let mut row = match tx.lookup_channel(&self.plugin).await? {
                Some(row) => row,
                None => Channel {
                    plugin: self.plugin.clone(),
                    endpoint: self.endpoint.clone(),
                    workspace: self.workspace.clone(),
                    digest: String::new(),
                    hook_token: self.host.parts().ids.uuid().simple().to_string(),
                    description: Value::Null,
                    wishes: Value::Null,
                    state: Vec::new(),
                    position: String::new(),
                    created_at: now,
                    updated_at: now,
                },
            };
            // The digest is stored with the wishes: a start that fails is made again.
            row.digest.clear();
            row.description = told;
            row.updated_at = now;
            tx.upsert_channel(&row).await?;
            tx.commit().await?;
            Ok(row)
        };
        let mut row = stored.await.map_err(|error: StoreError| store_failed(&error))?;
        row.digest = digest;
        self.set(State { row: Some(row), description: Some(description), wishes: Wishes::default() });
        Ok(())
    }

    /// Takes over what a start wished.
    pub async fn wished(&self, wishes: Wishes, left: Vec<u8>) -> Result<(), CallError> {
        let digest = self.loaded().digest().to_owned();
        let told = serde_json::to_value(&wishes).unwrap_or(Value::Null);
        let stored = async {
            let mut tx = self.host.parts().store.write().await?;
            let Some(mut row) = tx.lookup_channel(&self.plugin).await? else { return Ok(None) };
            let same = row.wishes == told && row.state == left && row.digest == digest;
            self.keep_timers(&mut *tx, &wishes).await?;
            if !same {
                row.digest = digest;
                row.wishes = told;
                row.state = left;
                row.updated_at = self.alarm.now();
                tx.upsert_channel(&row).await?;
            }
            tx.commit().await?;
            Ok(Some(row))
        };
        let row = stored.await.map_err(|error: StoreError| store_failed(&error))?;
        if let Some(row) = row {
            let description = self.state().description;
            self.set(State { row: Some(row), description, wishes: wishes.clone() });
        }
        self.keep_open();
        self.wake.notify_one();
        Ok(())
    }

    /// Brings sockets and polls in line with the wishes and the grants.
    pub fn keep_open(&self) {
        let wishes = self.wishes();
        self.sockets.recheck();
        self.sockets.wish(&wishes.sockets);
        self.polls.wish(&wishes.polls);
    }

    async fn keep_timers(&self, tx: &mut dyn Tx, wishes: &Wishes) -> Result<(), StoreError> {
        let known = tx.channel_timers(&self.plugin).await?;
        let timers = wishes::merged(&self.plugin, &wishes.timers, &known, self.alarm.now());
        for timer in &timers {
            if !known.contains(timer) {
                tx.upsert_channel_timer(timer).await?;
            }
        }
        for gone in known.iter().filter(|known| !timers.iter().any(|timer| timer.name == known.name)) {
            tx.remove_channel_timer(&self.plugin, &gone.name).await?;
        }
        Ok(())
    }

    /// Notes that the guest broke off. Ends after the wait before the next instance; true when it may go on.
    ///
    /// One that says of itself that it is not well has not begun anew: that counts like breaking off.
    pub async fn broke_off(&self, error: &CallError) -> bool {
        let mut why = format!("{}: {error}", error.code());
        loop {
            let verdict = lock(&self.supervisor).broke_off(self.alarm.now());
            tracing::warn!(plugin.id = %self.plugin, why, ?verdict, "a channel broke off");
            let Verdict::Restart(wait) = verdict else {
                self.quarantine(&why).await;
                return false;
            };
            let at = self.alarm.now().plus(wait);
            let health = async {
                self.alarm.until(at).await;
                self.host.health_of(&self.loaded()).await
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                health = health => match health {
                    Health::Ill { code, message } => why = format!("{code}: {message}"),
                    Health::Well | Health::Unknown => return true,
                },
            }
        }
    }

    /// Leaves the channel alone until somebody has looked at it.
    pub async fn quarantine(&self, error: &str) {
        if let Err(failed) = self.host.leave_alone(&self.plugin, error).await {
            tracing::error!(plugin.id = %self.plugin, error = %failed, "the quarantine could not be stored");
        }
        self.stop.cancel();
    }

    /// Tells Core how the channel is; a failure is told to the log alone.
    pub async fn mark(&self, status: &str) {
        if let Err(error) = self.core.mark_channel(&self.endpoint, status).await {
            tracing::warn!(plugin.id = %self.plugin, %error, "the state of a channel could not be stored");
        }
    }

    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// An instance that is kept; counted while it lives.
pub(super) struct Living(Arc<AtomicUsize>);

impl Living {
    pub fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The last part of the path of a web address: nobody who knows one knows another.
fn token(key: &str, hook: &str) -> String {
    let digest = hex::encode(Sha256::digest(format!("{key}\n{hook}")));
    digest.chars().take(40).collect()
}

/// A store that does not answer is nobody's fault but the host's.
pub(super) fn store_failed(error: &StoreError) -> CallError {
    CallError::Host { message: error.to_string() }
}
