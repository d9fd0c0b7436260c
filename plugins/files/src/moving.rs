//! Moves and renames.

use std::fs;
use std::io;

use crate::failure::{Access, failure, io_failure};
use crate::place::Place;
use crate::{Error, Moved, dry_run};

pub fn move_to(source: &str, target: &str, replace: bool) -> Result<Moved, Error> {
    let (source, target) = (Place::new(source)?, Place::new(target)?);
    if source.path == "/" || target.path == "/" {
        return Err(failure("invalid_path", "`/` cannot be moved and is no name for anything else".into()));
    }
    let before =
        fs::symlink_metadata(&source.real).map_err(|error| io_failure(Access::Read, &source, &error))?;
    if source.path == target.path {
        return Err(failure("invalid_arguments", format!("`{}` is there already", source.path)));
    }
    if before.is_dir() && target.path.starts_with(&format!("{}/", source.path)) {
        let message = format!("`{}` cannot be moved into itself", source.path);
        return Err(failure("invalid_arguments", message));
    }
    let replaced = match fs::symlink_metadata(&target.real) {
        Ok(_) if !replace => return Err(failure("exists", format!("`{}` is there already", target.path))),
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(io_failure(Access::Write, &target, &error)),
    };
    let saved = !dry_run();
    if saved && let Err(error) = rename(&source, &target, before.is_file()) {
        let mut told = io_failure(Access::Write, &target, &error);
        if told.code == "not_found" {
            told.message = format!("there is no folder `{}` to move it to", target.folder());
        }
        return Err(told);
    }
    Ok(Moved { source: source.path, target: target.path, replaced, saved })
}

/// Two granted folders may be of different disks: then a file is copied, and only when that is done removed.
fn rename(source: &Place, target: &Place, is_file: bool) -> io::Result<()> {
    match fs::rename(&source.real, &target.real) {
        Err(error) if is_file && error.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(&source.real, &target.real)?;
            fs::remove_file(&source.real)
        }
        renamed => renamed,
    }
}
