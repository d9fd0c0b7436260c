//! The `berth` binary: configuration, command line, wiring.

mod admin;
mod brain;
mod bundled;
mod channels;
mod cli;
mod client;
mod command;
mod config;
mod confirm;
mod failure;
mod harden;
mod host;
mod interrupt;
mod nearest;
mod output;
mod place;
mod policies;
mod programs;
mod progress;
mod registry;
mod secrets;
mod sockets;
mod stop;
mod system;
mod table;
mod talk;
mod telemetry;
mod terminal;
mod wrap;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};

fn main() -> ExitCode {
    // Before anything else: the compiler of plugins has limits that the rest would not fit in.
    if let Some(arguments) = command::compile::arguments() {
        return command::compile::run(arguments);
    }
    // A process of one thread, which the runtime below would end.
    if let Some(arguments) = command::launch::arguments() {
        return command::launch::run(arguments);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure.
            if !error.use_stderr() {
                output::line(error.render().to_string().trim_end());
                return ExitCode::SUCCESS;
            }
            let failure = failure::Failure::of_words(&error);
            let code = failure.exit_code();
            failure.print(std::env::args().any(|word| word == "--json"));
            return code;
        }
    };
    let json = cli.global.json;
    if let Err(failure) = telemetry::init(cli.global.log_format) {
        let code = failure.exit_code();
        failure.print(json);
        return code;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            failure::Failure::Other(error.into()).print(json);
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.exit_code();
            failure.print(json);
            code
        }
    }
}

async fn run(cli: Cli) -> Result<(), failure::Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Serve(options) => command::serve::run(&global, options).await,
        Command::Chat(options) => command::chat::run(&global, options).await,
        Command::Send(options) => command::send::run(&global, options).await,
        Command::Threads(options) => command::threads::run(&global, options).await,
        Command::Runs(options) => command::runs::run(&global, options).await,
        Command::Endpoints(options) => command::endpoints::run(&global, options).await,
        Command::Approvals(options) => command::approvals::run(&global, options).await,
        Command::Plugin(options) => command::plugin::run(&global, options).await,
        Command::Secret(options) => command::secret::run(&global, options).await,
        Command::Config(options) => command::config::run(&global, &options),
        Command::Token(options) => command::token::run(&global, &options),
        Command::Migrate(options) => command::migrate::run(&global, &options).await,
        Command::Policy(options) => command::policy::run(&global, &options),
        Command::Doctor(options) => command::doctor::run(&global, &options).await,
        Command::Completions(options) => command::completions::run(&global, &options),
        Command::Man(options) => command::man::run(&global, &options),
    }
}
