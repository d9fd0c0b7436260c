//! Generations of plugins.

use async_trait::async_trait;
use berth_model::PluginId;
use berth_model::generation::Generation;

use super::StoreError;

/// Every version of each plugin that was put in place.
#[async_trait]
pub trait GenerationRepo {
    /// Fails with `Conflict` when the plugin has a generation of this number.
    async fn insert_generation(&mut self, generation: &Generation) -> Result<(), StoreError>;
    /// Stores tools, state and what belongs to it; what a generation is never changes.
    async fn update_generation(&mut self, generation: &Generation) -> Result<(), StoreError>;
    /// By plugin, oldest first; of every plugin when `None`.
    async fn list_generations(&mut self, plugin: Option<&PluginId>) -> Result<Vec<Generation>, StoreError>;
    /// The ones that their plugins run or would run, by plugin.
    async fn current_generations(&mut self) -> Result<Vec<Generation>, StoreError>;
    /// Those that an install or the calls of a process had not finished with.
    async fn unsettled_generations(&mut self) -> Result<Vec<Generation>, StoreError>;
    /// Forgets one; true when there was one.
    async fn remove_generation(&mut self, plugin: &PluginId, number: i64) -> Result<bool, StoreError>;
    /// Forgets all of a plugin and says how many there were.
    async fn remove_generations(&mut self, plugin: &PluginId) -> Result<u64, StoreError>;
}
