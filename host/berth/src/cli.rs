//! The command line: one file per subcommand under `command/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command;
use crate::telemetry::LogFormat;

const EXAMPLES: &str = "\
Examples:
  berth serve --data ~/berth
  berth chat 'what can you do?'
  berth plugin install ./tally
  berth runs --json

Commands find the host by --url, BERTH_URL or the data folder, and take the token from BERTH_ACCESS_TOKEN or the data \
folder. Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 not connected or not authorised.";

/// A self-hosted plugin host for a personal agent.
#[derive(Debug, Parser)]
#[command(
    name = "berth",
    version,
    about,
    propagate_version = true,
    after_help = EXAMPLES,
    max_term_width = 110
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Data folder; BERTH_DATA, else ./.berth where there is one, else the user's data folder.
    #[arg(long, global = true, value_name = "DIR", display_order = 900)]
    pub data: Option<PathBuf>,
    /// Address of the host; BERTH_URL, else the one that the host left in the data folder.
    #[arg(long, global = true, value_name = "URL", display_order = 901)]
    pub url: Option<String>,
    /// Print JSON for programs: one value, or one a line where something is followed.
    #[arg(long, global = true, display_order = 902)]
    pub json: bool,
    /// How log lines look; BERTH_LOG filters them, info by default.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        value_name = "FORMAT",
        display_order = 903
    )]
    pub log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the host.
    Serve(command::serve::Options),
    /// Talk: with TEXT once, else line by line.
    Chat(command::chat::Options),
    /// Send one message and print the answer.
    Send(command::send::Options),
    /// List threads, or show the messages of one.
    Threads(command::threads::Options),
    /// List, show, follow and stop runs.
    Runs(command::runs::Options),
    /// List and answer approvals.
    Approvals(command::approvals::Options),
    /// List endpoints and what they offer.
    Endpoints(command::endpoints::Options),
    /// Install, grant, look at and call plugins.
    Plugin(command::plugin::Options),
    /// Keep secrets for plugins: values go in and never come out.
    Secret(command::secret::Options),
    /// Show what is configured, and where each value comes from.
    Config(command::config::Options),
    /// Print the access token, or make a new one.
    Token(command::token::Options),
    /// Bring the database to the newest schema and stop.
    Migrate(command::migrate::Options),
    /// Look at the policies of the data folder: which programs plugins may run.
    Policy(command::policy::Options),
    /// Check this machine and the running host.
    Doctor(command::doctor::Options),
    /// Print what completes commands in a shell.
    Completions(command::completions::Options),
    /// Write the manual pages into a folder.
    Man(command::man::Options),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_says_what_everything_is() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        check(&command, "berth");
    }

    fn check(command: &clap::Command, path: &str) {
        assert!(command.get_about().is_some(), "{path} says nothing of itself");
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            // The name says what it is where it is the only one of its kind.
            let plain = ["id", "path"].contains(&argument.get_id().as_str());
            assert!(
                plain || argument.get_help().is_some(),
                "{path} {} says nothing of itself",
                argument.get_id()
            );
        }
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            check(inner, &format!("{path} {}", inner.get_name()));
        }
    }
}
