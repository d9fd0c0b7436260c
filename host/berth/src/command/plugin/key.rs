//! `berth plugin key`: the keys that packages are signed with.

use std::path::PathBuf;

use berth_package::{PublisherKey, Rotation, SigningKey};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  berth plugin key new publisher.key")]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key in a new file that only you may read, and print its public half.
    #[command(after_help = "Examples:\n  berth plugin key new publisher.key")]
    New {
        /// Where to write it; a file that is there is never written over.
        file: PathBuf,
    },
    /// Print the public half of a key.
    #[command(after_help = "Examples:\n  berth plugin key show publisher.key")]
    Show {
        /// The file of the key.
        file: PathBuf,
    },
    /// State that another key speaks for a plugin from now on; print the statement, for `berth plugin pack --rotation`.
    #[command(
        after_help = "Examples:\n  berth plugin key rotate tally --from old.key --to ed25519:… > tally.rotation"
    )]
    Rotate {
        /// The id of the plugin.
        id: String,
        /// The file of the key of before.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The public half of the new key.
        #[arg(long, value_name = "KEY")]
        to: String,
    },
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let public = match &options.action {
        Action::New { file } => {
            let key = SigningKey::generate();
            key.write_new(file)?;
            key.public()
        }
        Action::Show { file } => SigningKey::read(file)?.public(),
        Action::Rotate { id, from, to } => {
            let to: PublisherKey = to.parse()?;
            let rotation = Rotation::new(id, &SigningKey::read(from)?, to);
            if global.json {
                output::json(&json!({
                    "plugin_id": id,
                    "from": rotation.from.to_string(),
                    "to": to.to_string(),
                    "statement": rotation.to_string(),
                }));
            } else {
                output::line(&rotation.to_string());
            }
            return Ok(());
        }
    };
    if global.json {
        output::json(&json!({ "publisher": public.to_string() }));
    } else {
        output::line(&public.to_string());
    }
    Ok(())
}
