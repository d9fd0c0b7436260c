//! A program of ours as its owner starts it; shared by the stories of `berth-edge` and `berth-pi`.

use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// A program with an empty environment; it ends with its story.
pub fn program(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments).env_clear().kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Its exit code and all that it said on standard error.
pub async fn ended(mut command: Command) -> (i32, String) {
    let Output { status, stderr, .. } = command.output().await.unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

/// A program that runs.
pub struct Running {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log }
    }

    /// Skips its log up to a line with this text.
    pub async fn says(&mut self, text: &str) -> String {
        let mut before = String::new();
        while let Some(line) = self.log.next_line().await.unwrap() {
            if line.contains(text) {
                return line;
            }
            before += &line;
        }
        panic!("it never says {text}: {before}");
    }

    pub async fn stops(mut self) -> (i32, String) {
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let mut rest = String::new();
        while let Some(line) = self.log.next_line().await.unwrap() {
            rest += &format!("{line}\n");
        }
        (self.child.wait().await.unwrap().code().unwrap(), rest)
    }
}

/// A file with this content, and the folder that it goes away with.
pub fn file(content: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}
