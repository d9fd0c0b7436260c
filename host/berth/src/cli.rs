//! The command line: one file per subcommand under `command/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command;
use crate::telemetry::LogFormat;

/// A self-hosted plugin host for a personal agent.
#[derive(Debug, Parser)]
#[command(name = "berth", version, about, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Data folder; BERTH_DATA, else ./.berth where there is one, else the user's data folder.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of the host; BERTH_URL, else the one that the host left in the data folder.
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Print JSON for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value = "text")]
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
    /// List threads, or the messages of one.
    Threads(command::threads::Options),
    /// Look at runs.
    Runs(command::runs::Options),
    /// List endpoints and what they offer.
    Endpoints(command::endpoints::Options),
    /// List and answer approvals.
    Approvals(command::approvals::Options),
    /// Install, grant, look at and call plugins.
    Plugin(command::plugin::Options),
    /// Print the access token, or make a new one.
    Token(command::token::Options),
    /// Bring the database to the newest schema and stop.
    Migrate(command::migrate::Options),
    /// Check this machine and the running host.
    Doctor(command::doctor::Options),
}
