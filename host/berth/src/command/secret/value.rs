//! Where a value comes from: a file, standard input, or a person who is not watched.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// More than any host takes, so that a wrong file is not read to its end.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the value. A line break at its end is left out unless it is `exact`.
pub fn read(file: Option<&Path>, exact: bool) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut value = match file {
        Some(path) => {
            let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
            whole(file).with_context(|| format!("{} cannot be read", path.display()))?
        }
        None if std::io::stdin().is_terminal() => {
            let asked = rpassword::prompt_password("Value (not shown): ");
            Zeroizing::new(asked.context("the value cannot be read")?.into_bytes())
        }
        None => whole(std::io::stdin()).context("standard input cannot be read")?,
    };
    if !exact {
        trim_line_break(&mut value);
    }
    if value.is_empty() {
        return Err(Failure::Usage("the value is empty".to_owned()));
    }
    Ok(value)
}

/// The value as it travels.
pub fn base64(value: &[u8]) -> String {
    BASE64.encode(value)
}

fn whole(source: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut value = Zeroizing::new(Vec::new());
    source.take(MOST_BYTES).read_to_end(&mut value)?;
    Ok(value)
}

fn trim_line_break(value: &mut Vec<u8>) {
    if value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_left_out_and_nothing_else() {
        for (given, kept) in [
            (&b"value\n"[..], &b"value"[..]),
            (b"value\r\n", b"value"),
            (b"value\n\n", b"value\n"),
            (b" value ", b" value "),
            (b"value\r", b"value\r"),
        ] {
            let mut value = given.to_vec();
            trim_line_break(&mut value);
            assert_eq!(value, kept);
        }
    }

    #[test]
    fn a_file_is_read_as_it_is_and_an_empty_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, b"\x00\xffkey\n").unwrap();

        assert_eq!(read(Some(&path), false).unwrap().as_slice(), b"\x00\xffkey");
        assert_eq!(read(Some(&path), true).unwrap().as_slice(), b"\x00\xffkey\n");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(read(Some(&path), false), Err(Failure::Usage(_))));
        assert!(read(Some(&folder.path().join("none")), false).is_err());
    }
}
