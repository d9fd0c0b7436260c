//! Running commands, and telling what is going on.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A line for the person who waits.
#[expect(clippy::print_stdout, reason = "this is a command line tool")]
pub fn say(line: &str) {
    println!("xtask: {line}");
}

/// Runs `command` with its output shown, and says how long it took.
pub fn run(what: &str, command: &mut Command) -> anyhow::Result<()> {
    say(what);
    let begin = Instant::now();
    let status =
        command.status().with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    if !status.success() {
        bail!("{what}: {} ended with {status}", command.get_program().display());
    }
    say(&format!("{what}: done in {:.1} s", begin.elapsed().as_secs_f32()));
    Ok(())
}

/// Runs `command` in silence; its output is shown only when it fails.
pub fn quietly(what: &str, command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{what} ended with {}:\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// Runs `command` with its output shown, and ends it when it takes longer than `limit`.
pub fn within(limit: Duration, what: &str, command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begin.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("{what} took longer than {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        bail!("{what} ended with {status}");
    }
    Ok(())
}

/// Whether `program` is on the path and answers `--version`.
pub fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
