//! What a plugin is shipped as: an archive that can be checked without a network.
//!
//! [`Contents`] are the files of a package. [`archive`] writes them as one `.berth` file: the same files give the same
//! bytes, and no other bytes are read. An [`index`] names the digest of every file; a [`signature`] is over that index,
//! so it is over all bytes. [`trust`] says what an operator makes of the publisher, and [`lock`] remembers what was put
//! in place. Nothing here knows what a manifest says: whoever packs names the files, the id and the version.
//!
//! **Invariant:** nothing here opens a connection or asks the clock: a package is judged by its bytes alone.

pub mod archive;
pub mod contents;
mod error;
pub mod index;
pub mod key;
pub mod lock;
pub mod package;
pub mod signature;
#[cfg(test)]
mod tamper;
pub mod trust;

pub use contents::Contents;
pub use error::PackageError;
pub use key::{PublisherKey, SigningKey};
pub use lock::{Lock, Locked};
pub use package::SignedPackage;
pub use signature::{Rotation, Signature};
pub use trust::{Admission, Trust};

use sha2::{Digest as _, Sha256};

/// SHA-256 in lower-case hex.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
