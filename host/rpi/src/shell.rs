//! `rpi.shell.safe_exec`: commands that the operator has written down, by name.
//!
//! No shell, no argument of the caller, a folder of its own, an environment without secrets, and an end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use berth_provider::{Answer, CallContext, CallError, Capability, RiskLevel, Tools};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::argument::closed;

/// What is kept of each stream.
const MAX_OUTPUT_BYTES: usize = 8192;
/// How long the streams may stay open after the command has ended, in the hands of what it has left behind.
const LEFTOVERS: Duration = Duration::from_secs(1);
/// Words before a `=` whose value is not shown.
const SECRETS: [&str; 6] = ["token", "password", "passwd", "secret", "api_key", "apikey"];

/// A command that may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub name: String,
    /// The program and its arguments; never empty.
    pub argv: Vec<String>,
    pub timeout_seconds: Option<u64>,
    pub description: String,
}

/// The commands of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeShell {
    pub templates: Vec<Template>,
    pub sandbox_dir: PathBuf,
    pub default_timeout_seconds: u64,
    pub max_timeout_seconds: u64,
}

impl SafeShell {
    /// Nothing when no command is written down.
    pub fn tools(self) -> Tools {
        if self.templates.is_empty() {
            return Tools::new();
        }
        let names: Vec<&str> = self.templates.iter().map(|template| template.name.as_str()).collect();
        let mut description = "Runs one of the commands that the operator has allowed:".to_owned();
        for Template { name, description: about, .. } in &self.templates {
            description += &format!("\n{name}: {about}");
        }
        let capability = Capability::new("rpi.shell.safe_exec", "Raspberry Pi safe command", &description)
            .takes(closed(
                json!({
                    "command": { "type": "string", "enum": names },
                    "timeout_seconds": { "type": "integer" },
                }),
                &["command"],
            ))
            .answers(json!({
                "type": "object",
                "required": ["summary", "command", "returncode", "stdout", "stderr", "truncated"],
            }))
            .risk(RiskLevel::Destructive)
            .confirmed(true)
            .tags(&["rpi", "shell"]);
        let shell = Arc::new(self);
        Tools::new().with(capability, move |call| {
            let shell = Arc::clone(&shell);
            async move { shell.exec(&call).await }
        })
    }

    async fn exec(&self, call: &CallContext) -> Answer {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Arguments {
            command: String,
            timeout_seconds: Option<i64>,
        }
        let Arguments { command, timeout_seconds } = call.parse()?;
        let named = |template: &&Template| template.name == command.trim();
        let template = self.templates.iter().find(named).ok_or_else(|| {
            let message = format!("`{command}` is not on the list of allowed commands");
            CallError::new("safe_shell_command_not_allowed", message)
        })?;
        let asked = timeout_seconds.map(|seconds| u64::try_from(seconds).unwrap_or(0));
        let seconds = asked.or(template.timeout_seconds).unwrap_or(self.default_timeout_seconds);
        let seconds = seconds.clamp(1, self.max_timeout_seconds.max(1));
        let run = timeout(Duration::from_secs(seconds), run(template, &self.sandbox_dir)).await;
        let done = run.unwrap_or_else(|_| {
            let message = format!("`{}` did not end within {seconds} s", template.name);
            Err(CallError::new("safe_shell_timeout", message).retryable())
        })?;
        let end = done.returncode.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
        Ok(json!({
            "summary": format!("`{}` ended with {end}", template.name),
            "command": template.name,
            "returncode": done.returncode,
            "stdout": done.stdout.text(),
            "stderr": done.stderr.text(),
            "truncated": done.stdout.truncated || done.stderr.truncated,
            "sandbox_dir": self.sandbox_dir.display().to_string(),
        }))
    }
}

struct Done {
    /// `None` when a signal ended it.
    returncode: Option<i32>,
    stdout: Captured,
    stderr: Captured,
}

async fn run(template: &Template, sandbox: &Path) -> Result<Done, CallError> {
    let failed = |what: &str, error: &std::io::Error| {
        CallError::new("operation_failed", format!("`{}`: {what}: {error}", template.name))
    };
    tokio::fs::create_dir_all(sandbox).await.map_err(|error| failed("no folder to run in", &error))?;
    let (program, arguments) = match template.argv.split_first() {
        Some(parts) => parts,
        None => return Err(CallError::new("operation_failed", "the command is empty")),
    };
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(sandbox)
        // The token of this provider is in its environment.
        .env_clear()
        .env("PATH", path)
        .env("HOME", sandbox)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed("it does not start", &error))?;
    let mut group = Group { leader: child.id().and_then(|id| Pid::from_raw(id.cast_signed())) };
    let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
    let status = {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let reads = async { tokio::join!(stdout.read(out), stderr.read(err)) };
        tokio::pin!(reads);
        tokio::select! {
            status = child.wait() => {
                let _ = timeout(LEFTOVERS, reads).await;
                status
            }
            _ = &mut reads => child.wait().await,
        }
    };
    let status = status.map_err(|error| failed("its end was missed", &error))?;
    // It has ended by itself, and its number may be another's by now.
    group.leader = None;
    Ok(Done { returncode: status.code(), stdout, stderr })
}

/// Ends a command together with everything it has started, unless it has ended by itself.
struct Group {
    leader: Option<Pid>,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader
            && let Err(error) = kill_process_group(leader, Signal::KILL)
        {
            tracing::warn!(%error, "a command could not be ended");
        }
    }
}

/// The start of a stream.
#[derive(Default)]
struct Captured {
    bytes: Vec<u8>,
    truncated: bool,
}

impl Captured {
    /// Reads to the end, so that the command never waits for us, and keeps the start.
    async fn read(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            let room = MAX_OUTPUT_BYTES - self.bytes.len();
            self.bytes.extend_from_slice(&piece[..count.min(room)]);
            self.truncated |= count > room;
        }
    }

    fn text(&self) -> String {
        masked(&String::from_utf8_lossy(&self.bytes))
    }
}

/// `token=…` without its value.
fn masked(text: &str) -> String {
    let mask = |word: &str| {
        let bare = word.trim_end();
        match bare.split_once('=') {
            Some((name, value)) if !value.is_empty() => {
                let name_lower = name.to_ascii_lowercase();
                let secret = SECRETS.iter().any(|secret| name_lower.ends_with(secret));
                secret.then(|| format!("{name}=[REDACTED]{}", &word[bare.len()..]))
            }
            _ => None,
        }
        .unwrap_or_else(|| word.to_owned())
    };
    text.split_inclusive(char::is_whitespace).map(mask).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    fn shell(dir: &Path, name: &str, argv: &[&str]) -> Tools {
        let template = Template {
            name: name.to_owned(),
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            timeout_seconds: None,
            description: String::new(),
        };
        SafeShell {
            templates: vec![template],
            sandbox_dir: dir.join("sandbox"),
            default_timeout_seconds: 30,
            max_timeout_seconds: 30,
        }
        .tools()
    }

    async fn exec(tools: &Tools, arguments: Value) -> Answer {
        tools.call("rpi.shell.safe_exec", arguments).await
    }

    #[tokio::test]
    async fn an_allowed_command_runs_in_its_folder_without_our_environment() {
        let dir = tempfile::tempdir().unwrap();
        let script = "pwd; echo ${CARGO_PKG_NAME:-clean}; echo a_token=x b >&2; exit 3";
        let tools = shell(dir.path(), "where", &["sh", "-c", script]);

        let answer = exec(&tools, json!({ "command": "where" })).await.unwrap();

        let sandbox = dir.path().join("sandbox").canonicalize().unwrap();
        assert_eq!(answer["stdout"], format!("{}\nclean\n", sandbox.display()));
        assert_eq!(answer["stderr"], "a_token=[REDACTED] b\n");
        assert_eq!((&answer["returncode"], &answer["truncated"]), (&json!(3), &json!(false)));
    }

    #[tokio::test]
    async fn a_command_that_is_not_on_the_list_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tools = shell(dir.path(), "uptime", &["true"]);

        let other = exec(&tools, json!({ "command": "rm -rf /" })).await.unwrap_err();
        let more = exec(&tools, json!({ "command": "uptime", "argv": ["x"] })).await.unwrap_err();

        assert_eq!(other.code, "safe_shell_command_not_allowed");
        assert_eq!(more.code, "invalid_arguments");
    }

    #[tokio::test]
    async fn a_flood_of_output_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let tools = shell(dir.path(), "flood", &["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"]);

        let answer = exec(&tools, json!({ "command": "flood" })).await.unwrap();

        assert_eq!(answer["stdout"].as_str().unwrap().len(), MAX_OUTPUT_BYTES);
        assert_eq!(answer["truncated"], true);
    }

    // Paused time jumps to the time-out as soon as nothing but the command is left to wait for.
    #[tokio::test(start_paused = true)]
    async fn a_command_that_does_not_end_is_ended_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let tools = shell(dir.path(), "stuck", &["sh", "-c", "sleep 1000 & sleep 1000"]);

        let error = exec(&tools, json!({ "command": "stuck", "timeout_seconds": 0 })).await.unwrap_err();

        assert_eq!((error.code, error.retryable), ("safe_shell_timeout", true));
        assert_eq!(error.message, "`stuck` did not end within 1 s");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let tools = shell(dir.path(), "none", &["/no/such/program"]);

        let error = exec(&tools, json!({ "command": "none" })).await.unwrap_err();

        assert_eq!(error.code, "operation_failed");
        assert!(error.message.contains("does not start"), "{}", error.message);
    }

    #[test]
    fn without_a_command_there_is_no_shell() {
        let shell = SafeShell {
            templates: Vec::new(),
            sandbox_dir: PathBuf::new(),
            default_timeout_seconds: 1,
            max_timeout_seconds: 1,
        };

        assert_eq!(shell.tools().keys().count(), 0);
    }
}
