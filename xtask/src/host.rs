//! A host process: started, waited for, stopped.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::step;

/// A first start migrates the database and compiles the plugins.
const START: Duration = Duration::from_secs(120);
/// The host promises to stop within 10 s.
const STOP: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_millis(50);
/// One answer of `/health`.
const ANSWER: Duration = Duration::from_secs(2);

/// A running host; dropping it stops it.
pub struct Host {
    child: Child,
    address: SocketAddr,
}

impl Host {
    /// Starts `command`, which will listen on `address`.
    pub fn start(mut command: Command, address: SocketAddr) -> anyhow::Result<Self> {
        own_group(&mut command);
        let program = command.get_program().to_owned();
        let child = command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
        Ok(Self { child, address })
    }

    /// Waits until `/health` answers 200. False when `interrupted` comes first.
    pub fn ready(&mut self, interrupted: impl Fn() -> bool) -> anyhow::Result<bool> {
        let begin = Instant::now();
        while !healthy(self.address) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the host ended with {status} before it was ready; it says why above");
            }
            if interrupted() {
                return Ok(false);
            }
            if begin.elapsed() > START {
                bail!("the host does not answer on http://{}/health", self.address);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(true)
    }

    /// Waits until the host ends or `interrupted` says so, and stops it then.
    pub fn wait(mut self, interrupted: impl Fn() -> bool) -> anyhow::Result<()> {
        while !interrupted() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the host ended with {status}");
            }
            std::thread::sleep(PAUSE);
        }
        step::say("stopping");
        let status = self.stop()?;
        if !status.success() {
            bail!("the host stopped with {status}");
        }
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        terminate(&mut self.child)?;
        let begin = Instant::now();
        while begin.elapsed() < STOP {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(PAUSE);
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!("the host did not stop within {} s and was killed", STOP.as_secs())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            step::say(&format!("{error:#}"));
        }
    }
}

/// The address to listen on; port 0 becomes a free one. Fails when the port is taken.
pub fn free_address(port: u16) -> anyhow::Result<SocketAddr> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(listener) => Ok(listener.local_addr()?),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is in use: stop the program that listens there, or choose another with --port")
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on 127.0.0.1:{port}")),
    }
}

/// The host's own token: it makes one at its first start, unless the environment has one.
pub fn token(data: &Path) -> anyhow::Result<String> {
    match std::env::var("BERTH_ACCESS_TOKEN") {
        Ok(token) => Ok(token),
        Err(_) => Ok(crate::files::read_text(&data.join("access-token"))?.trim().to_owned()),
    }
}

fn healthy(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status = [0_u8; 12];
        stream.read_exact(&mut status)?;
        std::io::Result::Ok(status.ends_with(b" 200"))
    };
    // No answer yet and a wrong answer are the same: not ready.
    ask().unwrap_or(false)
}

/// An interrupt at the terminal goes to us alone, and the host hears of it once.
#[cfg(unix)]
fn own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn own_group(_: &mut Command) {}

/// Asks the process to end.
#[cfg(unix)]
fn terminate(child: &mut Child) -> anyhow::Result<()> {
    // The shell has `kill` built in; the program of that name is not on every system.
    let line = format!("kill -TERM {}", child.id());
    step::quietly("kill", Command::new("sh").args(["-c", &line]))?;
    Ok(())
}

/// There is no such signal here; an interrupt at the terminal has reached the host as well.
#[cfg(not(unix))]
fn terminate(_: &mut Child) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::PathBuf;

    use super::*;

    /// Speaks for a host: 503 until the file is there, then 200.
    fn answers_once(file: PathBuf) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0_u8; 512];
                // A probe that gave up has closed its socket; the next one is answered.
                let Ok(1..) = stream.read(&mut request) else { continue };
                let status = if file.exists() { "200 OK" } else { "503 Service Unavailable" };
                let _closed = write!(stream, "HTTP/1.1 {status}\r\n\r\n");
            }
        });
        address
    }

    /// A program that is ready once it listens to signals, and ends with `status` when told to.
    fn program(file: &Path, status: u8) -> Command {
        let mut command = Command::new("sh");
        let script = format!("trap 'exit {status}' TERM; : > \"$0\"; while :; do sleep 0.1; done");
        command.arg("-c").arg(script).arg(file);
        command
    }

    #[test]
    fn a_host_that_answers_is_ready_and_stops_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ready");
        let mut host = Host::start(program(&file, 0), answers_once(file.clone())).unwrap();

        assert!(host.ready(|| false).unwrap());
        host.wait(|| true).unwrap();
    }

    #[test]
    fn a_host_that_fails_while_stopping_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ready");
        let mut host = Host::start(program(&file, 4), answers_once(file.clone())).unwrap();
        assert!(host.ready(|| false).unwrap());

        let error = host.wait(|| true).unwrap_err().to_string();

        assert!(error.contains("exit status: 4"), "{error}");
    }

    #[test]
    fn a_host_that_ends_early_is_told_apart_from_a_slow_one() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 3"]);
        let mut host = Host::start(command, free_address(0).unwrap()).unwrap();

        let error = host.ready(|| false).unwrap_err().to_string();

        assert!(error.contains("exit status: 3 before it was ready"), "{error}");
    }

    #[test]
    fn a_port_in_use_is_named_with_the_way_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();

        let error = free_address(port).unwrap_err().to_string();

        assert!(error.contains(&format!("port {port} is in use")) && error.contains("--port"), "{error}");
    }
}
