//! The way of a package into the host: verify, inspect, ask, compile, activate. A failure leaves nothing behind.

use std::sync::Arc;

use berth_model::PluginId;
use berth_model::generation::{Generation, GenerationEvent, GenerationState, Origin};
use berth_model::plugin::{Plugin, PluginStatus};
use serde_json::Value;

use super::generations::changed;
use super::life::Step;
use super::{HostError, Package, PluginHost, config_schema, package};
use crate::capability::diff::{CapabilityDiff, PublisherChange, compare};
use crate::error::InstallError;
use crate::inspect::{Inspection, inspect};
use crate::manifest::Manifest;
use crate::plugin::{ComponentSource, PluginSpec};
use crate::tool::{ToolDescription, check_names};

/// Whether the operator has said yes to all that a package asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assent {
    /// He has, whatever it is.
    Given,
    /// A first install is a yes; what asks for more than the one in place waits for one.
    Wanted,
}

/// What an install has done.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The plugin as it takes calls now: the old one when the new one waits.
    pub plugin: Plugin,
    /// Of the package.
    pub inspection: Inspection,
    /// Of the generation.
    pub tools: Vec<ToolDescription>,
    /// The number of the generation that the package is.
    pub generation: i64,
    /// Of the package.
    pub version: String,
    /// What the package asks for beyond the one that was in place, or at all.
    pub diff: CapabilityDiff,
    pub outcome: Outcome,
}

/// How far an install has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// New calls go to it.
    Active,
    /// It was there already, and takes calls.
    Unchanged,
    /// It asks for more than the one in place, which serves on.
    Waiting,
}

impl PluginHost {
    /// Inspects a package without installing it.
    pub async fn inspect(&self, package: Package) -> Result<(Arc<Manifest>, Inspection), HostError> {
        let (bytes, limit) = (package.component.len(), self.parts.engine.inner.config.component_bytes);
        if bytes > limit {
            return Err(InstallError::TooLarge { bytes, limit }.into());
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut manifest = Manifest::parse(&package.manifest)?;
            if let Some(text) = &package.config_schema {
                manifest = manifest.with_secrets_of(&config_schema(text)?)?;
            }
            let inspection = inspect(&package.component, &manifest, &package.docs)?;
            if let Some(packed) = &manifest.sha256
                && *packed != inspection.digest
            {
                return Err(HostError::Digest { packed: packed.clone(), found: inspection.digest });
            }
            Ok((Arc::new(manifest), inspection))
        });
        let (manifest, inspection) = read.await.map_err(|_| HostError::Inspector)??;
        self.check_private(&manifest).await?;
        Ok((manifest, inspection))
    }

    /// Installs a package, or makes it the next generation of the plugin of its id: see [`Assent::Wanted`].
    pub async fn install(&self, package: Package) -> Result<Installed, HostError> {
        self.install_with(package, Assent::Wanted).await
    }

    /// Installs a package, or makes it the next generation of the plugin of its id.
    ///
    /// Calls in flight end in the old generation. A failure changes nothing, and dropping the future does not stop what
    /// was begun. Installs of one plugin come one after another, those of several do not wait for each other.
    pub async fn install_with(&self, package: Package, assent: Assent) -> Result<Installed, HostError> {
        self.detached(move |host| async move { host.take_in(package, assent).await }).await
    }

    /// [`Self::install_with`] for a plugin that is there: fails with `PLUGIN_NOT_FOUND` when it is not, and with
    /// `PLUGIN_OTHER_ID` when the package is another.
    pub async fn upgrade(
        &self,
        id: &PluginId,
        package: Package,
        assent: Assent,
    ) -> Result<Installed, HostError> {
        self.row(id).await?;
        let found = Manifest::parse(&package.manifest)?.id;
        if found != id.as_str() {
            return Err(HostError::OtherPlugin { wanted: id.to_string(), found });
        }
        self.install_with(package, assent).await
    }

    /// Says yes to the generation that waits for it.
    pub async fn accept(&self, id: &PluginId) -> Result<Installed, HostError> {
        self.accept_only(id, None).await
    }

    /// [`Self::accept`], but only of what has this [`Package::digest`]: fails with `PLUGIN_OTHER_DIGEST`.
    pub async fn accept_only(&self, id: &PluginId, digest: Option<String>) -> Result<Installed, HostError> {
        let id = id.clone();
        self.detached(move |host| async move {
            let _turn = host.turn(&id).await;
            let waiting = host.waiting(&id).await?.ok_or_else(|| HostError::nothing_waits(&id))?;
            if let Some(wanted) = digest {
                package::same_digest(&wanted, offered(&waiting), || waiting.digest.clone())?;
            }
            host.accepted(waiting).await
        })
        .await
    }

    /// The [`Package::digest`] of the generation that waits for a yes.
    pub async fn waiting_digest(&self, id: &PluginId) -> Result<Option<String>, HostError> {
        Ok(self.waiting(id).await?.as_ref().map(offered))
    }

    /// Says no to the generation that waits for a yes.
    pub async fn decline(&self, id: &PluginId) -> Result<Generation, HostError> {
        let _turn = self.turn(id).await;
        let mut waiting = self.waiting(id).await?.ok_or_else(|| HostError::nothing_waits(id))?;
        self.advance(&mut waiting, GenerationEvent::Rejected { code: "CONSENT_DECLINED".to_owned() }).await?;
        self.sweep().await;
        Ok(waiting)
    }

    /// What the generation that waits for a yes asks for beyond the one in place.
    pub async fn waiting_diff(&self, id: &PluginId) -> Result<Option<CapabilityDiff>, HostError> {
        let Some(waiting) = self.waiting(id).await? else { return Ok(None) };
        let publisher = self.current(id).await.ok().and_then(|there| publisher_change(&there, &waiting));
        let there = self.row(id).await?;
        let there = self.manifest_of(&there.manifest, &there.digest)?;
        let waiting = self.manifest_of(&waiting.manifest, &waiting.digest)?;
        Ok(Some(CapabilityDiff { publisher, ..compare(&there.requests, &waiting.requests) }))
    }

    async fn take_in(&self, mut package: Package, assent: Assent) -> Result<Installed, HostError> {
        let manifest = Manifest::parse(&package.manifest)?;
        package.manifest = package.kept_manifest();
        let id = PluginId::new(&manifest.id)?;
        let component = package.component.clone();
        let digest = tokio::task::spawn_blocking(move || crate::digest(&component))
            .await
            .map_err(|_| HostError::Inspector)?;
        let _turn = self.turn(&id).await;
        let (there, generations) = {
            let mut tx = self.parts.store.read().await?;
            (tx.lookup_plugin(&id).await?, tx.list_generations(Some(&id)).await?)
        };
        let current = generations.iter().find(|one| one.state.is_current());
        let (provenance, publisher) = self.vouch(&package, id.as_str(), &digest, current)?;
        let schema_file = package::schema_path(&self.parts.folder, &package.manifest, &digest);
        let has_same_schema = std::fs::read_to_string(schema_file).ok() == package.config_schema;
        let is_same = |one: &&Generation| {
            has_same_schema
                && one.digest == digest
                && one.manifest == package.manifest
                && one.provenance.publisher == provenance.publisher
        };
        if let Some(plugin) = &there
            && let Some(same) = generations.iter().filter(|one| one.state.is_current()).find(is_same)
        {
            let (_, inspection) = self.inspect(package).await?;
            return self.unchanged(plugin, same, inspection).await;
        }
        let waits =
            generations.iter().filter(|one| one.state == GenerationState::AwaitingConsent).find(is_same);
        if let Some(same) = waits
            && assent == Assent::Given
        {
            return self.accepted(same.clone()).await;
        }

        self.watch(Step::Stage).await?;
        let mut generation = Generation {
            plugin: id.clone(),
            number: generations.last().map_or(1, |last| last.number + 1),
            origin: if there.is_some() { Origin::Upgrade } else { Origin::Install },
            digest,
            version: manifest.version.to_string(),
            manifest: package.manifest.clone(),
            provenance,
            tools: Value::Array(Vec::new()),
            state: GenerationState::Staged,
            is_proven: false,
            failed_starts: 0,
            last_error: String::new(),
            created_at: self.parts.clock.now(),
            activated_at: None,
            retired_at: None,
        };
        self.stage(&generation).await?;
        let made = self.make(&mut generation, package, there.as_ref(), publisher, assent).await;
        if let Err(error) = &made {
            self.discard(generation, error).await;
        }
        made
    }

    async fn make(
        &self,
        generation: &mut Generation,
        package: Package,
        there: Option<&Plugin>,
        publisher: Option<PublisherChange>,
        assent: Assent,
    ) -> Result<Installed, HostError> {
        self.watch(Step::Inspect).await?;
        let (component, schema) = (package.component.clone(), package.config_schema.clone());
        let (manifest, mut inspection) = self.inspect(package).await?;
        generation.tools = serde_json::to_value(&inspection.tools)?;
        self.watch(Step::Keep).await?;
        package::keep(&self.parts.folder, &generation.digest, component).await?;
        if let Some(schema) = schema {
            let path = package::schema_path(&self.parts.folder, &generation.manifest, &generation.digest);
            package::keep_file(&self.parts.folder, path, schema.into()).await?;
        }
        self.advance(generation, GenerationEvent::Inspected).await?;

        self.watch(Step::Compare).await?;
        let diff = CapabilityDiff { publisher, ..self.diff_to(there, &manifest) };
        if let Some(there) = there.filter(|_| assent == Assent::Wanted && diff.is_wider()) {
            self.hold(generation).await?;
            tracing::info!(
                plugin.id = %generation.plugin, generation = generation.number,
                "an upgrade asks for more and waits for consent"
            );
            return Ok(Installed {
                plugin: there.clone(),
                tools: inspection.tools.clone(),
                inspection,
                generation: generation.number,
                version: generation.version.clone(),
                diff,
                outcome: Outcome::Waiting,
            });
        }
        let (plugin, tools) = self.finish(generation, manifest, None).await?;
        inspection.warnings.extend(self.parts.services.config.values(plugin.id.as_str()).err());
        let (number, version) = (generation.number, generation.version.clone());
        Ok(Installed {
            plugin,
            inspection,
            tools,
            generation: number,
            version,
            diff,
            outcome: Outcome::Active,
        })
    }

    /// Compiles a generation whose component is kept, asks it for its tools and lets new calls go to it.
    ///
    /// `blame` is what the one in place has done wrong.
    pub(super) async fn finish(
        &self,
        generation: &mut Generation,
        manifest: Arc<Manifest>,
        blame: Option<&str>,
    ) -> Result<(Plugin, Vec<ToolDescription>), HostError> {
        self.watch(Step::Compile).await?;
        let spec = PluginSpec {
            digest: generation.digest.clone(),
            component: ComponentSource::File(package::path(&self.parts.folder, &generation.digest)),
            manifest: manifest.clone(),
            tools: serde_json::from_value(generation.tools.clone())?,
        };
        let is_named = manifest.config_schema.is_some();
        let schema = self.kept_schema(&generation.manifest, &generation.digest, is_named)?;
        let mut loaded = self.parts.engine.load(spec).await?;
        self.watch(Step::Describe).await?;
        // One that was in use before has told its tools then.
        if generation.origin != Origin::Rollback && loaded.is_dynamic() {
            let tools = loaded.describe(self.own_context()).await?;
            loaded = loaded.with_tools(tools)?;
        }
        check_names(&manifest, loaded.tools())?;
        self.registry.shelf.check(&generation.plugin, loaded.tools())?;
        generation.tools = serde_json::to_value(loaded.tools())?;
        self.advance(generation, GenerationEvent::Compiled).await?;
        self.watch(Step::Activate).await?;
        self.upgraded(generation, &loaded).await?;
        let tools = loaded.tools().to_vec();
        let plugin = self.publish(generation, loaded, blame).await?;
        self.parts.services.config.learn(plugin.id.as_str(), schema);
        Ok((plugin, tools))
    }

    /// What a manifest asks for beyond the version in place; all of it when there is none.
    fn diff_to(&self, there: Option<&Plugin>, manifest: &Manifest) -> CapabilityDiff {
        // One that an older version of the host took and this one cannot read asked for nothing that counts.
        let before = there
            .and_then(|there| self.manifest_of(&there.manifest, &there.digest).ok())
            .map(|manifest| manifest.requests)
            .unwrap_or_default();
        compare(&before, &manifest.requests)
    }

    async fn accepted(&self, mut waiting: Generation) -> Result<Installed, HostError> {
        let manifest = Arc::new(self.manifest_of(&waiting.manifest, &waiting.digest)?);
        let schema_file = package::schema_path(&self.parts.folder, &waiting.manifest, &waiting.digest);
        let component = tokio::fs::read(package::path(&self.parts.folder, &waiting.digest))
            .await
            .map_err(|source| HostError::Folder { source })?;
        let config_schema = std::fs::read_to_string(schema_file).ok();
        let package = Package { config_schema, ..Package::new(waiting.manifest.clone(), component) };
        let made = async {
            let (_, inspection) = self.inspect(package).await?;
            let there = self.row(&waiting.plugin).await?;
            let diff = self.diff_to(Some(&there), &manifest);
            let (plugin, tools) = self.finish(&mut waiting, manifest, None).await?;
            let (generation, version) = (waiting.number, waiting.version.clone());
            Ok(Installed { plugin, inspection, tools, generation, version, diff, outcome: Outcome::Active })
        };
        let made = made.await;
        if let Err(error) = &made {
            self.discard(waiting, error).await;
        }
        made
    }

    /// The same package again: it is switched on when it was off.
    async fn unchanged(
        &self,
        plugin: &Plugin,
        same: &Generation,
        inspection: Inspection,
    ) -> Result<Installed, HostError> {
        let loaded = self.registry.shelf.lookup(&plugin.id);
        let is_on = plugin.status == PluginStatus::Active
            && loaded.is_some_and(|loaded| self.registry.is_approved(&loaded));
        if !is_on {
            self.switch_on(&plugin.id).await?;
        }
        Ok(Installed {
            plugin: self.row(&plugin.id).await?,
            inspection,
            tools: serde_json::from_value(plugin.tools.clone())?,
            generation: same.number,
            version: same.version.clone(),
            diff: CapabilityDiff::default(),
            outcome: Outcome::Unchanged,
        })
    }

    /// From here on nobody sweeps the component away.
    async fn stage(&self, generation: &Generation) -> Result<(), HostError> {
        let _changes = self.changes.lock().await;
        let mut tx = self.parts.store.write().await?;
        tx.insert_generation(generation).await?;
        Ok(tx.commit().await?)
    }

    /// Holds a generation until the operator says yes; one that waited before it waits no more.
    async fn hold(&self, generation: &mut Generation) -> Result<(), HostError> {
        let next = changed(generation, GenerationEvent::ConsentWanted)?;
        let mut tx = self.parts.store.write().await?;
        for older in tx.list_generations(Some(&generation.plugin)).await? {
            if older.state == GenerationState::AwaitingConsent {
                let code = "GENERATION_SUPERSEDED".to_owned();
                tx.update_generation(&changed(&older, GenerationEvent::Rejected { code })?).await?;
            }
        }
        tx.update_generation(&next).await?;
        tx.commit().await?;
        *generation = next;
        self.sweep().await;
        Ok(())
    }

    async fn waiting(&self, id: &PluginId) -> Result<Option<Generation>, HostError> {
        let mut tx = self.parts.store.read().await?;
        if tx.lookup_plugin(id).await?.is_none() {
            return Err(HostError::not_found(id));
        }
        let all = tx.list_generations(Some(id)).await?;
        Ok(all.into_iter().find(|one| one.state == GenerationState::AwaitingConsent))
    }

    /// Takes back what an install has done before it failed. What cannot be taken back now, the next start does.
    pub(super) async fn discard(&self, generation: Generation, error: &HostError) {
        let forget = async {
            let mut tx = self.parts.store.write().await?;
            if tx.lookup_plugin(&generation.plugin).await?.is_some() {
                let code = error.code().to_owned();
                let mut rejected = changed(&generation, GenerationEvent::Rejected { code })?;
                rejected.last_error = error.to_string();
                tx.update_generation(&rejected).await?;
            } else {
                tx.remove_generation(&generation.plugin, generation.number).await?;
            }
            Ok::<(), HostError>(tx.commit().await?)
        };
        if let Err(error) = forget.await {
            let (id, number) = (&generation.plugin, generation.number);
            tracing::warn!(plugin.id = %id, generation = number, %error, "a failed install is settled at the next start");
        }
        self.sweep().await;
    }

    async fn watch(&self, step: Step) -> Result<(), HostError> {
        self.life.probe.before(step).await
    }
}

/// What a generation was before it came in: see [`Package::digest`].
fn offered(generation: &Generation) -> String {
    match generation.provenance.package.as_str() {
        "" => package::whole_digest(&generation.manifest, &generation.digest),
        package => package.to_owned(),
    }
}

/// Another publisher than that of the generation in place, where that one had any.
fn publisher_change(there: &Generation, waiting: &Generation) -> Option<PublisherChange> {
    let (before, after) = (&there.provenance.publisher, &waiting.provenance.publisher);
    let is_other = !before.is_empty() && before != after;
    is_other.then(|| PublisherChange {
        before: before.clone(),
        after: Some(after.clone()).filter(|after| !after.is_empty()),
    })
}

impl HostError {
    fn nothing_waits(id: &PluginId) -> Self {
        Self::NothingWaits { id: id.to_string() }
    }
}
