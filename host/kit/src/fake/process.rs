//! Programs that are run.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_wasm::capability::CapabilityError;
use berth_wasm::capability::process::{Hear, ProgramRunner, Ran, Run};
use berth_wasm::capability::surroundings::{Surroundings as _, Waiter};
use tokio_util::sync::CancellationToken;

use super::{Failures, Uses, lock, quoted};
use crate::report::Failure;
use crate::story::{ProcessFault, ProcessFile};
use crate::time::Time;

/// Programs that answer as a story says.
pub struct Programs {
    runs: Mutex<Vec<Uses<ProcessFile>>>,
    failures: Failures,
    time: Arc<Time>,
}

impl Programs {
    pub fn new(files: Vec<ProcessFile>, failures: Failures, time: Arc<Time>) -> Self {
        Self { runs: Uses::of(files), failures, time }
    }

    /// Programs that were not run as often as they should.
    pub fn unused(&self) -> Vec<Failure> {
        let runs = lock(&self.runs);
        let unused = runs.iter().filter(|uses| !uses.file.optional && uses.used < uses.file.times);
        unused
            .map(|uses| {
                Failure::new(format!("{} {:?} was not run", uses.file.program, uses.file.argv))
                    .with(format!("{} times", uses.file.times), format!("{} times", uses.used))
            })
            .collect()
    }

    fn take(&self, run: &Run) -> Option<ProcessFile> {
        let mut runs = lock(&self.runs);
        let found = runs.iter_mut().find(|uses| {
            let file = &uses.file;
            uses.used < file.times
                && file.program == run.program
                && file.argv == run.argv
                && file.stdin.as_ref().is_none_or(|stdin| stdin.0 == run.stdin)
        })?;
        found.used += 1;
        Some(found.file.clone())
    }
}

#[async_trait]
impl ProgramRunner for Programs {
    async fn run(&self, run: Run, _: &CancellationToken, hear: Hear) -> Result<Ran, CapabilityError> {
        let Some(file) = self.take(&run) else {
            let argv: Vec<String> = run.argv.iter().map(|word| quoted(word)).collect();
            self.failures.add(
                Failure::new(format!("nobody expects the program {} {:?}", run.program, run.argv)).hint(
                    format!(
                        "[[case.process]]\nprogram = {}\nargv = [{}]\nstdout = \"\"",
                        quoted(&run.program),
                        argv.join(", ")
                    ),
                ),
            );
            return Err(CapabilityError::new("KIT_UNSCRIPTED", "the story has no answer to this"));
        };
        if let Some(error) = &file.error {
            return Err(error.error());
        }
        // The words of the launcher: docs/errors/process.tsv.
        match file.fault {
            Some(ProcessFault::Timeout) => {
                let over = self.time.monotonic() + run.timeout;
                self.time.until(over, Waiter::Guest).await;
                let message = format!("`{}` did not end within {} ms", run.program, run.timeout.as_millis());
                return Err(CapabilityError::new("PROGRAM_TIMEOUT", message));
            }
            Some(ProcessFault::Refused) => {
                let message = format!("no rule allows `{}` with these arguments", run.program);
                return Err(CapabilityError::new("COMMAND_REFUSED", message));
            }
            Some(ProcessFault::NotInstalled) => {
                let message = format!("`{}` is not on this machine", run.program);
                return Err(CapabilityError::new("PROGRAM_NOT_INSTALLED", message));
            }
            None => {}
        }
        for line in String::from_utf8_lossy(&file.stdout.0).lines() {
            hear(line);
        }
        let most = run.output_bytes;
        let kept = |bytes: &[u8]| bytes[..bytes.len().min(most)].to_vec();
        Ok(Ran {
            exit: file.exit,
            truncated: file.stdout.0.len() > most || file.stderr.0.len() > most,
            stdout: kept(&file.stdout.0),
            stderr: kept(&file.stderr.0),
        })
    }
}
