//! The harness of the stories that run the real binary: a host in a folder of its own, and the command line.
//!
//! Nothing of the caller's environment reaches the programs, and each host takes a free port.
#![allow(dead_code, unused_imports, clippy::unwrap_used, reason = "each story takes what it needs")]

mod process;
mod terminal;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use process::Process;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
pub use terminal::{lines, on_terminal};

/// The line with which a host says where it listens.
const READY: &str = "berth is ready at ";

/// How a host is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Install the plugins that `cargo xtask guests` built.
    pub bundled: bool,
    /// The text of `DIR/berth.toml`; no file when empty.
    pub config: String,
    /// Variables of the host, and of the commands that are run against it.
    pub env: Vec<(String, String)>,
    /// More arguments of `berth serve`.
    pub args: Vec<String>,
    /// The data folder; a new one that goes away with the host when absent.
    pub data: Option<PathBuf>,
}

impl Options {
    pub fn bundled() -> Self {
        Self { bundled: true, ..Self::default() }
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    pub fn arg(mut self, text: impl Into<String>) -> Self {
        self.args.push(text.into());
        self
    }
}

/// A running `berth serve`. Dropping it kills it; when the test fails, what it said is shown.
pub struct Host {
    options: Options,
    data: PathBuf,
    url: String,
    process: Option<Process>,
    /// What the processes before this one said.
    past: String,
    folder: TempDir,
}

impl Host {
    /// Starts a host and waits until it is ready. Panics when it does not get so far.
    pub fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = options.data.clone().unwrap_or_else(|| folder.path().join("data"));
        if !options.config.is_empty() {
            std::fs::create_dir_all(&data).unwrap();
            std::fs::write(data.join("berth.toml"), &options.config).unwrap();
        }
        let mut host = Self { options, data, url: String::new(), process: None, past: String::new(), folder };
        host.launch("127.0.0.1:0");
        host
    }

    /// Such as `http://127.0.0.1:41234`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Such as `127.0.0.1:41234`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub fn token(&self) -> String {
        let set = self.options.env.iter().find(|(name, _)| name == "BERTH_ACCESS_TOKEN");
        match set {
            Some((_, token)) => token.clone(),
            None => std::fs::read_to_string(self.data.join("access-token")).unwrap().trim().to_owned(),
        }
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A folder for other things, which goes away with the host.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the host runs").pid()
    }

    /// What every process of this host has said so far.
    pub fn output(&self) -> String {
        let now = self.process.as_ref().map(Process::output).unwrap_or_default();
        format!("{}{now}", self.past)
    }

    /// Runs a command of `berth` against this host until it ends.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// Runs a command with `text` on its standard input.
    pub fn cli_with_input(&self, arguments: &[&str], text: &str) -> Output {
        let mut process = Process::spawn(&mut self.command(arguments));
        process.write(text);
        process.finish()
    }

    /// Starts a command and leaves it running.
    pub fn spawn(&self, arguments: &[&str]) -> Process {
        Process::spawn(&mut self.command(arguments))
    }

    /// A command of `berth` on the data folder of this host, still to be run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = berth(self.folder.path());
        command.envs(self.options.env.iter().map(|(name, value)| (name, value)));
        command.arg("--data").arg(&self.data).args(arguments);
        command
    }

    /// One request with the token; the status and the body.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let method = method.parse().unwrap();
        let send = async {
            let mut request = reqwest::Client::new().request(method, url).bearer_auth(self.token());
            if let Some(body) = body {
                request = request.json(body);
            }
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.json().await.unwrap_or(Value::Null))
        };
        // A thread of its own, so that a test that is async may call this too.
        std::thread::scope(|scope| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            scope.spawn(move || runtime.block_on(send)).join().unwrap()
        })
    }

    /// Kills the process at once and waits until it is gone.
    pub fn kill9(&mut self) {
        let mut process = self.process.take().expect("the host runs");
        process.kill();
        let ended = process.finish();
        self.keep(&ended);
    }

    /// Asks the process to end and waits until it has. Panics when it does not end well.
    pub fn stop(&mut self) -> Output {
        let process = self.process.take().expect("the host runs");
        process.signal(Signal::TERM);
        let ended = process.finish();
        self.keep(&ended);
        assert_eq!(ended.code, 0, "the host did not stop well:\n{}", self.past);
        ended
    }

    /// Starts again on the same data and, while nobody else has taken it, the same port; stops the host first if it
    /// still runs.
    pub fn restart(&mut self) {
        if self.process.is_some() {
            self.stop();
        }
        let address = self.address().to_owned();
        if self.try_launch(&address).is_err() {
            self.launch("127.0.0.1:0");
        }
    }

    /// Starts a host that is expected to refuse, on the data of this one, which must have been stopped.
    pub fn start_refused(&self, arguments: &[&str]) -> Output {
        let mut command = self.serve("127.0.0.1:0");
        command.args(arguments);
        run(&mut command)
    }

    fn serve(&self, listen: &str) -> Command {
        let mut command = self.command(&["serve", "--listen", listen]);
        if self.options.bundled {
            command.arg("--bundled").arg(built("BERTH_PLUGINS", "plugins"));
        }
        command.args(&self.options.args);
        command
    }

    fn launch(&mut self, listen: &str) {
        if let Err(ended) = self.try_launch(listen) {
            panic!("the host did not start, code {}:\n{}{}", ended.code, ended.out, ended.err);
        }
    }

    fn try_launch(&mut self, listen: &str) -> Result<(), Output> {
        let process = Process::spawn(&mut self.serve(listen));
        let Some(line) = process.wait_for_line(READY) else {
            let ended = process.finish();
            self.keep(&ended);
            return Err(ended);
        };
        self.url = line.split(READY).nth(1).unwrap().trim().to_owned();
        self.process = Some(process);
        let (status, _) = self.request("GET", "/health", None);
        assert_eq!(status, 200, "the host said that it is ready:\n{}", self.output());
        Ok(())
    }

    fn keep(&mut self, ended: &Output) {
        self.past.push_str(&ended.out);
        self.past.push_str(&ended.err);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
            let ended = process.finish();
            self.keep(&ended);
        }
        if std::thread::panicking() {
            eprintln!("--- the host said:\n{}---", self.past);
        }
    }
}

/// How a command ended, and what it printed.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Output {
    /// What was printed by a command that did what it was asked.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    /// The one JSON value that was printed by a command that did what it was asked.
    #[track_caller]
    pub fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// The JSON values of a command that prints one a line.
    #[track_caller]
    pub fn lines(self) -> Vec<Value> {
        let out = self.ok();
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What was said by a command that failed with `code`: for programs on standard output, for people on standard error.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        if self.out.starts_with("{\"error\":") { self.out } else { self.err }
    }
}

/// `berth` with an empty environment and its home in `home`.
pub fn berth(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command.env_clear().env("HOME", home).current_dir(home);
    // Programs on some systems do not start without these.
    for name in ["PATH", "SystemRoot", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs a command with nothing on its standard input.
pub fn run(command: &mut Command) -> Output {
    Output::from(command.stdin(Stdio::null()).output().unwrap())
}

impl From<std::process::Output> for Output {
    fn from(ended: std::process::Output) -> Self {
        Self {
            code: ended.status.code().unwrap_or(-1),
            out: String::from_utf8(ended.stdout).unwrap(),
            err: String::from_utf8(ended.stderr).unwrap(),
        }
    }
}

/// The folder of a plugin that `cargo xtask guests` built.
pub fn plugin(name: &str) -> PathBuf {
    existing(built("BERTH_PLUGINS", "plugins").join(name))
}

/// The file of a guest that `cargo xtask guests` built for tests.
pub fn fixture(name: &str) -> PathBuf {
    existing(built("BERTH_FIXTURES", "fixtures").join(format!("{name}.wasm")))
}

/// The folder of an example plugin that `cargo xtask test` built.
pub fn example(name: &str) -> PathBuf {
    existing(built("BERTH_EXAMPLES", "examples").join(name))
}

/// A program that `cargo xtask test` has installed.
pub fn tool(name: &str) -> PathBuf {
    existing(built("BERTH_CACHE", "tools").join(name))
}

/// Gives a command the tool chains of this machine, and what `cargo xtask test` has installed for other languages.
pub fn tools(command: &mut Command) {
    let names =
        ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "BERTH_GUEST_TOOLCHAIN", "WASI_SDK_PATH"];
    for name in names {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("BERTH_CACHE", built("BERTH_CACHE", "tools"));
    // What plugins in Rust have in common is built once, and nothing is fetched.
    command
        .env("CARGO_TARGET_DIR", built("CARGO_TARGET_DIR", "").join("authors"))
        .env("CARGO_NET_OFFLINE", "true");
}

fn built(variable: &str, folder: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(folder),
    }
}

#[track_caller]
fn existing(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask guests` and `cargo xtask examples`",
        path.display()
    );
    path
}
