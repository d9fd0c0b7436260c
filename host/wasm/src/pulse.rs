//! Asks plugins from time to time whether somebody should look, and tells the owner what they find.
//!
//! Only plugins with the optional export `pulse` are asked; while there is none, nothing wakes.

use std::sync::Arc;
use std::time::Duration;

use berth_core::Core;
use berth_core::messages::NewMessage;
use berth_core::port::store::StoreError;
use berth_core::threads::NewThread;
use berth_model::message::Role;
use berth_model::{JsonMap, PluginId, Timestamp, WorkspaceId};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actor::Alarm;
use crate::actor::alarm::maybe_until;
use crate::actor::happening::millis;
use crate::host::PluginHost;

/// How often a plugin is asked. The first time comes so long after the start.
pub const EVERY: Duration = Duration::from_secs(15 * 60);
/// Names the thread of what plugins find notable, in the workspace of the owner.
pub const THREAD: &str = "plugin-notices";
const WORKSPACE: &str = "personal";

/// Looks after the pulses of a host.
pub struct Pulses {
    tasks: TaskTracker,
    stop: CancellationToken,
}

struct Rounds {
    host: Arc<PluginHost>,
    alarm: Arc<dyn Alarm>,
    core: Core,
}

impl Pulses {
    pub fn start(host: Arc<PluginHost>, alarm: Arc<dyn Alarm>, core: Core) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let rounds = Rounds { host, alarm, core };
        tasks.spawn(rounds.run(stop.clone()));
        tasks.close();
        Self { tasks, stop }
    }

    /// Ends a round that is at work, too.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Rounds {
    async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.host.changes();
        let mut due: Option<Timestamp> = None;
        loop {
            due = match self.host.with_pulse().is_empty() {
                true => None,
                false => Some(due.unwrap_or_else(|| self.alarm.now().plus(EVERY))),
            };
            // Every arm is cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = changes.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                () = maybe_until(&*self.alarm, due) => {}
            }
            due = None;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.round() => {}
            }
        }
    }

    async fn round(&mut self) {
        for (id, loaded) in self.host.with_pulse() {
            let now = self.alarm.now();
            let since = match self.asked(&id).await {
                Ok(asked) => asked.map_or(0, millis),
                Err(error) => {
                    tracing::warn!(plugin.id = %id, %error, "when a plugin was asked last cannot be read");
                    continue;
                }
            };
            match self.host.pulse_of(&loaded, since).await {
                Ok(None) => {}
                Ok(Some(sentence)) => {
                    if let Err(error) = self.tell(&id, &sentence).await {
                        tracing::warn!(plugin.id = %id, %error, "what a plugin found could not be stored");
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(plugin.id = %id, code = error.code(), %error, "a plugin could not be asked what is new");
                    continue;
                }
            }
            if let Err(error) = self.answered(&id, now).await {
                tracing::warn!(plugin.id = %id, %error, "when a plugin was asked last cannot be stored");
            }
        }
    }

    /// When a plugin was asked last and answered, in this life of the host or another.
    async fn asked(&self, id: &PluginId) -> Result<Option<Timestamp>, StoreError> {
        self.host.parts().store.read().await?.last_pulse(id).await
    }

    async fn answered(&self, id: &PluginId, at: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.host.parts().store.write().await?;
        tx.set_last_pulse(id, at).await?;
        tx.commit().await
    }

    async fn tell(&self, id: &PluginId, sentence: &str) -> Result<(), berth_core::CoreError> {
        let new = NewThread {
            workspace: WorkspaceId::fixed(WORKSPACE),
            title: "Notices of plugins".to_owned(),
            mode: String::new(),
        };
        let thread = self.core.default_thread(new, THREAD).await?;
        let mut message = NewMessage::of_user(thread.id, format!("{id}: {sentence}"));
        message.role = Role::Notice;
        message.reply = false;
        message.metadata = JsonMap::from_iter([("plugin_id".to_owned(), json!(id.as_str()))]);
        self.core.post_message(message).await?;
        Ok(())
    }
}
