//! Runs programs for plugins: rule, sandbox, time, output.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::error::ProcessError;
use crate::launch::{self, Order, Report};
use crate::layers::{Layer, Layers};
use crate::policy::{FolderRule, Policy, Program};
use crate::rule::Allowed;

/// How long the supervisor may take to end what it started.
const ENDING: Duration = Duration::from_secs(5);
/// Added to a signal's number to make an exit code of it, as shells do.
const SIGNALLED: i32 = 128;
/// The longest line that is told while a program runs.
pub const LINE_BYTES: usize = 1000;
/// The longest report of the supervisor.
const REPORT_BYTES: u64 = 64 << 10;

/// Hears each line of a running program.
pub type Hear = Arc<dyn Fn(&str) + Send + Sync>;

/// A folder that the plugin was granted, as a program may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The folder of the grant, without links.
    pub root: PathBuf,
    /// Where the program works, at or below the root.
    pub at: PathBuf,
    /// Whether the grant lets it be written.
    pub is_writable: bool,
}

/// A program to run, as a plugin asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks; programs of one caller have a number of their own.
    pub caller: String,
    pub program: String,
    pub argv: Vec<String>,
    pub stdin: Vec<u8>,
    pub folder: Option<Folder>,
    /// Cut to that of the policy.
    pub timeout: Duration,
    /// What is kept of each output; cut to that of the policy.
    pub output_bytes: usize,
}

/// What came of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; 128 and its number when a signal ended the program.
    pub exit: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Whether an output was longer than what is kept of it.
    pub truncated: bool,
}

/// Runs programs by a policy. Cheap to clone.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    policy: Policy,
    layers: Layers,
    launcher: PathBuf,
    running: Arc<Semaphore>,
    callers: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Broker {
    /// `launcher` is a program that calls [`launch::main`] when its first argument is [`launch::WORD`].
    pub fn new(policy: Policy, launcher: impl Into<PathBuf>) -> Self {
        let layers = Layers::probe(policy.sandbox.bubblewrap.as_deref());
        let running = Arc::new(Semaphore::new(policy.sandbox.concurrent));
        Self(Arc::new(Inner {
            policy,
            layers,
            launcher: launcher.into(),
            running,
            callers: Mutex::default(),
        }))
    }

    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    pub fn layers(&self) -> &Layers {
        &self.0.layers
    }

    /// Runs a program to its end, its time or the end of the call.
    ///
    /// Cancel-safe: dropping this ends the program and everything that it started. Fails with `COMMAND_REFUSED` and the
    /// codes beginning with `PROGRAM_`.
    pub async fn run(&self, request: Request, cancel: &CancellationToken) -> Result<Output, ProcessError> {
        self.run_heard(request, cancel, Arc::new(|_| {})).await
    }

    /// The same, with each line of both outputs told to `hear` as it comes, without its end and cut to
    /// [`LINE_BYTES`]; what is beyond the kept output is not told.
    pub async fn run_heard(
        &self,
        request: Request,
        cancel: &CancellationToken,
        hear: Hear,
    ) -> Result<Output, ProcessError> {
        let inner = &self.0;
        let allowed = inner.policy.check(&request.program, &request.argv).map_err(ProcessError::Refused)?;
        let limits = &allowed.program.limits;
        if request.stdin.len() > limits.stdin_bytes {
            let bytes = request.stdin.len();
            return Err(ProcessError::InputTooLarge { bytes, limit: limits.stdin_bytes });
        }
        let order = inner.order(&allowed, request.folder.as_ref())?;
        let _permits = inner.permits(&request.caller)?;
        let kept = request.output_bytes.min(limits.output_bytes);
        let timeout = request.timeout.min(limits.timeout);
        let started = inner.start(&order, request.stdin)?;
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(ProcessError::Cancelled),
            ended = started.finish(&order, kept, timeout, hear) => ended,
        }
    }
}

impl Inner {
    fn permits(&self, caller: &str) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), ProcessError> {
        let (all, one) = (self.policy.sandbox.concurrent, self.policy.sandbox.concurrent_per_plugin);
        let own = {
            let mut callers = self.callers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            // Those who run nothing are forgotten.
            callers.retain(|_, semaphore| semaphore.available_permits() < one);
            callers.entry(caller.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(one))).clone()
        };
        let own =
            own.try_acquire_owned().map_err(|_| ProcessError::Busy { what: "the plugin", limit: one })?;
        let host = self
            .running
            .clone()
            .try_acquire_owned()
            .map_err(|_| ProcessError::Busy { what: "the host", limit: all })?;
        Ok((own, host))
    }

    fn order(&self, allowed: &Allowed<'_>, folder: Option<&Folder>) -> Result<Order, ProcessError> {
        let program = allowed.program;
        let missing = self.layers.missing();
        if !missing.is_empty() && !self.policy.sandbox.allow_weaker {
            return Err(ProcessError::Weaker { layers: missing });
        }
        let path = file(program)?;
        let (at, mut read, mut write) = (PathBuf::from("/"), program.read.clone(), Vec::new());
        let at = match (program.folder, folder) {
            (FolderRule::Needed, None) => {
                return Err(ProcessError::FolderNeeded { program: program.id.clone() });
            }
            (FolderRule::None, Some(_)) => {
                return Err(ProcessError::FolderUnused { program: program.id.clone() });
            }
            (_, None) => at,
            (_, Some(folder)) => {
                let at = checked(folder)?;
                let seen = if allowed.write && folder.is_writable { &mut write } else { &mut read };
                seen.push(folder.root.clone());
                at
            }
        };
        let mut env = program.env.clone();
        for name in &program.env_from_host {
            if let Ok(value) = std::env::var(name) {
                env.entry(name.clone()).or_insert(value);
            }
        }
        let limits = &program.limits;
        Ok(Order {
            path,
            argv: allowed.argv.clone(),
            env,
            folder: at,
            read,
            execute: program.execute.clone(),
            connect: program.connect.clone(),
            cpu_seconds: limits.cpu.as_secs().max(1),
            memory_bytes: limits.memory_bytes,
            file_bytes: if write.is_empty() { 0 } else { limits.file_bytes },
            write,
            open_files: limits.open_files,
            processes: limits.processes,
            user: (limits.processes > 0 && rustix::process::geteuid().is_root())
                .then_some(self.policy.sandbox.user),
            landlock: !missing.contains(&Layer::Landlock),
            seccomp: !missing.contains(&Layer::Seccomp),
            bubblewrap: self
                .policy
                .sandbox
                .bubblewrap
                .clone()
                .filter(|_| !missing.contains(&Layer::Bubblewrap)),
            mark: hex::encode(rand::random::<[u8; 16]>()),
        })
    }

    /// Starts the supervisor. From here on everything ends when the socket does.
    fn start(&self, order: &Order, stdin: Vec<u8>) -> Result<Started, ProcessError> {
        let failed = |error: io::Error| ProcessError::Launcher { message: error.to_string() };
        let order = serde_json::to_vec(order).map_err(|error| failed(error.into()))?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let socket = UnixStream::from_std(ours).map_err(failed)?;
        let mut command = Command::new(&self.launcher);
        command
            .arg(launch::WORD)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Killing the supervisor would leave what the program started: it ends by itself when the socket does.
            .kill_on_drop(false);
        let child = command.spawn().map_err(failed)?;
        Ok(Started { socket, child, messages: [order, stdin] })
    }
}

/// The file of a program, when nobody else can change it.
fn file(program: &Program) -> Result<PathBuf, ProcessError> {
    let Some(path) = program.file() else {
        let paths: Vec<_> = program.paths.iter().map(|path| path.display().to_string()).collect();
        return Err(ProcessError::NotInstalled { program: program.id.clone(), paths: paths.join(", ") });
    };
    let changeable =
        || ProcessError::Changeable { program: program.id.clone(), path: path.display().to_string() };
    let metadata = path.metadata().map_err(|_| changeable())?;
    let owner = metadata.uid();
    let is_ours = owner == 0 || owner == rustix::process::geteuid().as_raw();
    if metadata.mode() & 0o022 != 0 || !is_ours {
        return Err(changeable());
    }
    Ok(path.to_owned())
}

/// The working folder, which no link leads out of its root.
fn checked(folder: &Folder) -> Result<PathBuf, ProcessError> {
    let bad = |message: String| ProcessError::Folder { message };
    let at = folder.at.canonicalize().map_err(|error| bad(error.to_string()))?;
    if !at.starts_with(&folder.root) {
        return Err(bad("it leads out of what was granted".to_owned()));
    }
    if at.is_dir() { Ok(at) } else { Err(bad("it is no folder".to_owned())) }
}

/// A supervisor at work.
struct Started {
    socket: UnixStream,
    child: Child,
    messages: [Vec<u8>; 2],
}

impl Started {
    async fn finish(
        mut self,
        order: &Order,
        kept: usize,
        timeout: Duration,
        hear: Hear,
    ) -> Result<Output, ProcessError> {
        let (Some(stdout), Some(stderr)) = (self.child.stdout.take(), self.child.stderr.take()) else {
            return Err(ProcessError::Launcher { message: "it has no pipes".to_owned() });
        };
        let Self { socket, mut child, messages } = self;
        let (mut hearing, mut saying) = socket.into_split();
        let talk = async {
            for message in &messages {
                let length = u32::try_from(message.len()).map_err(io::Error::other)?;
                saying.write_all(&length.to_le_bytes()).await?;
                saying.write_all(message).await?;
            }
            let length = hearing.read_u32_le().await?;
            let mut report = Vec::new();
            let mut report_of = (&mut hearing).take(u64::from(length).min(REPORT_BYTES));
            report_of.read_to_end(&mut report).await?;
            io::Result::Ok(report)
        };
        // What the last step says of itself needs no room of the program's.
        let room = kept.max(4096);
        // Nor is it a line of the program's.
        let (mark, told) = (order.mark.clone(), hear.clone());
        let heard: Hear = Arc::new(move |line| {
            if !line.starts_with(&mark) {
                told(line);
            }
        });
        let all = async { tokio::join!(talk, capped(stdout, kept, hear), capped(stderr, room, heard)) };
        let Ok((report, out, err)) = tokio::time::timeout(timeout, all).await else {
            drop((hearing, saying));
            ended(&mut child).await;
            return Err(ProcessError::Timeout { seconds: timeout.as_secs_f64() });
        };
        drop((hearing, saying));
        ended(&mut child).await;
        let report = report.map_err(|error| ProcessError::Launcher { message: error.to_string() })?;
        let report: Report = serde_json::from_slice(&report)
            .map_err(|error| ProcessError::Launcher { message: error.to_string() })?;
        let (stdout, mut stderr) = (out, err);
        if let Some(said) = stderr.bytes.strip_prefix(order.mark.as_bytes()) {
            let message = String::from_utf8_lossy(said).trim().to_owned();
            return Err(ProcessError::Start { message });
        }
        if stderr.bytes.len() > kept {
            stderr.bytes.truncate(kept);
            stderr.truncated = true;
        }
        let exit = match report {
            Report::Exited(code) => code,
            Report::Signalled(signal) => SIGNALLED + signal,
            Report::Failed(message) => return Err(ProcessError::Start { message }),
        };
        Ok(Output {
            exit,
            truncated: stdout.truncated || stderr.truncated,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
        })
    }
}

/// Waits for the end of a supervisor that has been told. One that does not end is ended.
async fn ended(child: &mut Child) {
    match tokio::time::timeout(ENDING, child.wait()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the supervisor of a program was lost"),
        Err(_) => {
            tracing::error!("the supervisor of a program did not end and is killed");
            if let Err(error) = child.kill().await {
                tracing::warn!(%error, "the supervisor of a program could not be killed");
            }
        }
    }
}

/// What is kept of an output.
struct Capped {
    bytes: Vec<u8>,
    truncated: bool,
}

/// Reads to the end or to the cap. Beyond it the pipe is closed, which ends a program that goes on writing.
async fn capped(from: impl AsyncRead + Unpin, cap: usize, hear: Hear) -> Capped {
    let mut bytes = Vec::new();
    let mut limited = from.take(u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1));
    let mut told = 0;
    // A broken pipe is the end of it.
    while limited.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        while let Some(length) = bytes[told..].iter().position(|byte| *byte == b'\n') {
            tell(&bytes[told..told + length], &hear);
            told += length + 1;
        }
    }
    if told < bytes.len() {
        tell(&bytes[told..], &hear);
    }
    let truncated = bytes.len() > cap;
    bytes.truncate(cap);
    Capped { bytes, truncated }
}

/// Tells one line.
fn tell(line: &[u8], hear: &Hear) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if !text.is_empty() {
        hear(&text[..text.floor_char_boundary(LINE_BYTES)]);
    }
}

/// Path of this very program, for [`Broker::new`].
pub fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok(Path::new("/proc/self/exe").to_owned())
    } else {
        std::env::current_exe()
    }
}
