//! The compiling process itself: limits first, then one component from standard input, then its machine code.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use crate::engine::{cache, profile};
use crate::limits;

/// The argument that makes a program this process.
pub const WORD: &str = "__compile";
/// The component was compiled; the profile of the engine and the machine code follow.
const CODE: u8 = 0;
/// The component was refused; the reason follows.
const REFUSED: u8 = 1;
/// Ended because the one who asked is gone.
const ABANDONED: i32 = 3;
/// Files that the process may have open.
const FILES: u64 = 32;
/// How much the compiler stands back behind calls that run.
const NICE: i32 = 5;

/// What a compiling process answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    Code { profile: String, code: &'a [u8] },
    Refused { message: String },
}

impl<'a> Answer<'a> {
    /// `None` for what is no whole answer.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        if rest.len() != length {
            return None;
        }
        match *kind {
            CODE => {
                let (profile, code) = rest.split_at_checked(cache::PROFILE_CHARS)?;
                Some(Self::Code { profile: String::from_utf8(profile.to_vec()).ok()?, code })
            }
            REFUSED => Some(Self::Refused { message: String::from_utf8_lossy(rest).into_owned() }),
            _ => None,
        }
    }
}

/// Whether the last words of a process, or of the compiler, say that memory ran out.
pub(super) fn is_out_of_memory(said: &str) -> bool {
    ["memory allocation of", "Cannot allocate memory", "out of memory"]
        .iter()
        .any(|words| said.contains(words))
}

/// Compiles the one component that comes on standard input. `arguments` are those behind [`WORD`].
///
/// Ends the process when standard input ends before the answer is written: whoever asked is gone.
pub fn main(mut arguments: impl Iterator<Item = String>) -> io::Result<()> {
    let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok());
    let (Some(memory_bytes), Some(cpu_seconds)) = (number(), number()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "two limits are needed: bytes and seconds"));
    };
    confine(memory_bytes, Duration::from_secs(cpu_seconds))?;
    let component = component()?;
    abandoned_with_input()?;
    let answer = match compile(&component) {
        Ok((profile, code)) => [head(CODE, profile.len() + code.len()), profile.into_bytes(), code].concat(),
        Err(message) => [head(REFUSED, message.len()), message.into_bytes()].concat(),
    };
    let mut out = io::stdout().lock();
    out.write_all(&answer)?;
    out.flush()
}

fn head(kind: u8, length: usize) -> Vec<u8> {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    [&[kind], length.to_le_bytes().as_slice()].concat()
}

fn component() -> io::Result<Vec<u8>> {
    let mut input = io::stdin().lock();
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > limits::MAX_COMPONENT_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the component is too large"));
    }
    let mut component = vec![0; length];
    input.read_exact(&mut component)?;
    Ok(component)
}

fn compile(component: &[u8]) -> Result<(String, Vec<u8>), String> {
    let words = |error: wasmtime::Error| format!("{error:#}");
    let engine = profile::compiler().map_err(words)?;
    let code = engine.precompile_component(component).map_err(words)?;
    Ok((cache::profile(&engine), code))
}

fn abandoned_with_input() -> io::Result<()> {
    std::thread::Builder::new().name("berth-input".to_owned()).spawn(|| {
        let mut byte = [0];
        while io::stdin().lock().read(&mut byte).is_ok_and(|read| read > 0) {}
        std::process::exit(ABANDONED);
    })?;
    Ok(())
}

#[cfg(unix)]
fn confine(memory_bytes: u64, cpu: Duration) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let seconds = cpu.as_secs();
    for (resource, limit, hard) in [
        (Resource::As, memory_bytes, memory_bytes),
        (Resource::Cpu, seconds, seconds + 1),
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
        (Resource::Nofile, FILES, FILES),
    ] {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(hard) })?;
    }
    // Not every system lets a process stand back; it is a courtesy.
    let _ = rustix::process::nice(NICE);
    Ok(())
}

#[cfg(not(unix))]
fn confine(_: u64, _: Duration) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let profile = "0".repeat(cache::PROFILE_CHARS);
        let body = [profile.as_bytes(), b"code"].concat();
        let whole = [head(CODE, body.len()), body].concat();

        assert_eq!(Answer::read(&whole), Some(Answer::Code { profile, code: b"code" }));
        for length in 0..whole.len() {
            assert_eq!(Answer::read(&whole[..length]), None, "{length}");
        }
        assert_eq!(Answer::read(&[whole, vec![0]].concat()), None, "something follows");
        let refused = [head(REFUSED, 2), b"no".to_vec()].concat();
        assert_eq!(Answer::read(&refused), Some(Answer::Refused { message: "no".to_owned() }));
        assert_eq!(Answer::read(&[head(7, 0)].concat()), None, "no answer of ours");
    }
}
