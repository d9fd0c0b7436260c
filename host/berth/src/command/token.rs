//! `berth token`.

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output;
use crate::place::{DataDir, TOKEN_VARIABLE};

const EXAMPLES: &str = "\
Examples:
  berth token
  curl -H \"Authorization: Bearer $(berth token)\" http://127.0.0.1:8787/runtime/threads
  berth token --renew

BERTH_ACCESS_TOKEN, where it is set, beats the file in the data folder.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Make a new token; the host must be started again to use it.
    #[arg(long)]
    renew: bool,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let data = DataDir::find(global.data.clone())?;
    let token = if options.renew {
        data.create()?;
        let token = data.renew_token()?;
        if std::env::var(TOKEN_VARIABLE).is_ok_and(|token| !token.trim().is_empty()) {
            output::note(&format!("{TOKEN_VARIABLE} is set here and beats the new token"));
        }
        output::note("a running host takes the new token at its next start");
        token
    } else {
        data.lookup_token()?.ok_or_else(|| {
            let folder = data.path().display();
            Failure::failed(
                "no_token",
                format!("{folder} has no token yet: start the host once with `berth serve`"),
            )
        })?
    };
    if global.json {
        output::json(&json!({ "token": token.expose() }));
    } else {
        output::line(token.expose());
    }
    Ok(())
}
