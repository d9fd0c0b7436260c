//! A broker over a policy of the story, with programs of this machine.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use berth_process::{Broker, Folder, Output, Policy, ProcessError, Request};
use tokio_util::sync::CancellationToken;

/// Longer than any program of a story takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A shell that may run what the system has: the hostile program of these stories. `more` are lines of its rule.
pub fn shell(more: &str) -> String {
    format!(
        "[program.sh]\npath = \"/bin/sh\"\nfolder = \"optional\"\nflags = [\"-c\"]\npositionals = {{ of = \"text\", most = 9 }}\n\
         execute = [\"/usr/bin\", \"/bin\"]\ntimeout_ms = 60000\nenv = {{ PATH = \"/usr/bin:/bin\" }}\n{more}\n"
    )
}

pub fn broker(policy: &str) -> Broker {
    let policy = Policy::parse("commands.toml", policy).unwrap();
    Broker::new(policy, env!("CARGO_BIN_EXE_berth-launch"))
}

pub fn request(program: &str, argv: &[&str]) -> Request {
    Request {
        caller: "plugin".to_owned(),
        program: program.to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        stdin: Vec::new(),
        folder: None,
        timeout: PATIENCE,
        output_bytes: 1 << 20,
    }
}

/// A line for the shell.
pub fn line(line: &str) -> Request {
    request("sh", &["-c", line])
}

pub fn folder(path: &Path, is_writable: bool) -> Option<Folder> {
    let root = path.canonicalize().unwrap();
    Some(Folder { at: root.clone(), root, is_writable })
}

pub async fn run(broker: &Broker, request: Request) -> Result<Output, ProcessError> {
    broker.run(request, &CancellationToken::new()).await
}

/// What a line of the shell says, both ways.
pub async fn said(broker: &Broker, request: Request) -> (i32, String) {
    let output = run(broker, request).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.exit, String::from_utf8(text).unwrap())
}

/// Processes whose command line holds `mark`, zombies too.
pub fn alive(mark: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let words = std::fs::read(entry.path().join("cmdline")).ok()?;
            String::from_utf8_lossy(&words).contains(mark).then_some(id)
        })
        .filter(|id| *id != std::process::id())
        .collect()
}
