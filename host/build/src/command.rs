//! Running the programs of others.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::BuildError;

/// Between two looks at a program that is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs `command` in silence and returns its standard output; what it said is in the error when it fails.
pub fn quietly(what: &str, command: &mut Command) -> Result<String, BuildError> {
    let output = command.stdin(Stdio::null()).output().map_err(cannot_start(command))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        return Err(BuildError::failed(format!("{what} ended with {}", output.status), said));
    }
    Ok(text)
}

/// Runs `command` with its output shown.
pub fn shown(what: &str, command: &mut Command) -> Result<(), BuildError> {
    let status = command.stdin(Stdio::null()).status().map_err(cannot_start(command))?;
    succeeded(what, status)
}

/// Runs `command` in silence, and ends it when it takes longer than `limit`.
pub fn within(limit: Duration, what: &str, command: &mut Command) -> Result<(), BuildError> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(cannot_start(command))?;
    let waiting = || BuildError::io(format!("{what} cannot be waited for"));
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(waiting())? {
            return succeeded(what, status);
        }
        if begin.elapsed() > limit {
            child.kill().and_then(|()| child.wait()).map_err(waiting())?;
            let seconds = limit.as_secs();
            return Err(BuildError::failed(format!("{what} took longer than {seconds} s"), ""));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether `program` is on the path and answers `--version`.
pub fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn succeeded(what: &str, status: ExitStatus) -> Result<(), BuildError> {
    if status.success() { Ok(()) } else { Err(BuildError::failed(format!("{what} ended with {status}"), "")) }
}

fn cannot_start(command: &Command) -> impl FnOnce(std::io::Error) -> BuildError {
    BuildError::io(format!("{} cannot be started", command.get_program().display()))
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_a_program_said_is_in_the_failure_and_a_missing_one_is_named() {
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo one; echo two >&2; exit 3"]);

        let failed = quietly("the build", &mut failing).unwrap_err();
        let missing = quietly("x", &mut Command::new("no-such-program")).unwrap_err();

        assert_eq!(failed.to_string(), "the build ended with exit status: 3:\none\ntwo");
        assert_eq!(failed.code(), "BUILD_FAILED");
        assert_eq!(missing.to_string(), "no-such-program cannot be started");
        assert!(has("sh") || !has("no-such-program"));
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let mut endless = Command::new("tail");
        endless.args(["-f", "/dev/null"]);

        let late = within(Duration::ZERO, "the wait", &mut endless).unwrap_err();

        assert_eq!(late.to_string(), "the wait took longer than 0 s");
    }
}
