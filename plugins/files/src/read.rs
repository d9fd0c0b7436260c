//! Reads a file or a piece of it, as text or as bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::failure::{Access, failure, io_failure};
use crate::place::Place;
use crate::{Content, Encoding, Error, Unit};

const USUAL_LINES: u32 = 2000;
const USUAL_BYTES: u32 = 64 * 1024;
/// The most of a file in one answer, which the host caps at 1 MiB of JSON.
const MOST_BYTES: usize = 256 * 1024;
/// So much is looked at to tell text from anything else.
const SAMPLE_BYTES: usize = 8 * 1024;

pub fn read(path: &str, offset: u64, limit: Option<u32>, unit: Option<Unit>) -> Result<Content, Error> {
    let place = Place::new(path)?;
    let broken = |error: &io::Error| io_failure(Access::Read, &place, error);
    let mut file = open(&place)?;
    let size = file.metadata().map_err(|error| broken(&error))?.len();
    let is_text = looks_like_text(&mut file).map_err(|error| broken(&error))?;
    if unit == Some(Unit::Lines) && !is_text {
        let message = format!("`{}` is no text, so it has no lines: read it by bytes", place.path);
        return Err(failure("not_text", message));
    }
    let piece = if unit == Some(Unit::Bytes) || !is_text {
        bytes(&mut file, offset, limit.unwrap_or(USUAL_BYTES), size).map_err(|error| broken(&error))?
    } else {
        match lines(file, offset, limit.unwrap_or(USUAL_LINES)).map_err(|error| broken(&error))? {
            Lines::Fit(piece) => piece,
            Lines::TooLong { line } => {
                let message = format!(
                    "line {line} of `{}` is longer than {MOST_BYTES} bytes: read it by bytes",
                    place.path
                );
                return Err(failure("too_large", message));
            }
        }
    };
    let (encoding, content) = match String::from_utf8(piece.bytes) {
        Ok(text) if is_text => (Encoding::Text, text),
        Ok(text) => (Encoding::Base64, STANDARD.encode(text)),
        Err(error) => (Encoding::Base64, STANDARD.encode(error.as_bytes())),
    };
    Ok(Content {
        path: place.path,
        encoding,
        content,
        size,
        truncated: piece.next.is_some(),
        next_offset: piece.next,
        unit: piece.unit,
    })
}

/// Opens a file for reading; a folder is an error here already, which some systems tell only at the first read.
pub fn open(place: &Place) -> Result<File, Error> {
    let broken = |error: io::Error| io_failure(Access::Read, place, &error);
    let file = File::open(&place.real).map_err(broken)?;
    if file.metadata().map_err(broken)?.is_dir() {
        return Err(failure("is_a_folder", format!("`{}` is a folder", place.path)));
    }
    Ok(file)
}

struct Piece {
    bytes: Vec<u8>,
    /// Where the file goes on, if it does.
    next: Option<u64>,
    unit: Unit,
}

enum Lines {
    Fit(Piece),
    TooLong { line: u64 },
}

fn bytes(file: &mut File, offset: u64, limit: u32, size: u64) -> io::Result<Piece> {
    let limit = u64::from(limit).min(MOST_BYTES as u64);
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    let end = offset + bytes.len() as u64;
    let goes_on = end < size;
    // A piece of text ends between two characters, so that reading on finds whole ones.
    if goes_on
        && let Err(error) = str::from_utf8(&bytes)
        && error.error_len().is_none()
        && error.valid_up_to() > 0
    {
        bytes.truncate(error.valid_up_to());
    }
    let next = goes_on.then_some(offset + bytes.len() as u64);
    Ok(Piece { bytes, next, unit: Unit::Bytes })
}

fn lines(file: File, offset: u64, limit: u32) -> io::Result<Lines> {
    let mut reader = BufReader::new(file);
    for _ in 0..offset {
        if !skip_line(&mut reader)? {
            return Ok(Lines::Fit(Piece { bytes: Vec::new(), next: None, unit: Unit::Lines }));
        }
    }
    let mut bytes = Vec::new();
    let mut taken = 0;
    while taken < u64::from(limit) {
        let before = bytes.len();
        let room = MOST_BYTES - before;
        let read = reader.by_ref().take(room as u64 + 1).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(Lines::Fit(Piece { bytes, next: None, unit: Unit::Lines }));
        }
        if read > room {
            if before == 0 {
                return Ok(Lines::TooLong { line: offset + 1 });
            }
            bytes.truncate(before);
            return Ok(Lines::Fit(Piece { bytes, next: Some(offset + taken), unit: Unit::Lines }));
        }
        taken += 1;
    }
    let goes_on = !reader.fill_buf()?.is_empty();
    Ok(Lines::Fit(Piece { bytes, next: goes_on.then_some(offset + taken), unit: Unit::Lines }))
}

/// Reads over one line; false when there is none.
fn skip_line(reader: &mut impl BufRead) -> io::Result<bool> {
    let mut any = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            reader.consume(end + 1);
            return Ok(true);
        }
        let whole = buffer.len();
        reader.consume(whole);
    }
}

/// Looks at the beginning and goes back to it.
fn looks_like_text(file: &mut File) -> io::Result<bool> {
    let mut sample = Vec::new();
    file.by_ref().take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
    file.rewind()?;
    Ok(is_text(&sample))
}

/// UTF-8 without NUL; the sample may end within a character.
fn is_text(sample: &[u8]) -> bool {
    let valid = match str::from_utf8(sample) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && !sample.contains(&0)
}
