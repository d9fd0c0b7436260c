//! `berth plugin test`: the stories of a plugin's folder, told to the real engine without a host.

use std::path::PathBuf;

use berth_kit::{CaseReport, Detail, Options as Suite, Recording};
use clap::Args;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output;
use crate::place::DataDir;
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  berth plugin test
  berth plugin test ./tally --filter 'a file' --steps
  berth plugin test ./forge --record

Stories are the files tests/*.toml of the folder; docs/plugin-testing.md has every key. No host is needed, and no network: \
with --record, cases that say `record = true` ask the real servers that their grants name.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The folder of a built plugin, with its plugin.toml.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Only the cases that have this in their name, or in that of their file.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// The folder with tests/, where it is not that of the built plugin.
    #[arg(long, value_name = "DIR")]
    stories: Option<PathBuf>,
    /// Show the steps of every case: what each was answered, has used and logged.
    #[arg(long)]
    steps: bool,
    /// Ask real servers in the cases that say `record = true`, and keep what they answer.
    #[arg(long)]
    record: bool,
}

pub async fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    super::build::folder_of_plugin(&options.folder)?;
    // What was compiled is kept where there is a place for it.
    let data = DataDir::find(global.data.clone()).ok().filter(|data| data.path().is_dir());
    let suite = Suite {
        filter: options.filter.clone(),
        recording: options.record.then(Recording::system),
        cache: data.map(|data| data.path().join("kit-cache")),
        stories: options.stories.clone(),
    };
    let report = berth_kit::test(&options.folder, &suite, |case| {
        if !global.json {
            tell(case, if options.steps { Detail::Steps } else { Detail::Failures });
        }
    });
    let report = report.await?;
    if global.json {
        output::json(&serde_json::to_value(&report).map_err(anyhow::Error::from)?);
    } else {
        let failed = match report.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        output::line(&format!("{} {}: {} passed{failed}", report.plugin, report.version, report.passed));
    }
    if report.is_good() { Ok(()) } else { Err(Failure::Silent) }
}

fn tell(case: &CaseReport, detail: Detail) {
    let text = output::plain(&case.text_with(detail));
    let (word, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
    let tone = if case.passed { Tone::Good } else { Tone::Bad };
    output::line(&format!("{}{rest}", Terminal::out().paint(tone, word)));
}
