//! `cargo xtask up`: builds what is missing and runs a host.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use clap::Args;

use crate::host::{self, Host};
use crate::{guests, step};

/// Where the host listens, and where it keeps its state.
#[derive(Args)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// The folder with database, token, configuration; made when missing.
    #[arg(long, default_value = ".berth")]
    data: PathBuf,
}

/// Runs until an interrupt.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let address = host::free_address(options.port)?;
    let data = std::path::absolute(&options.data)?;
    check_compiler()?;
    step::run(
        "building the host",
        crate::cargo().args([
            "build",
            "--release",
            "--bins",
            "-p",
            "berth",
            "-p",
            "berth-edge",
            "-p",
            "berth-rpi",
        ]),
    )?;
    guests::plugins()?;
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;

    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = || stop.load(Ordering::SeqCst);
    ctrlc::set_handler({
        let stop = Arc::clone(&stop);
        move || stop.store(true, Ordering::SeqCst)
    })?;
    let program = crate::target().join("release").join(format!("berth{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(&program);
    command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(&data);
    command.arg("--bundled").arg(crate::target().join("plugins"));
    let mut running = Host::start(command, address)?;
    if running.ready(interrupted)? {
        let token = host::token(&data)?;
        let program = program.display();
        step::say(&format!("berth is ready at http://{address}"));
        step::say(&format!("access token: {token}"));
        step::say("try, in another terminal:");
        step::say(&format!("  export BERTH_URL=http://{address} BERTH_ACCESS_TOKEN={token}"));
        step::say(&format!("  {program} chat hello"));
        step::say(&format!("  {program} chat '/call echo_say {{\"text\": \"hi\"}}'"));
        step::say(&format!("state is in {}; Ctrl-C stops the host", data.display()));
    }
    running.wait(interrupted)
}

/// SQLite is C, and so are parts of the TLS library.
fn check_compiler() -> anyhow::Result<()> {
    if cfg!(unix) && std::env::var_os("CC").is_none() && !step::has("cc") {
        bail!(
            "no C compiler: `apt-get install build-essential` on Debian, `xcode-select --install` on macOS, \
             or name yours in the variable CC"
        );
    }
    Ok(())
}
