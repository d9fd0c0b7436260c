//! One file for a package: a plain tar that is the same whoever writes it, whenever.
//!
//! Files in the order of their paths, then the index, then the signature. Every header has the same owner, mode and
//! time. An archive is read only when writing what was read gives the same bytes again: there is one form, and nothing
//! can hide in another.

use std::io::Read;

use bytes::Bytes;
use tar::{Archive, EntryType, Header};

use crate::contents::{Contents, MAX_BYTES, MAX_FILES};
use crate::{PackageError, index, signature};

/// The ending of the name of an archive.
pub const ENDING: &str = "berth";
/// The most bytes of an archive: the files, and a header and padding for each.
pub const MAX_ARCHIVE_BYTES: u64 = MAX_BYTES + 1024 * (MAX_FILES as u64 + 8) + MAX_NOTE_BYTES * 2;
/// The most bytes of an index or a signature.
const MAX_NOTE_BYTES: u64 = 256 << 10;

/// What stands in an archive, before anybody has looked whether it fits together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub contents: Contents,
    pub index: Bytes,
    pub signature: Option<Bytes>,
}

impl Raw {
    pub fn write(&self) -> Result<Vec<u8>, PackageError> {
        let mut archive = tar::Builder::new(Vec::new());
        let files = self.contents.iter();
        let notes =
            [Some((index::FILE, &self.index)), self.signature.as_ref().map(|text| (signature::FILE, text))];
        for (name, content) in files.chain(notes.into_iter().flatten()) {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(content.len() as u64);
            // Names are short and plain, so the one field of the oldest form holds them.
            archive.append_data(&mut header, name, &content[..]).map_err(unwritten)?;
        }
        archive.into_inner().map_err(unwritten)
    }

    /// Reads an archive of at most [`MAX_ARCHIVE_BYTES`].
    pub fn read(bytes: &[u8]) -> Result<Self, PackageError> {
        let found = bytes.len() as u64;
        if found > MAX_ARCHIVE_BYTES {
            return Err(PackageError::TooLarge { what: "bytes", found, limit: MAX_ARCHIVE_BYTES });
        }
        let (mut contents, mut index, mut signature) = (Contents::default(), None, None);
        let mut archive = Archive::new(bytes);
        for entry in archive.entries().map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let name = entry.path_bytes().into_owned();
            let name =
                String::from_utf8(name).map_err(|_| PackageError::damaged("a path in it is no text"))?;
            if entry.header().entry_type() != EntryType::Regular {
                return Err(PackageError::Name { name, reason: "it is no regular file" });
            }
            // What a header says of its size is believed no further than the bytes that are there.
            let mut content = Vec::new();
            entry.take(found).read_to_end(&mut content).map_err(unread)?;
            match name.as_str() {
                index::FILE => index = Some(Bytes::from(content)),
                signature::FILE => signature = Some(Bytes::from(content)),
                name => contents.add(name, content.into())?,
            }
        }
        let index = index.ok_or_else(|| PackageError::Missing { name: index::FILE.to_owned() })?;
        let notes = [Some(&index), signature.as_ref()];
        if let Some(long) =
            notes.into_iter().flatten().map(|note| note.len() as u64).find(|len| *len > MAX_NOTE_BYTES)
        {
            return Err(PackageError::TooLarge {
                what: "bytes of index",
                found: long,
                limit: MAX_NOTE_BYTES,
            });
        }
        let raw = Self { contents, index, signature };
        if raw.write()? == bytes {
            Ok(raw)
        } else {
            Err(PackageError::damaged("the archive is not in the one form that packages have"))
        }
    }
}

/// Writing to memory fails for a header that cannot hold what it should.
fn unwritten(error: std::io::Error) -> PackageError {
    PackageError::damaged(format!("it cannot be written: {error}"))
}

fn unread(error: std::io::Error) -> PackageError {
    PackageError::damaged(format!("it is no tar archive, or ends too early ({error})"))
}
