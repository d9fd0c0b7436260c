//! `berth token`.

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output;
use crate::place::DataDir;

#[derive(Debug, Args)]
pub struct Options {
    /// Make a new token; the host must be started again to use it.
    #[arg(long)]
    renew: bool,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let data = DataDir::find(global.data.clone())?;
    let token = if options.renew {
        data.create()?;
        data.renew_token()?
    } else {
        data.lookup_token()?.ok_or_else(|| Failure::Failed {
            code: "no_token".to_owned(),
            message: format!(
                "{} has no token yet: start the host once with `berth serve`",
                data.path().display()
            ),
        })?
    };
    if global.json {
        output::json(&json!({ "token": token.expose() }));
    } else {
        output::line(token.expose());
    }
    Ok(())
}
