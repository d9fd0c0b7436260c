//! Which generation of a plugin takes calls: put in place, replaced, rolled back, quarantined, resumed, forgotten.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use berth_core::port::store::Tx;
use berth_model::audit::{AuditDecision, AuditRow};
use berth_model::generation::{Generation, GenerationEvent, GenerationState, Origin};
use berth_model::plugin::{Consent, Plugin, PluginStatus};
use berth_model::{AuditId, PluginId};
use serde_json::json;

use super::flight::Flight;
use super::life::Step;
use super::shelf::Live;
use super::{HostError, OWNER, PluginHost, package};
use crate::plugin::LoadedPlugin;

/// Replaced generations of a plugin whose component is kept, so that it can be put in place again.
const KEPT: usize = 2;
/// Generations of a plugin that are remembered at all, besides those in use.
const REMEMBERED: usize = 10;
/// What stands for a capability in the audit when the host gives a generation up.
const GENERATION: &str = "generation";

/// The generation after `event`.
pub(super) fn changed(generation: &Generation, event: GenerationEvent) -> Result<Generation, HostError> {
    let state = generation.state.clone().after(event)?;
    Ok(Generation { state, ..generation.clone() })
}

impl PluginHost {
    /// The generations of a plugin, oldest first.
    pub async fn generations(&self, id: &PluginId) -> Result<Vec<Generation>, HostError> {
        let mut tx = self.parts.store.read().await?;
        if tx.lookup_plugin(id).await?.is_none() {
            return Err(HostError::not_found(id));
        }
        Ok(tx.list_generations(Some(id)).await?)
    }

    /// Puts an earlier generation in place again, as a new one: `to`, or the last that was in use and had no fault.
    pub async fn rollback(&self, id: &PluginId, to: Option<i64>) -> Result<Plugin, HostError> {
        let id = id.clone();
        self.detached(move |host| async move {
            let _turn = host.turn(&id).await;
            host.roll_back(&id, to, None).await
        })
        .await
    }

    /// Lets a quarantined plugin take calls again; its first calls are watched anew.
    pub async fn resume(&self, id: &PluginId) -> Result<(), HostError> {
        let _turn = self.turn(id).await;
        if self.row(id).await?.status != PluginStatus::Quarantined {
            return Err(HostError::NotQuarantined { id: id.to_string() });
        }
        self.switch_on(id).await
    }

    /// Waits until every replaced generation has come to its end.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// Stores the plugin, and that the owner agreed to its build.
    async fn agree(&self, tx: &mut dyn Tx, plugin: &Plugin) -> Result<Consent, HostError> {
        let consent = Consent {
            plugin: plugin.id.clone(),
            digest: plugin.digest.clone(),
            given_by: OWNER.to_owned(),
            given_at: self.parts.clock.now(),
        };
        tx.upsert_plugin(plugin).await?;
        tx.give_consent(&consent).await?;
        Ok(consent)
    }

    /// For the calls of a generation.
    pub(super) fn flight(&self, generation: &Generation) -> Arc<Flight> {
        let is_watched = self.life.watches_first_calls && !generation.is_proven;
        Arc::new(Flight::new(generation.number, !is_watched))
    }

    /// Stores what has happened to a generation in the making.
    pub(super) async fn advance(
        &self,
        generation: &mut Generation,
        event: GenerationEvent,
    ) -> Result<(), HostError> {
        let next = changed(generation, event)?;
        let mut tx = self.parts.store.write().await?;
        tx.update_generation(&next).await?;
        tx.commit().await?;
        *generation = next;
        Ok(())
    }

    /// Puts a compiled generation in place, in one transaction, and lets new calls go to it.
    pub(super) async fn publish(
        &self,
        generation: &mut Generation,
        loaded: LoadedPlugin,
        blame: Option<&str>,
    ) -> Result<Plugin, HostError> {
        let now = self.parts.clock.now();
        let id = generation.plugin.clone();
        let mut next = changed(generation, GenerationEvent::Activated)?;
        next.activated_at = Some(now);
        let changes = self.changes.lock().await;
        // Nobody else can take the names while the lock is held.
        self.registry.shelf.check(&id, loaded.tools())?;
        let mut tx = self.parts.store.write().await?;
        let old = tx.lookup_plugin(&id).await?;
        for there in tx.list_generations(Some(&id)).await? {
            if there.number != generation.number {
                replace(&mut *tx, there, blame).await?;
            }
        }
        let plugin = Plugin {
            id: id.clone(),
            version: next.version.clone(),
            digest: next.digest.clone(),
            manifest: next.manifest.clone(),
            tools: next.tools.clone(),
            status: PluginStatus::Active,
            last_error: blame.unwrap_or_default().to_owned(),
            installed_at: old.map_or(now, |old| old.installed_at),
            updated_at: now,
        };
        tx.update_generation(&next).await?;
        let consent = self.agree(&mut *tx, &plugin).await?;
        tx.commit().await?;
        self.registry.add_consent(consent);
        *generation = next;
        // The database says so: from here on there is no way back.
        if let Err(error) = self.life.probe.before(Step::Publish).await {
            tracing::warn!(plugin.id = %id, %error, "the generation is in place all the same");
        }
        let flight = self.flight(generation);
        self.registry.set_publisher(&id, &generation.digest, &generation.provenance.publisher);
        let replaced = self.registry.shelf.swap(id.clone(), Live { plugin: loaded, flight });
        self.write_lock().await;
        drop(changes);
        tracing::info!(plugin.id = %id, generation = generation.number, version = %plugin.version, "plugin activated");
        self.retire(id, replaced);
        Ok(plugin)
    }

    /// Lets the calls of a replaced generation end, then writes down that they have.
    pub(super) fn retire(&self, id: PluginId, replaced: Option<Live>) {
        let Ok(host) = self.strong() else { return };
        self.tasks.spawn(async move {
            let number = replaced.as_ref().map(|live| live.flight.number);
            if let Some(live) = replaced {
                live.flight.drain(host.life.drain).await;
                let now = host.registry.shelf.lookup(&id);
                if now.is_some_and(|now| now.digest() != live.plugin.digest()) {
                    host.registry.end_consent(&id, live.plugin.digest());
                }
            }
            if let Err(error) = host.retired(&id, number).await {
                tracing::warn!(plugin.id = %id, %error, "replaced generations are settled at the next start");
            }
            host.sweep().await;
        });
    }

    /// `number` has no call left; `None` for generations that never had one in this process.
    async fn retired(&self, id: &PluginId, number: Option<i64>) -> Result<(), HostError> {
        let _turn = self.turn(id).await;
        let mut tx = self.parts.store.write().await?;
        let mut gone = Vec::new();
        for there in tx.list_generations(Some(id)).await? {
            if there.state == GenerationState::Draining && number.is_none_or(|number| number == there.number)
            {
                let mut next = changed(&there, GenerationEvent::Drained)?;
                next.retired_at = Some(self.parts.clock.now());
                tx.update_generation(&next).await?;
                gone.push(there.number);
            } else if matches!(there.state, GenerationState::Retired | GenerationState::Rejected { .. }) {
                gone.push(there.number);
            }
        }
        for number in gone.iter().rev().skip(REMEMBERED) {
            tx.remove_generation(id, *number).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Gives up a generation that has shown to be bad, unless another is in its place by now.
    pub(super) async fn give_up(&self, id: &PluginId, number: i64, why: &str) {
        let _turn = self.turn(id).await;
        if self.registry.shelf.number(id) != Some(number) {
            return;
        }
        self.fall_back(id, number, why).await;
    }

    /// Puts the generation before a bad one in place; without one, the plugin is quarantined.
    pub(super) async fn fall_back(&self, id: &PluginId, number: i64, why: &str) {
        let blame = format!("generation {number} was given up: {why}");
        tracing::warn!(plugin.id = %id, generation = number, why, "a generation has failed too often");
        match self.roll_back(id, None, Some(&blame)).await {
            Ok(plugin) => {
                tracing::warn!(plugin.id = %id, version = %plugin.version, "rolled back to the generation before");
                self.note_given_up(id, number, &format!("rolled back to {}: {why}", plugin.version)).await;
            }
            Err(error) => {
                if !matches!(error, HostError::NoEarlierGeneration { .. }) {
                    tracing::warn!(plugin.id = %id, %error, "the rollback failed");
                }
                if let Err(error) = self.quarantine(id, number, &blame).await {
                    tracing::warn!(plugin.id = %id, %error, "the quarantine could not be stored");
                }
                self.note_given_up(id, number, &format!("quarantined: {why}")).await;
            }
        }
    }

    /// Leaves a row in the audit that the host took a generation out of use by itself.
    async fn note_given_up(&self, id: &PluginId, number: i64, why: &str) {
        let context = self.own_context();
        let row = AuditRow {
            id: AuditId::from_uuid(self.parts.ids.uuid()),
            plugin: id.clone(),
            capability: GENERATION.to_owned(),
            scope: json!({ "generation": number, "why": why }),
            decision: AuditDecision::Denied,
            is_write: true,
            uses: 1,
            call: context.call,
            operation: context.operation,
            run: None,
            workspace: context.workspace,
            actor: context.actor,
            grant: None,
            approval: None,
            created_at: self.parts.clock.now(),
        };
        let written = async {
            let mut tx = self.parts.store.write().await?;
            tx.append_audit(&row).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::warn!(plugin.id = %id, %error, "that a generation was given up could not be written down");
        }
    }

    async fn roll_back(
        &self,
        id: &PluginId,
        to: Option<i64>,
        blame: Option<&str>,
    ) -> Result<Plugin, HostError> {
        let changes = self.changes.lock().await;
        let all = self.generations(id).await?;
        let none = || HostError::NoEarlierGeneration { id: id.to_string() };
        let target = earlier(&all, to, &self.parts.folder).ok_or_else(none)?;
        let manifest = Arc::new(self.manifest_of(&target.manifest, &target.digest)?);
        let mut generation = Generation {
            number: all.last().map_or(1, |last| last.number + 1),
            origin: Origin::Rollback,
            state: GenerationState::Inspected,
            is_proven: true,
            failed_starts: 0,
            last_error: String::new(),
            created_at: self.parts.clock.now(),
            activated_at: None,
            retired_at: None,
            ..target.clone()
        };
        let mut tx = self.parts.store.write().await?;
        tx.insert_generation(&generation).await?;
        tx.commit().await?;
        // From here on nobody sweeps the component away.
        drop(changes);
        let made = self.finish(&mut generation, manifest, blame).await;
        if let Err(error) = &made {
            self.discard(generation, error).await;
        }
        Ok(made?.0)
    }

    /// Takes the plugin away from new calls until the operator resumes it.
    pub(super) async fn quarantine(&self, id: &PluginId, number: i64, why: &str) -> Result<(), HostError> {
        let taken = self.registry.shelf.take(id);
        if let Some(live) = taken {
            let patience = self.life.drain;
            self.tasks.spawn(async move { live.flight.drain(patience).await });
        }
        let mut tx = self.parts.store.write().await?;
        for there in tx.list_generations(Some(id)).await? {
            if there.number == number && there.state == GenerationState::Active {
                let mut next = changed(&there, GenerationEvent::Failed)?;
                next.last_error = why.to_owned();
                tx.update_generation(&next).await?;
            }
        }
        if let Some(mut plugin) = tx.lookup_plugin(id).await? {
            plugin.status = PluginStatus::Quarantined;
            plugin.last_error = why.to_owned();
            plugin.updated_at = self.parts.clock.now();
            tx.upsert_plugin(&plugin).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Loads the generation of a plugin that is off, failed or quarantined, and lets it take calls.
    pub(super) async fn switch_on(&self, id: &PluginId) -> Result<(), HostError> {
        let mut plugin = self.row(id).await?;
        let generation = self.current(id).await?;
        let loaded = self.load(&plugin).await?;
        let changes = self.changes.lock().await;
        self.registry.shelf.check(id, loaded.tools())?;
        let mut next = match generation.state {
            GenerationState::Quarantined => changed(&generation, GenerationEvent::Resumed)?,
            _ => generation,
        };
        next.failed_starts = 0;
        next.last_error.clear();
        plugin.status = PluginStatus::Active;
        plugin.last_error.clear();
        plugin.updated_at = self.parts.clock.now();
        let mut tx = self.parts.store.write().await?;
        tx.update_generation(&next).await?;
        // Who switches a plugin on agrees to the build that is there.
        let consent = self.agree(&mut *tx, &plugin).await?;
        tx.commit().await?;
        self.registry.add_consent(consent);
        let flight = self.flight(&next);
        let replaced = self.registry.shelf.swap(id.clone(), Live { plugin: loaded, flight });
        drop(changes);
        self.retire(id.clone(), replaced);
        Ok(())
    }

    /// The generation that a plugin runs, or would run.
    pub(super) async fn current(&self, id: &PluginId) -> Result<Generation, HostError> {
        let all = self.generations(id).await?;
        let current = all.into_iter().rev().find(|one| one.state.is_current());
        current.ok_or_else(|| HostError::NoEarlierGeneration { id: id.to_string() })
    }

    /// Writes down that the first calls of a generation went well.
    pub(super) async fn prove(&self, id: &PluginId, number: i64) -> Result<(), HostError> {
        let mut tx = self.parts.store.write().await?;
        for mut there in tx.list_generations(Some(id)).await? {
            if there.number == number && !there.is_proven {
                there.is_proven = true;
                tx.update_generation(&there).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Removes machine code that no generation needs, also what a process left that was killed. For a start.
    pub(super) async fn sweep_code(&self) {
        let swept = async {
            let all = self.parts.store.read().await?.list_generations(None).await?;
            let digests = needed(&all).into_iter().map(|one| one.digest.clone()).collect();
            self.parts.engine.sweep(digests).await.map_err(|source| HostError::Folder { source })
        };
        if let Err(error) = swept.await {
            tracing::warn!(%error, "machine code that is not needed any more is removed later");
        }
    }

    /// Removes components and machine code that no generation needs.
    pub(super) async fn sweep(&self) {
        let (engine, folder) = (self.parts.engine.clone(), self.parts.folder.clone());
        let _changes = self.changes.lock().await;
        let all = async { self.parts.store.read().await?.list_generations(None).await };
        let all = match all.await {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(%error, "what is not needed any more is removed later");
                return;
            }
        };
        let swept = tokio::task::spawn_blocking(move || {
            let files = |one: &Generation| package::files_of(&folder, &one.manifest, &one.digest);
            let needed = needed(&all).into_iter().flat_map(files).collect();
            for digest in package::sweep(&folder, &needed)? {
                engine.forget(&digest)?;
            }
            Ok::<(), std::io::Error>(())
        });
        if let Ok(Err(error)) = swept.await {
            tracing::warn!(%error, "a component that is not needed any more could not be removed");
        }
    }
}

/// Lets another generation take the place of `there`.
async fn replace(tx: &mut dyn Tx, there: Generation, blame: Option<&str>) -> Result<(), HostError> {
    let superseded = || GenerationEvent::Rejected { code: "GENERATION_SUPERSEDED".to_owned() };
    let next = match there.state {
        GenerationState::Active => {
            let mut failed = there.clone();
            if let Some(blame) = blame {
                failed = changed(&there, GenerationEvent::Failed)?;
                failed.last_error = blame.to_owned();
            }
            changed(&failed, GenerationEvent::Replaced)?
        }
        GenerationState::Quarantined => changed(&there, GenerationEvent::Replaced)?,
        // What waited for a yes was compared with what is in place no more.
        GenerationState::AwaitingConsent => changed(&there, superseded())?,
        _ => return Ok(()),
    };
    Ok(tx.update_generation(&next).await?)
}

/// The generation to go back to.
fn earlier<'a>(all: &'a [Generation], to: Option<i64>, folder: &Path) -> Option<&'a Generation> {
    let current = all.iter().rev().find(|one| one.state.is_current());
    let was_in_use = |one: &&Generation| {
        matches!(one.state, GenerationState::Draining | GenerationState::Retired)
            && package::path(folder, &one.digest).is_file()
    };
    let is_other = |one: &&Generation| {
        current.is_none_or(|now| now.digest != one.digest || now.manifest != one.manifest)
    };
    let mut found = all.iter().rev().filter(was_in_use);
    match to {
        Some(number) => found.find(|one| one.number == number),
        None => found.filter(is_other).find(|one| one.last_error.is_empty()),
    }
}

/// The generations whose files are still needed.
fn needed(all: &[Generation]) -> Vec<&Generation> {
    let plugins: BTreeSet<&PluginId> = all.iter().map(|one| &one.plugin).collect();
    let mut needed = Vec::new();
    for plugin in plugins {
        let of_plugin = || all.iter().rev().filter(|one| one.plugin == *plugin);
        let in_use: Vec<&Generation> = of_plugin()
            .filter(|one| !matches!(one.state, GenerationState::Retired | GenerationState::Rejected { .. }))
            .collect();
        // One that is in use again takes no place of those that are kept for a rollback.
        let mut kept: Vec<&Generation> = Vec::new();
        for one in of_plugin().filter(|one| one.state == GenerationState::Retired) {
            let is_same = |other: &&Generation| other.digest == one.digest && other.manifest == one.manifest;
            if kept.len() < KEPT && !kept.iter().any(is_same) && !in_use.iter().any(is_same) {
                kept.push(one);
            }
        }
        needed.extend(in_use);
        needed.extend(kept);
    }
    needed
}
