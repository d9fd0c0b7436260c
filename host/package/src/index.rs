//! The index of a package: a line for its id and its version, one for the digest of each file, and a sum of them.
//!
//! It is what a signature is over. Its own digest is the digest of the package, the same with and without a signature.

use crate::contents::Contents;
use crate::{PackageError, digest};

/// The name of the index in an archive.
pub const FILE: &str = "berth.index";
/// Its first line; another form is another number.
const FORM: &str = "berth package 1";
/// The longest id and the longest version.
const MAX_WORD_BYTES: usize = 100;

/// What a package is, and the digests of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub id: String,
    pub version: semver::Version,
    text: String,
}

impl Index {
    /// The index of these files.
    pub fn new(id: &str, version: &semver::Version, contents: &Contents) -> Result<Self, PackageError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if id.is_empty() || id.len() > MAX_WORD_BYTES || !id.bytes().all(is_word) {
            return Err(PackageError::damaged(format!("`{}` is no id of a plugin", id.escape_default())));
        }
        if version.to_string().len() > MAX_WORD_BYTES {
            return Err(PackageError::damaged("the version is too long"));
        }
        let mut text = format!("{FORM}\nid {id}\nversion {version}\n");
        for (name, content) in contents.iter() {
            text.push_str(&format!("file {} {name}\n", digest(content)));
        }
        // So that a slip in the index itself is noticed without a signature, too.
        text.push_str(&format!("sum {}\n", digest(text.as_bytes())));
        Ok(Self { id: id.to_owned(), version: version.clone(), text })
    }

    /// Reads an index and compares it with the files: it must say of them what [`Self::new`] would, to the byte.
    pub fn read(text: &[u8], contents: &Contents) -> Result<Self, PackageError> {
        let said = std::str::from_utf8(text).map_err(|_| PackageError::damaged("its index is no text"))?;
        let mut lines = said.lines();
        let form = lines.next().unwrap_or_default();
        if form != FORM {
            return Err(PackageError::damaged(format!(
                "its index begins with `{}`, and this version of berth reads `{FORM}`",
                form.chars().take(40).collect::<String>().escape_default()
            )));
        }
        let mut word = |key: &str| {
            let line = lines.next().unwrap_or_default();
            let word = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(' '));
            word.ok_or_else(|| PackageError::damaged(format!("its index does not say its {key}")))
        };
        let id = word("id")?;
        let version = word("version")?.parse().map_err(|_| PackageError::damaged("its version is none"))?;
        let index = Self::new(id, &version, contents)?;
        if index.text == said { Ok(index) } else { Err(PackageError::damaged(index.difference(said))) }
    }

    /// The text that is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The digest of the package: of its id, its version and every byte of its files.
    pub fn digest(&self) -> String {
        digest(self.text.as_bytes())
    }

    /// The first line that the files and what was said of them disagree in.
    fn difference(&self, said: &str) -> String {
        let name = |line: &str| line.rsplit(' ').next().unwrap_or_default().escape_default().to_string();
        let mut lines = said.lines();
        for line in self.text.lines() {
            match lines.next() {
                Some(same) if same == line => {}
                Some(_) => return format!("{} is not what its index says", name(line)),
                None => return format!("{} is not in its index", name(line)),
            }
        }
        match lines.next() {
            Some(line) => format!("its index names {}, which is not there", name(line)),
            None => "its index is not in the form that it must have".to_owned(),
        }
    }
}
