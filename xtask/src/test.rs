//! `cargo xtask test`.

use clap::Args;

use crate::{aimock, debian, examples, foreign, guests, postgres, step};

/// What to run.
#[derive(Args)]
pub struct Options {
    /// Leave out formatting and lints.
    #[arg(long)]
    skip_lint: bool,
    /// Arguments for the test runner, such as a filter.
    #[arg(last = true)]
    runner: Vec<String>,
}

/// Sets up and runs everything; the first failure ends it.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if !options.skip_lint {
        step::run("checking the format", crate::cargo().args(["fmt", "--all", "--check"]))?;
        step::run(
            "linting",
            crate::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        )?;
    }
    if !options.skip_lint {
        lint_pins()?;
        pages_of_items()?;
        deny()?;
    }
    if options.runner.is_empty() {
        step::run(
            "building the tests",
            crate::cargo().args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-run"]),
        )?;
        step::run(
            "testing the documentation",
            crate::cargo().args(["test", "--doc", "--workspace", "--quiet"]),
        )?;
    }
    guests::all()?;
    let script = aimock::install()?;
    let foreign = foreign::build()?;
    let examples = examples::all()?;
    let cluster = postgres::Cluster::start()?;
    if !step::has("docker-registry") {
        debian::install(&["docker-registry"])?;
    }
    // The tests run in our process group: an interrupt ends them, and we live on to stop the cluster.
    ctrlc::set_handler(|| step::say("interrupted: stopping"))?;

    let mut tests = crate::cargo();
    if step::has("cargo-nextest") {
        tests.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        step::say("cargo-nextest is not installed: using cargo test (cargo install cargo-nextest --locked)");
        // Not all targets: a bench that is run as a test measures for minutes.
        tests.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    tests.args(&options.runner).env("BERTH_AIMOCK", script).env("BERTH_TEST_POSTGRES_URL", cluster.url());
    tests.env("BERTH_FOREIGN", foreign).env("BERTH_EXAMPLES", examples).env("BERTH_CACHE", crate::tools());
    let target = crate::target();
    tests.env("BERTH_PLUGINS", target.join("plugins")).env("BERTH_FIXTURES", target.join("fixtures"));
    // Traps and errors capture a backtrace each when this is set; the tests measure none of them.
    tests.env("RUST_BACKTRACE", "0");
    step::run("testing", &mut tests)?;
    Ok(())
}

/// The backends of `berth-pi` that need hardware to run are at least compiled, each alone and both.
fn lint_pins() -> anyhow::Result<()> {
    for backends in ["gpiocdev", "rppal", "gpiocdev,rppal"] {
        let features: Vec<_> = backends.split(',').map(|backend| format!("berth-rpi/{backend}")).collect();
        let mut command = crate::cargo();
        // The whole workspace, so that what has been checked counts: a part of it has other features.
        command.args(["clippy", "--workspace", "--all-targets", "--features", &features.join(",")]);
        command.args(["--", "-D", "warnings"]);
        step::run(&format!("linting the pins with {backends}"), &mut command)?;
    }
    Ok(())
}

/// Links of doc comments lead somewhere.
fn pages_of_items() -> anyhow::Result<()> {
    let mut command = crate::cargo();
    command.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
    step::run("reading the documentation of items", &mut command)
}

/// Licences, banned crates and sources, by deny.toml; none of it needs the network.
fn deny() -> anyhow::Result<()> {
    if !step::has("cargo-deny") {
        step::say(
            "cargo-deny is not installed: banned crates and sources are not checked (cargo install cargo-deny --locked)",
        );
        return Ok(());
    }
    let mut command = crate::cargo();
    command.args(["deny", "--offline", "check", "licenses", "bans", "sources"]);
    step::run("checking licences", &mut command)
}
