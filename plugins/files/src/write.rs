//! Writes a file whole, or adds to its end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::failure::{Access, failure, io_failure};
use crate::place::Place;
use crate::{Encoding, Error, WriteMode, Written, dry_run};

/// What to do about missing folders on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parents {
    Make,
    Need,
}

pub fn write(
    path: &str,
    content: &str,
    mode: WriteMode,
    parents: Parents,
    encoding: Encoding,
) -> Result<Written, Error> {
    let place = Place::new(path)?;
    let decoded;
    let bytes = match encoding {
        Encoding::Text => content.as_bytes(),
        Encoding::Base64 => {
            decoded = STANDARD
                .decode(content)
                .map_err(|error| failure("invalid_arguments", format!("`content` is no base64: {error}")))?;
            &decoded
        }
    };
    if dry_run() {
        return forecast(place, bytes, mode);
    }
    if parents == Parents::Make
        && let Some(folder) = place.real.parent()
    {
        fs::create_dir_all(folder).map_err(|error| io_failure(Access::Write, &place, &error))?;
    }
    match put(&place, bytes, mode) {
        Ok((size, created)) => Ok(Written { path: place.path, size, created, saved: true }),
        Err(error) => {
            let mut told = io_failure(Access::Write, &place, &error);
            if told.code == "not_found" {
                told.message = format!("there is no folder `{}`: make it with `parents`", place.folder());
            }
            Err(told)
        }
    }
}

/// The size afterwards, and whether the file is new.
fn put(place: &Place, bytes: &[u8], mode: WriteMode) -> io::Result<(u64, bool)> {
    match OpenOptions::new().write(true).create_new(true).open(&place.real) {
        Ok(mut file) => {
            put_all(&mut file, bytes)?;
            return Ok((bytes.len() as u64, true));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && mode != WriteMode::CreateNew => {}
        Err(error) => return Err(error),
    }
    if mode == WriteMode::Append {
        let mut file = OpenOptions::new().append(true).open(&place.real)?;
        put_all(&mut file, bytes)?;
        return Ok((file.metadata()?.len(), false));
    }
    replace(&mut OpenOptions::new().write(true).open(&place.real)?, bytes)?;
    Ok((bytes.len() as u64, false))
}

/// Replaces the content in place, which keeps links and permissions.
///
/// The old end is cut off last, so a call that is stopped half way leaves no empty file.
pub fn replace(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    put_all(file, bytes)?;
    file.set_len(bytes.len() as u64)
}

/// Writes all of it, and says why when that fails.
///
/// The C library of WASI takes every failure of a stream for an I/O error; the file itself knows better, and says so when it
/// is asked to be on the disk.
fn put_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    /// `EIO` of WASI.
    const IO: i32 = 29;
    match file.write_all(bytes) {
        Err(error) if cfg!(target_os = "wasi") && error.raw_os_error() == Some(IO) => {
            Err(file.sync_data().err().unwrap_or(error))
        }
        done => done,
    }
}

/// What a write would do.
fn forecast(place: Place, bytes: &[u8], mode: WriteMode) -> Result<Written, Error> {
    let before = match fs::metadata(&place.real) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(failure("is_a_folder", format!("`{}` is a folder", place.path)));
        }
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io_failure(Access::Write, &place, &error)),
    };
    if before.is_some() && mode == WriteMode::CreateNew {
        return Err(failure("exists", format!("`{}` is there already", place.path)));
    }
    let kept = if mode == WriteMode::Append { before.unwrap_or(0) } else { 0 };
    Ok(Written { path: place.path, size: kept + bytes.len() as u64, created: before.is_none(), saved: false })
}
