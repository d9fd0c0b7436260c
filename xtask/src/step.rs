//! Running commands, and telling what is going on.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};
pub use berth_build::command::{has, quietly};

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
