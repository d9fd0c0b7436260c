//! Programs of the machine.

use std::sync::Arc;
use std::time::Duration;

use super::{WitError, wit};
use crate::call::state::PluginState;
use crate::capability::grants::HeldScope;
use crate::capability::process::{self, Ran, Run};
use crate::capability::{Capability, CapabilityError, progress};

impl wit::process::Host for PluginState {
    async fn run(
        &mut self,
        program_id: String,
        argv: Vec<String>,
        stdin: Vec<u8>,
        limits: wit::process::Limits,
    ) -> wasmtime::Result<Result<wit::process::Output, WitError>> {
        self.count_host_call();
        let ran = self.run_program(program_id, argv, stdin, &limits).await;
        Ok(ran.map(shown).map_err(WitError::from))
    }
}

impl PluginState {
    async fn run_program(
        &mut self,
        program: String,
        argv: Vec<String>,
        stdin: Vec<u8>,
        limits: &wit::process::Limits,
    ) -> Result<Ran, CapabilityError> {
        let path = limits.folder.clone();
        let wanted = process::wanted(&program, path.as_deref());
        let (asked, below) = (program.clone(), path.clone());
        let covers = |scope: &HeldScope| process::covers(scope, &asked, below.as_deref());
        self.authorize(Capability::Process, wanted.clone(), covers).await?;
        let (limit, _pass) = self.throttled(Capability::Process, covers)?;
        let view = self.grants();
        let folder = path.map(|path| process::work_folder(&view, &path)).transpose()?;
        let left = self.left_ms().min(limit.get("timeout_ms").unwrap_or(u64::MAX));
        let left = Duration::from_millis(left);
        let most = limit.get("max_output_bytes").and_then(|most| usize::try_from(most).ok());
        let run = Run {
            plugin: view.plugin().to_owned(),
            program,
            argv,
            stdin,
            folder,
            timeout: match limits.timeout_ms {
                0 => left,
                wish => left.min(Duration::from_millis(wish.into())),
            },
            output_bytes: match limits.output_bytes {
                0 => most.unwrap_or(usize::MAX),
                wish => usize::try_from(wish).unwrap_or(usize::MAX).min(most.unwrap_or(usize::MAX)),
            },
        };
        let (programs, cancel) = (self.services().programs.clone(), self.cancel().clone());
        let listener = self.progress().clone();
        // Whoever waits for the call sees how far the program is.
        let hear = Arc::new(move |line: &str| {
            let (_, line) = progress::cleaned(None, line);
            if !line.is_empty() {
                listener.report(None, &line);
            }
        });
        self.while_granted(Capability::Process, wanted, covers, programs.run(run, &cancel, hear)).await
    }
}

fn shown(ran: Ran) -> wit::process::Output {
    wit::process::Output {
        exit: ran.exit,
        stdout: ran.stdout,
        stderr: ran.stderr,
        truncated: ran.truncated,
        meta: Vec::new(),
    }
}
