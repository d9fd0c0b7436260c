//! `berth policy`.

use berth_process::Policy;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output;
use crate::place::DataDir;
use crate::programs;

const EXAMPLES: &str = "\
Examples:
  berth policy check-command git log --oneline
  berth policy check-command git log --output=x   # exit code 1, with the reason
  berth policy commands";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether a program may be run with these arguments, and by which rule; nothing is run.
    CheckCommand {
        /// An id of the policy, not a path.
        program: String,
        /// What the program would get.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
        arguments: Vec<String>,
    },
    /// List the programs that the policy has.
    Commands,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let data = DataDir::find(global.data.clone())?;
    let policy = programs::policy(&data)?;
    match &options.action {
        Action::CheckCommand { program, arguments } => check(global, &data, &policy, program, arguments),
        Action::Commands => {
            commands(global, &policy);
            Ok(())
        }
    }
}

fn check(
    global: &Global,
    data: &DataDir,
    policy: &Policy,
    program: &str,
    arguments: &[String],
) -> Result<(), Failure> {
    let path = programs::path(data);
    let file = if path.is_file() { path.display().to_string() } else { "the built-in policy".to_owned() };
    match policy.check(program, arguments) {
        Ok(allowed) => {
            let runs = allowed.program.file().map(|path| path.display().to_string());
            if global.json {
                output::json(&json!({
                    "allowed": true, "file": file, "line": allowed.line, "path": runs, "argv": allowed.argv,
                    "writes": allowed.write,
                }));
            } else {
                output::line(&format!("allowed by {file}:{}", allowed.line));
                let path = runs.unwrap_or_else(|| format!("({program} is not installed here)"));
                output::line(&format!("runs {path} {}", allowed.argv.join(" ")));
            }
            Ok(())
        }
        Err(refused) => {
            if global.json {
                output::json(&json!({
                    "allowed": false, "file": file, "line": refused.line, "argument": refused.argument,
                    "reason": refused.reason,
                }));
                return Err(Failure::Silent);
            }
            let line = refused.line.map(|line| format!(":{line}")).unwrap_or_default();
            Err(Failure::failed("COMMAND_REFUSED", format!("refused by {file}{line}: {refused}")))
        }
    }
}

fn commands(global: &Global, policy: &Policy) {
    if global.json {
        let list: Vec<_> = policy
            .programs()
            .map(|program| {
                json!({ "id": program.id, "about": program.about, "path": program.file(), "line": program.line })
            })
            .collect();
        output::json(&json!({ "programs": list }));
        return;
    }
    let rows: Vec<_> = policy
        .programs()
        .map(|program| {
            let path = program.file().map_or("not installed".to_owned(), |path| path.display().to_string());
            vec![program.id.clone(), path, program.about.clone()]
        })
        .collect();
    crate::table::print(&["PROGRAM", "FILE", "ABOUT"], &rows);
}
