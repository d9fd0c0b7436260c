//! Reads a file or a piece of it, as text or as bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::failure::{Access, failure, io_failure};
use crate::place::Place;
use crate::{Content, Decoding, Encoding, Error, Unit, decode};

const USUAL_LINES: u32 = 2000;
const USUAL_BYTES: u32 = 64 * 1024;
/// The most of a file in one answer, which the host caps at 1 MiB of JSON.
const MOST_BYTES: usize = 256 * 1024;
/// So much is looked at to tell text from anything else.
const SAMPLE_BYTES: usize = 8 * 1024;

/// Which piece of a file is wanted.
#[derive(Default)]
pub struct Piece {
    pub offset: u64,
    pub limit: Option<u32>,
    pub unit: Option<Unit>,
    pub encoding: Option<Decoding>,
}

pub fn read(path: &str, wanted: Piece) -> Result<Content, Error> {
    let place = Place::new(path)?;
    let broken = |error: &io::Error| io_failure(Access::Read, &place, error);
    let mut file = open(&place)?;
    let size = file.metadata().map_err(|error| broken(&error))?.len();
    let sample = sample(&mut file).map_err(|error| broken(&error))?;
    let decoding = wanted.encoding.unwrap_or_else(|| decode::guess(&sample));
    if decoding == Decoding::Utf8 && !decode::is_utf8(&sample) {
        return Err(failure("not_text", format!("`{}` is no UTF-8 text", place.path)));
    }
    let unit = wanted.unit.unwrap_or(if decoding == Decoding::Base64 { Unit::Bytes } else { Unit::Lines });
    let offset = wanted.offset;
    let piece = match unit {
        Unit::Bytes if decoding == Decoding::Utf16 => {
            let message = format!("`{}` is UTF-16, whose text is read by lines", place.path);
            return Err(failure("invalid_arguments", message));
        }
        Unit::Bytes => bytes(&mut file, offset, wanted.limit.unwrap_or(USUAL_BYTES), size, decoding)
            .map_err(|error| broken(&error))?,
        Unit::Lines => {
            let limit = wanted.limit.unwrap_or(USUAL_LINES);
            let read = match decoding {
                Decoding::Utf8 => lines(BufReader::new(file), offset, limit),
                Decoding::Base64 => {
                    let message =
                        format!("`{}` is no text, so it has no lines: read it by bytes", place.path);
                    return Err(failure("not_text", message));
                }
                Decoding::Utf16 | Decoding::Latin1 => {
                    lines(Cursor::new(decode::whole(&place, file, decoding)?), offset, limit)
                }
            };
            match read.map_err(|error| broken(&error))? {
                Lines::Fit(piece) => piece,
                Lines::TooLong { line } => {
                    let message = format!(
                        "line {line} of `{}` is longer than {MOST_BYTES} bytes: read it by bytes",
                        place.path
                    );
                    return Err(failure("too_large", message));
                }
            }
        }
    };
    let (encoding, content) = match String::from_utf8(piece.bytes) {
        Ok(text) if decoding != Decoding::Base64 => (Encoding::Text, text),
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
        unit,
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

struct Found {
    bytes: Vec<u8>,
    /// Where the file goes on, if it does.
    next: Option<u64>,
}

enum Lines {
    Fit(Found),
    TooLong { line: u64 },
}

fn bytes(file: &mut File, offset: u64, limit: u32, size: u64, decoding: Decoding) -> io::Result<Found> {
    let limit = u64::from(limit).min(MOST_BYTES as u64);
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    let end = offset + bytes.len() as u64;
    let goes_on = end < size;
    // A piece of text ends between two characters, so that reading on finds whole ones.
    if goes_on
        && decoding == Decoding::Utf8
        && let Err(error) = str::from_utf8(&bytes)
        && error.error_len().is_none()
        && error.valid_up_to() > 0
    {
        bytes.truncate(error.valid_up_to());
    }
    let next = goes_on.then_some(offset + bytes.len() as u64);
    if decoding == Decoding::Latin1 {
        bytes = decode::latin1(&bytes).into_bytes();
    }
    Ok(Found { bytes, next })
}

fn lines(mut reader: impl BufRead, offset: u64, limit: u32) -> io::Result<Lines> {
    for _ in 0..offset {
        if !skip_line(&mut reader)? {
            return Ok(Lines::Fit(Found { bytes: Vec::new(), next: None }));
        }
    }
    let mut bytes = Vec::new();
    let mut taken = 0;
    while taken < u64::from(limit) {
        let before = bytes.len();
        let room = MOST_BYTES - before;
        let read = reader.by_ref().take(room as u64 + 1).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(Lines::Fit(Found { bytes, next: None }));
        }
        if read > room {
            if before == 0 {
                return Ok(Lines::TooLong { line: offset + 1 });
            }
            bytes.truncate(before);
            return Ok(Lines::Fit(Found { bytes, next: Some(offset + taken) }));
        }
        taken += 1;
    }
    let goes_on = !reader.fill_buf()?.is_empty();
    Ok(Lines::Fit(Found { bytes, next: goes_on.then_some(offset + taken) }))
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
fn sample(file: &mut File) -> io::Result<Vec<u8>> {
    let mut sample = Vec::new();
    file.by_ref().take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
    file.rewind()?;
    Ok(sample)
}
