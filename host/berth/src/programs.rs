//! Programs of this machine, as plugins run them: the policy in the data folder, and this very binary as the launcher.

use std::path::PathBuf;

use async_trait::async_trait;
use berth_process::{Broker, Folder, Policy, ProcessError, Request, broker};
use berth_wasm::capability::CapabilityError;
use berth_wasm::capability::files::{self, Access};
use berth_wasm::capability::process::{Hear, ProgramRunner, Ran, Run, WorkFolder};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::place::DataDir;

/// The policy of commands inside the data folder.
const FILE: &str = "policies/commands.toml";

/// Reads the policy of commands: that of the data folder, or the built-in one.
pub fn policy(data: &DataDir) -> Result<Policy, Failure> {
    Policy::load(&path(data)).map_err(|error| Failure::failed("policy_invalid", error.to_string()))
}

/// Where the policy of commands is, when there is one.
pub fn path(data: &DataDir) -> PathBuf {
    data.path().join(FILE)
}

/// Runs what the policy allows.
pub struct Programs {
    broker: Broker,
    /// The data folder, without links: no program sees it.
    private: PathBuf,
}

impl Programs {
    pub fn new(data: &DataDir) -> Result<Self, Failure> {
        let launcher = broker::this_program().map_err(anyhow::Error::from)?;
        let private = data.path().canonicalize().map_err(anyhow::Error::from)?;
        let broker = Broker::new(policy(data)?, launcher);
        let missing = broker.layers().missing();
        if !missing.is_empty() {
            tracing::warn!(layers = broker.layers().summary(), "this machine lacks walls around programs");
        }
        Ok(Self { broker, private })
    }

    /// The folder without links, unless it shows what is the host's own.
    fn folder(&self, folder: &WorkFolder) -> Result<Folder, CapabilityError> {
        let bad = |message: String| CapabilityError::new("PROGRAM_FOLDER", message);
        let root = folder.root.canonicalize().map_err(|error| bad(error.to_string()))?;
        if files::shows_private(&root, &self.private) {
            return Err(bad("it shows the data folder of the host".to_owned()));
        }
        let below = folder.at.strip_prefix(&folder.root).map_err(|error| bad(error.to_string()))?;
        Ok(Folder { at: root.join(below), root, is_writable: folder.access == Access::ReadWrite })
    }
}

#[async_trait]
impl ProgramRunner for Programs {
    async fn run(&self, run: Run, cancel: &CancellationToken, hear: Hear) -> Result<Ran, CapabilityError> {
        let folder = run.folder.as_ref().map(|folder| self.folder(folder)).transpose()?;
        let request = Request {
            caller: run.plugin,
            program: run.program,
            argv: run.argv,
            stdin: run.stdin,
            folder,
            timeout: run.timeout,
            output_bytes: run.output_bytes,
        };
        let output = self.broker.run_heard(request, cancel, hear).await.map_err(|error| refused(&error))?;
        Ok(Ran {
            exit: output.exit,
            stdout: output.stdout,
            stderr: output.stderr,
            truncated: output.truncated,
        })
    }
}

fn refused(error: &ProcessError) -> CapabilityError {
    let mut refused = CapabilityError::new(error.code(), error.to_string());
    refused.retryable = error.is_retryable();
    match error {
        ProcessError::Refused(refusal) => {
            refused.with_details(json!({ "argument": refusal.argument, "line": refusal.line }))
        }
        _ => refused,
    }
}
