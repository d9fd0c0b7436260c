//! A process for each compilation, with limits on memory, CPU time and wall time.
//!
//! What goes in is the component, what comes out is machine code or a reason; [`super::job`] is the other side. The
//! process has no environment, no open file of ours, and ends with its time, with the host or with the caller.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use wasmtime::Engine;

use super::{CompileError, Compiler, job};
use crate::engine::cache;
use crate::limits::compile as limits;

/// What a compiling process says of its end, at most.
const LAST_WORDS_BYTES: u64 = 16 << 10;

/// What one compilation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space.
    pub memory_bytes: u64,
    /// Of all threads together; whole seconds.
    pub cpu: Duration,
    pub wall: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { memory_bytes: limits::MEMORY_BYTES, cpu: limits::CPU, wall: limits::WALL }
    }
}

/// Compiles in child processes.
#[derive(Debug, Clone)]
pub struct ChildCompiler {
    program: OsString,
    limits: CompileLimits,
}

impl ChildCompiler {
    /// `program` runs [`job::main`] when its first argument is [`job::WORD`].
    pub fn new(program: impl Into<OsString>, limits: CompileLimits) -> Self {
        Self { program: program.into(), limits }
    }

    /// The program that runs now, even when its file was replaced or removed since it began.
    pub fn this_program(limits: CompileLimits) -> std::io::Result<Self> {
        let program = if cfg!(target_os = "linux") {
            OsString::from("/proc/self/exe")
        } else {
            std::env::current_exe()?.into_os_string()
        };
        Ok(Self::new(program, limits))
    }

    fn start(&self) -> Result<Child, CompileError> {
        let mut command = Command::new(&self.program);
        command
            .arg(job::WORD)
            .arg(self.limits.memory_bytes.to_string())
            .arg(self.limits.cpu.as_secs().max(1).to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // A Ctrl-C for the host is the host's to answer.
        #[cfg(unix)]
        command.process_group(0);
        command.spawn().map_err(|source| CompileError::Start { source })
    }

    /// Names what ended a process that left no answer.
    fn ended(&self, status: ExitStatus, said: &str) -> CompileError {
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt as _;

            match status.signal() {
                Some(SIGXCPU) => return CompileError::Time { seconds: self.limits.cpu.as_secs() },
                // Not by us, who have dropped it by then: the kernel is short of memory itself.
                Some(SIGKILL) => return CompileError::Memory { limit_bytes: self.limits.memory_bytes },
                _ => {}
            }
        }
        if job::is_out_of_memory(said) {
            return CompileError::Memory { limit_bytes: self.limits.memory_bytes };
        }
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        CompileError::Crashed { message: format!("{status}: {}", last.trim()) }
    }
}

#[cfg(unix)]
const SIGXCPU: i32 = 24;
#[cfg(unix)]
const SIGKILL: i32 = 9;

#[async_trait]
impl Compiler for ChildCompiler {
    async fn compile(&self, engine: &Engine, component: Bytes) -> Result<Vec<u8>, CompileError> {
        let mut child = self.start()?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(CompileError::Crashed { message: "it has no pipes".to_owned() });
        };
        let talk = async {
            // A process that has ended already does not read; how it ended says more than this failure.
            let length = u64::try_from(component.len()).unwrap_or(u64::MAX).to_le_bytes();
            let asked = async {
                stdin.write_all(&length).await?;
                stdin.write_all(&component).await?;
                stdin.flush().await
            };
            let (_, answer, said) =
                tokio::join!(asked, all(stdout, limits::ARTIFACT_BYTES + 64), all(stderr, LAST_WORDS_BYTES));
            // It ends when its input does, so the input ends with the host and not before the answer.
            drop(stdin);
            let status = child.wait().await.map_err(|source| CompileError::Start { source })?;
            Ok((status, answer, said))
        };
        let (status, answer, said) = match tokio::time::timeout(self.limits.wall, talk).await {
            Ok(ended) => ended?,
            // Dropping the process kills it.
            Err(_) => return Err(CompileError::Time { seconds: self.limits.wall.as_secs() }),
        };
        match job::Answer::read(&answer) {
            Some(job::Answer::Code { profile, code }) if profile == cache::profile(engine) => {
                Ok(code.to_vec())
            }
            Some(job::Answer::Code { .. }) => Err(CompileError::Build),
            Some(job::Answer::Refused { message }) if job::is_out_of_memory(&message) => {
                Err(CompileError::Memory { limit_bytes: self.limits.memory_bytes })
            }
            Some(job::Answer::Refused { message }) => Err(CompileError::Refused { message }),
            None => Err(self.ended(status, &String::from_utf8_lossy(&said))),
        }
    }
}

/// Reads to the end, or as far as `limit`.
async fn all(from: impl AsyncRead + Unpin, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before a failure is what there is.
    let _ = from.take(limit).read_to_end(&mut bytes).await;
    bytes
}
