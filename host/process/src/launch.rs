//! The two processes between the host and a program.
//!
//! The host starts itself anew with [`WORD`]: the *supervisor*. It has one thread when it begins, so nothing here needs
//! the care of a fork within a host of many threads. It starts itself once more, as the *last step*, which puts the
//! limits around itself and becomes the program. The supervisor stays, to end everything that the program started when
//! the program ends, when the host says so, and when the host is gone: the socket between them is its standard input,
//! and ends with the host.

pub(crate) mod calls;
mod last;
mod paths;
mod supervise;
pub(crate) mod sys;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The argument that makes a program the launcher.
pub const WORD: &str = "__launch";
/// The second argument of the last step.
const LAST: &str = "last";
/// Where the last step finds what it is to do. The program does not see it.
const ORDER: &str = "BERTH_LAUNCH";
/// Ends a last step that failed; its first words on standard error are those of the order's mark.
const FAILED: i32 = 125;
/// The longest message between host and supervisor.
const MESSAGE_BYTES: u32 = 16 << 20;

/// What is to be run, and what is put around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub path: PathBuf,
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub folder: PathBuf,
    /// Below these the program may read.
    pub read: Vec<PathBuf>,
    /// Below these it may write as well.
    pub write: Vec<PathBuf>,
    pub execute: Vec<PathBuf>,
    pub connect: Vec<u16>,
    pub cpu_seconds: u64,
    pub memory_bytes: u64,
    pub file_bytes: u64,
    pub open_files: u64,
    pub processes: u32,
    /// Whom the program runs as when the host is root and the program may start others: the kernel counts the
    /// processes of everybody but root.
    pub user: Option<u32>,
    pub landlock: bool,
    pub seccomp: bool,
    pub bubblewrap: Option<PathBuf>,
    /// Random; what begins with it on standard error was said by the last step, not by the program.
    pub mark: String,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    Exited(i32),
    Signalled(i32),
    /// The last step was not started.
    Failed(String),
}

/// Writes a message with its length before it.
pub(crate) fn send(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).ok().filter(|length| *length <= MESSAGE_BYTES);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(message)?;
    to.flush()
}

/// Reads what [`send`] wrote.
pub(crate) fn receive(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MESSAGE_BYTES {
        return Err(io::Error::other("the message is too long"));
    }
    let mut message = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    from.read_exact(&mut message)?;
    Ok(message)
}

/// Is the launcher. `arguments` are those behind [`WORD`]; the answer is the exit code.
///
/// Comes back from the supervisor when all is over; from the last step only when it failed.
pub fn main(mut arguments: impl Iterator<Item = String>) -> i32 {
    if arguments.next().as_deref() == Some(LAST) {
        return last::run();
    }
    match supervise::run() {
        Ok(()) => 0,
        Err(error) => {
            // Nobody reads this but a person who starts the word by hand.
            let _ = writeln!(io::stderr(), "berth {WORD}: {error}");
            FAILED
        }
    }
}
