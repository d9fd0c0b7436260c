//! The settings of the engine. What a guest may use is named here, so that an update cannot widen it.

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, ModuleVersionStrategy, OptLevel,
    PoolingAllocationConfig, Strategy,
};

use super::{EngineConfig, Pooling};
use crate::error::EngineError;
use crate::limits;

/// The version of wasmtime that this profile was written for.
pub const WASMTIME: &str = "48.0.8";
/// Raised when a setting changes what compiled code means.
const PROFILE: u32 = 1;

/// The allocator that [`build`] took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocator {
    /// 0 without a pool.
    pub slots: u32,
    pub reason: String,
}

/// Builds the engine: with the whole pool, with half of it, or without one.
pub fn build(config: &EngineConfig) -> Result<(Engine, Allocator), EngineError> {
    if config.pooling == Pooling::Off {
        let engine = engine(config, 0)?;
        return Ok((engine, Allocator { slots: 0, reason: "switched off by the configuration".to_owned() }));
    }
    let first = match engine(config, config.slots) {
        Ok(engine) => {
            return Ok((
                engine,
                Allocator { slots: config.slots, reason: "the machine has room for every slot".to_owned() },
            ));
        }
        Err(error) => error,
    };
    let half = config.slots / 2;
    if half > 0
        && let Ok(engine) = engine(config, half)
    {
        return Ok((
            engine,
            Allocator {
                slots: half,
                reason: format!("{} slots did not fit: {}", config.slots, cause(&first)),
            },
        ));
    }
    let engine = engine(config, 0)?;
    Ok((engine, Allocator { slots: 0, reason: format!("no pool fits: {}", cause(&first)) }))
}

/// An engine that compiles for those of [`build`] and runs nothing: it takes no memory for instances.
pub fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&base()?)
}

fn cause(error: &EngineError) -> String {
    match error {
        EngineError::Config { source } => format!("{source:#}"),
        other => other.to_string(),
    }
}

fn engine(config: &EngineConfig, slots: u32) -> Result<Engine, EngineError> {
    settings(config, slots)
        .and_then(|settings| Engine::new(&settings))
        .map_err(|source| EngineError::Config { source })
}

fn settings(config: &EngineConfig, slots: u32) -> wasmtime::Result<Config> {
    let mut settings = base()?;
    settings
        .max_wasm_stack(config.stack_bytes)
        .async_stack_size(config.stack_bytes + limits::HOST_STACK_BYTES);
    if let Some(memories) = &config.memories {
        // Nobody but the engine can lay the image of a module into its memory.
        settings.with_host_memory(memories.clone()).memory_init_cow(false);
    }
    if slots > 0 {
        settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config, slots)));
    }
    Ok(settings)
}

/// All that compiled code depends on.
fn base() -> wasmtime::Result<Config> {
    let mut settings = Config::new();
    settings
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .consume_fuel(false)
        // Dropping the future of a call then ends the call.
        .concurrency_support(false)
        .wasm_component_model(true)
        .wasm_simd(true)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_extended_const(true)
        .debug_symbols(false)
        .macos_use_mach_ports(false)
        .module_version(ModuleVersionStrategy::Custom(format!("{WASMTIME}-b{PROFILE}")))?;
    for feature in [
        wasmtime::WasmFeatures::THREADS,
        wasmtime::WasmFeatures::SHARED_EVERYTHING_THREADS,
        wasmtime::WasmFeatures::GC,
        wasmtime::WasmFeatures::FUNCTION_REFERENCES,
        wasmtime::WasmFeatures::EXCEPTIONS,
        wasmtime::WasmFeatures::LEGACY_EXCEPTIONS,
        wasmtime::WasmFeatures::STACK_SWITCHING,
    ] {
        settings.wasm_features(feature, false);
    }
    Ok(settings)
}

fn pool(config: &EngineConfig, slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots * 8)
        .total_memories(slots)
        .total_tables(slots * 4)
        .total_stacks(slots)
        .max_core_instances_per_component(narrow(config.ceilings.core_instances))
        .max_memories_per_component(narrow(limits::MEMORIES))
        .max_tables_per_component(narrow(limits::TABLES))
        .max_memories_per_module(1)
        .max_tables_per_module(2)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(config.ceilings.table_elements)
        .max_memory_size(config.ceilings.memory_bytes)
        .max_unused_warm_slots(64)
        .decommit_batch_size(8)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(16 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

fn narrow(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cache;

    struct Still;

    impl berth_core::port::clock::Clock for Still {
        fn now(&self) -> berth_model::Timestamp {
            berth_model::Timestamp::from_micros(0)
        }
    }

    #[test]
    fn what_the_compiler_makes_fits_every_engine_of_this_profile() {
        let ours = cache::profile(&compiler().unwrap());

        for pooling in [Pooling::Probe, Pooling::Off] {
            let defaults = EngineConfig::new(std::sync::Arc::new(Still));
            let config = EngineConfig { pooling, slots: 4, stack_bytes: 1 << 20, ..defaults };
            assert_eq!(cache::profile(&build(&config).unwrap().0), ours, "{pooling:?}");
        }
    }
}
