//! `berth plugin pack`: a folder becomes one file that others can check.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use berth_package::{PackageError, Rotation, SigningKey, archive};
use berth_wasm::Manifest;
use berth_wasm::pack::pack;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::failure::{BadManifest, Failure};
use crate::output;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  berth plugin pack ./tally\n  berth plugin pack ./tally --key publisher.key --out tally.berth"
)]
pub struct Options {
    /// The folder with the plugin.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where to write it; ID-VERSION.berth in this folder when it is not said.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign it with this key, from `berth plugin key new`.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A statement of `berth plugin key rotate`, when the key is not the first one of the plugin; oldest first.
    #[arg(long = "rotation", value_name = "FILE", requires = "key")]
    rotations: Vec<PathBuf>,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    super::build::folder_of_plugin(&options.folder)?;
    let packed = pack(&options.folder).map_err(|error| shown(&options.folder, error))?;
    let mut package = packed.package;
    if let Some(file) = &options.key {
        let rotations = options.rotations.iter().map(|file| rotation(file)).collect::<Result<_, _>>()?;
        package = package.signed(&SigningKey::read(file)?, rotations)?;
    }
    let out = options.out.clone().unwrap_or_else(|| {
        PathBuf::from(format!("{}-{}.{}", package.id(), package.version(), archive::ENDING))
    });
    let bytes = package.to_archive()?;
    write(&out, &bytes)?;
    let publisher = package.publisher().map(ToString::to_string);
    if global.json {
        output::json(&json!({
            "plugin_id": package.id(),
            "version": package.version().to_string(),
            "file": out,
            "bytes": bytes.len(),
            "digest": package.digest(),
            "component": packed.inspection.digest,
            "publisher": publisher,
            "files": package.contents().iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "warnings": packed.warnings,
        }));
        return Ok(());
    }
    output::line(&format!("packed {} {} in {}", package.id(), package.version(), out.display()));
    output::line(&format!("  bytes      {}", bytes.len()));
    output::line(&format!("  digest     {}", package.digest()));
    output::line(&format!("  component  {}", packed.inspection.digest));
    output::line(&format!("  signed by  {}", publisher.as_deref().unwrap_or("nobody")));
    for warning in &packed.warnings {
        output::note(&output::one_line(&format!("warning: {warning}")));
    }
    Ok(())
}

/// The statement in a file of one line.
fn rotation(file: &Path) -> Result<Rotation, Failure> {
    let text =
        fs::read_to_string(file).map_err(|source| PackageError::Io { path: file.to_owned(), source })?;
    Ok(text.trim_end().parse()?)
}

/// Whoever looks sees the old file or the whole new one.
pub fn write(out: &Path, bytes: &[u8]) -> Result<(), PackageError> {
    let mut temp = out.to_owned();
    temp.add_extension("tmp");
    let written = fs::File::create(&temp)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temp, out));
    written.map_err(|source| {
        // A full disk is not made fuller; that the rest cannot be removed is no news beside the first failure.
        let _left = fs::remove_file(&temp);
        PackageError::Io { path: out.to_owned(), source }
    })
}

/// A mistake in the manifest is shown in its line.
pub fn shown(folder: &Path, error: berth_wasm::HostError) -> Failure {
    let file = folder.join("plugin.toml");
    let source = fs::read_to_string(&file).ok();
    let bad = source.and_then(|source| {
        let error = Manifest::parse(&source).err()?;
        Some(Box::new(BadManifest::new(&file, source, &error)))
    });
    bad.map_or_else(|| Failure::from(error), Failure::from)
}
