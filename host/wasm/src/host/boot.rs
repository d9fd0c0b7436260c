//! A start: what the last process left is settled, and each plugin is loaded for itself.

use std::time::Duration;

use berth_model::generation::{FAILED_STARTS, Generation, GenerationEvent, GenerationState};
use berth_model::plugin::{Plugin, PluginStatus};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::generations::changed;
use super::shelf::Live;
use super::{HostError, PluginHost};
use crate::tool::ToolDescription;

/// Plugins on their way to take calls.
pub struct Boot {
    loads: TaskTracker,
}

impl Boot {
    /// Waits until each plugin is loaded or has failed to be.
    pub async fn finished(self) {
        self.loads.wait().await;
    }

    /// The same, for `patience` at most; true when all are done. The rest goes on by itself.
    pub async fn finished_within(self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.loads.wait()).await.is_ok()
    }
}

impl PluginHost {
    /// Loads every active plugin, each for itself: one that fails keeps its error and stops nobody.
    ///
    /// Fails only when the store does.
    pub async fn boot(&self) -> Result<(), HostError> {
        self.begin().await?.finished().await;
        Ok(())
    }

    /// Settles what the last process left and begins to load every active plugin, each in a task of its own.
    ///
    /// Runs no guest code. The tools are in the catalogue at once; a call of one waits until its plugin is loaded.
    pub async fn begin(&self) -> Result<Boot, HostError> {
        self.settle().await?;
        let (plugins, generations) = {
            let mut tx = self.parts.store.read().await?;
            self.registry.set_grants(tx.list_grants(None).await?);
            self.registry.set_consents(tx.list_consents().await?);
            (tx.list_plugins().await?, tx.current_generations().await?)
        };
        self.sweep_code().await;
        for one in &generations {
            self.registry.set_publisher(&one.plugin, &one.digest, &one.provenance.publisher);
        }
        let loads = TaskTracker::new();
        for plugin in plugins.into_iter().filter(|plugin| plugin.status == PluginStatus::Active) {
            let Some(generation) = generations.iter().find(|one| one.plugin == plugin.id) else {
                tracing::warn!(plugin.id = %plugin.id, "plugin has no generation and is not loaded: install it again");
                continue;
            };
            let host = self.strong()?;
            let generation = generation.clone();
            // One that cannot be read any more offers nothing and fails to load.
            let tools: Vec<ToolDescription> =
                serde_json::from_value(plugin.tools.clone()).unwrap_or_default();
            let (loaded, done) = watch::channel(());
            self.registry.shelf.expect(plugin.id.clone(), tools, done);
            loads.spawn(async move {
                host.start(plugin, generation).await;
                drop(loaded);
            });
        }
        loads.close();
        let host = self.strong()?;
        self.tasks.spawn(async move {
            host.write_lock().await;
            host.sweep().await;
        });
        Ok(Boot { loads })
    }

    async fn start(&self, plugin: Plugin, mut generation: Generation) {
        let _turn = self.turn(&plugin.id).await;
        let loaded = self.load(&plugin).await;
        // The operator may have switched it off or removed it meanwhile.
        if !self.registry.shelf.is_expected(&plugin.id) {
            return;
        }
        let error = match loaded {
            Ok(loaded) => {
                let changes = self.changes.lock().await;
                match self.registry.shelf.check(&plugin.id, loaded.tools()) {
                    Ok(()) => {
                        let flight = self.flight(&generation);
                        self.registry.shelf.swap(plugin.id.clone(), Live { plugin: loaded, flight });
                        drop(changes);
                        if generation.failed_starts > 0 {
                            generation.failed_starts = 0;
                            self.remember(&generation, None).await;
                        }
                        return;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        self.registry.shelf.take(&plugin.id);
        tracing::warn!(plugin.id = %plugin.id, code = error.code(), %error, "plugin could not be loaded");
        generation.failed_starts += 1;
        let why = format!("{}: {error}", error.code());
        self.remember(&generation, Some(&why)).await;
        if generation.failed_starts >= FAILED_STARTS {
            self.fall_back(&plugin.id, generation.number, &why).await;
        }
    }

    async fn remember(&self, generation: &Generation, failure: Option<&str>) {
        let stored = async {
            let mut tx = self.parts.store.write().await?;
            tx.update_generation(generation).await?;
            if let Some(mut plugin) = tx.lookup_plugin(&generation.plugin).await? {
                plugin.last_error = failure.unwrap_or_default().to_owned();
                plugin.updated_at = self.parts.clock.now();
                tx.upsert_plugin(&plugin).await?;
            }
            tx.commit().await
        };
        if let Err(error) = stored.await {
            tracing::warn!(plugin.id = %generation.plugin, %error, "how the plugin started could not be stored");
        }
    }

    /// Ends what the last process was at when it ended.
    async fn settle(&self) -> Result<(), HostError> {
        let left = self.parts.store.read().await?.unsettled_generations().await?;
        if left.is_empty() {
            return Ok(());
        }
        let now = self.parts.clock.now();
        let mut tx = self.parts.store.write().await?;
        for generation in tx.unsettled_generations().await? {
            let (id, number) = (&generation.plugin, generation.number);
            if generation.state == GenerationState::Draining {
                let mut next = changed(&generation, GenerationEvent::Drained)?;
                next.retired_at = Some(now);
                tx.update_generation(&next).await?;
            } else if tx.lookup_plugin(id).await?.is_some() {
                tracing::warn!(plugin.id = %id, generation = number, "an install did not come to its end");
                let code = "INSTALL_INTERRUPTED".to_owned();
                let mut next = changed(&generation, GenerationEvent::Rejected { code })?;
                next.last_error = "the host ended during the install".to_owned();
                tx.update_generation(&next).await?;
            } else {
                tracing::warn!(plugin.id = %id, "an install did not come to its end and is forgotten");
                tx.remove_generation(id, number).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}
