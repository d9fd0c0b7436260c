//! `cargo xtask`: sets up what berth needs and runs it, or its tests.

mod aimock;
mod bench;
mod conformance;
mod costs;
mod debian;
mod errors;
mod examples;
mod foreign;
mod fuzz;
mod guest;
mod guests;
mod host;
mod postgres;
mod reference;
mod step;
mod table;
mod test;
#[cfg(test)]
mod tidy;
mod up;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use berth_build::{Packages, Workshop, files};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up berth and runs it, or its tests")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds the plugins and the guests of the tests to WebAssembly.
    Guests(guests::Options),
    /// Builds the example plugins, and tests them in their languages.
    Examples,
    /// Writes docs/errors.md from the tables in docs/errors/.
    Errors,
    /// Measures, beside programs of the same kind.
    Bench(bench::Options),
    /// Measures what a plugin in each language costs.
    Costs(costs::Options),
    /// Writes docs/conformance.md from the tables in docs/conformance/.
    Conformance,
    /// Writes docs/plugin-reference.md from the code.
    Reference,
    /// Looks for inputs that break what the readers of foreign input promise.
    Fuzz(fuzz::Options),
    /// Builds what is missing and runs a host with the bundled plugins.
    Up(up::Options),
    /// Installs what the tests need, starts it, runs everything.
    Test(test::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.task {
        Task::Guests(options) => guests::run(&options),
        Task::Errors => errors::run(),
        Task::Examples => examples::all().map(drop),
        Task::Bench(options) => bench::run(&options),
        Task::Costs(options) => costs::run(&options),
        Task::Conformance => conformance::run(),
        Task::Reference => reference::run(),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Up(options) => up::run(&options),
        Task::Test(options) => test::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            step::say(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    // Where cargo runs us from, not where we were built: the same program serves each path that leads here.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map(PathBuf::from).unwrap_or(here)
}

/// The folder of everything that is built, wherever the environment puts that of the host.
fn target() -> PathBuf {
    root().join("target")
}

/// What plugins are built with here: what Debian has is installed, and all else lies below `target/`.
fn workshop(choice: Option<berth_build::Choice>) -> Workshop<'static> {
    Workshop { cache: tools(), packages: Packages::Install, choice, verbose: false, say: &step::say }
}

/// Where the tool chains from npm and PyPI are kept.
fn tools() -> PathBuf {
    target().join("tools")
}

/// The cargo that runs us, at the root of the workspace.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("CARGO_TARGET_DIR", target());
    command
}
