//! `berth man`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use serde_json::json;

use crate::cli::{Cli, Global};
use crate::failure::Failure;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  berth man ~/.local/share/man/man1
  man berth-plugin-grant";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The folder, which is made where it is missing: a page for each command.
    folder: PathBuf,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let written = fs::create_dir_all(&options.folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &options.folder))
        .and_then(|()| fs::read_dir(&options.folder)?.collect::<Result<Vec<_>, _>>());
    let entries = written.map_err(|error| {
        Failure::failed(
            "output_unwritable",
            format!("{} cannot be written: {error}", options.folder.display()),
        )
    })?;
    let names = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
    let mut pages: Vec<String> =
        names.filter(|name| name.starts_with("berth") && name.ends_with(".1")).collect();
    pages.sort();
    if global.json {
        output::json(&json!({ "folder": options.folder, "pages": pages }));
    } else {
        output::line(&format!("{} pages are in {}", pages.len(), options.folder.display()));
    }
    Ok(())
}
