//! Who turns a component into machine code.
//!
//! A component can be made to need gigabytes or minutes to compile, whatever is counted before. So the host hands it
//! to a process of its own that has limits and nothing to lose: [`child::ChildCompiler`].

pub mod child;
pub mod job;

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime::Engine;

/// Compiles components.
#[async_trait]
pub trait Compiler: Send + Sync {
    /// The machine code of `component` for engines with the settings of `engine`.
    ///
    /// Cancel-safe: dropping the future ends the work, or lets it end by itself without an effect.
    async fn compile(&self, engine: &Engine, component: Bytes) -> Result<Vec<u8>, CompileError>;
}

/// Why a component has no machine code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the compiler refused the component: {message}")]
    Refused { message: String },
    #[error("compiling the component takes more than {limit_bytes} bytes of memory")]
    Memory { limit_bytes: u64 },
    #[error("compiling the component takes more than {seconds} s")]
    Time { seconds: u64 },
    #[error("the compiler broke down over the component: {message}")]
    Crashed { message: String },
    #[error("the compiler could not be started")]
    Start { source: std::io::Error },
    #[error("the program of the compiler is another build than this host")]
    Build,
}

impl CompileError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "PLUGIN_COMPILE_FAILED",
            Self::Memory { .. } => "PLUGIN_COMPILE_MEMORY",
            Self::Time { .. } => "PLUGIN_COMPILE_TIMEOUT",
            Self::Crashed { .. } => "PLUGIN_COMPILE_CRASHED",
            Self::Start { .. } | Self::Build => "PLUGIN_COMPILER_UNAVAILABLE",
        }
    }
}

/// Compiles in this process, without limits: for tests and benches, and for components that are trusted.
pub struct InProcess;

#[async_trait]
impl Compiler for InProcess {
    async fn compile(&self, engine: &Engine, component: Bytes) -> Result<Vec<u8>, CompileError> {
        let engine = engine.clone();
        tokio::task::spawn_blocking(move || {
            engine
                .precompile_component(&component)
                .map_err(|error| CompileError::Refused { message: format!("{error:#}") })
        })
        .await
        .unwrap_or_else(|stopped| Err(CompileError::Crashed { message: stopped.to_string() }))
    }
}
