//! `berth completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use crate::cli::{Cli, Global};
use crate::failure::Failure;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  berth completions bash > ~/.local/share/bash-completion/completions/berth
  berth completions zsh > ~/.zfunc/_berth
  berth completions fish > ~/.config/fish/completions/berth.fish";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "berth", &mut script);
    let script = String::from_utf8_lossy(&script);
    if global.json {
        output::json(&json!({ "shell": options.shell.to_string(), "script": script }));
    } else {
        output::piece(&script);
    }
    Ok(())
}
