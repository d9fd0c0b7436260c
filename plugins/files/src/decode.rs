//! Text that is written otherwise than in UTF-8.

use std::fs::File;
use std::io::Read;

use crate::failure::{Access, failure, io_failure};
use crate::place::Place;
use crate::{Decoding, Error};

/// A larger file is not decoded, which is done as a whole.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// The mark at the beginning of UTF-16, the low byte first.
const LOW_FIRST: [u8; 2] = [0xff, 0xfe];
/// The same, the high byte first.
const HIGH_FIRST: [u8; 2] = [0xfe, 0xff];

/// What a file that begins so is taken for when nobody says.
pub fn guess(sample: &[u8]) -> Decoding {
    if sample.starts_with(&LOW_FIRST) || sample.starts_with(&HIGH_FIRST) {
        Decoding::Utf16
    } else if is_utf8(sample) {
        Decoding::Utf8
    } else {
        Decoding::Base64
    }
}

/// UTF-8 without NUL; the sample may end within a character.
pub fn is_utf8(sample: &[u8]) -> bool {
    let valid = match str::from_utf8(sample) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && !sample.contains(&0)
}

/// The whole file as UTF-8, without a mark. What is no character becomes the sign for that.
pub fn whole(place: &Place, file: File, decoding: Decoding) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| io_failure(Access::Read, place, &error))?;
    if read as u64 > MOST_BYTES {
        let message = format!(
            "`{}` has more than {MOST_BYTES} bytes, which is the most that is read in another encoding than UTF-8",
            place.path
        );
        return Err(failure("too_large", message));
    }
    Ok(match decoding {
        Decoding::Utf16 => utf16(&bytes),
        _ => latin1(&bytes),
    })
}

/// Bytes as the characters of that number.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn utf16(bytes: &[u8]) -> String {
    let (rest, high_first) = match bytes {
        [first, second, rest @ ..] if [*first, *second] == HIGH_FIRST => (rest, true),
        [first, second, rest @ ..] if [*first, *second] == LOW_FIRST => (rest, false),
        rest => (rest, false),
    };
    let units = rest.chunks(2).map(|pair| match pair {
        [first, second] if high_first => u16::from_be_bytes([*first, *second]),
        [first, second] => u16::from_le_bytes([*first, *second]),
        // Half of a unit at the end: one that is no character alone.
        _ => 0xd800,
    });
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_of_utf16_are_read_and_what_is_broken_is_marked() {
        for bytes in [&b"\xff\xfeh\0\xe9\0"[..], b"\xfe\xff\0h\0\xe9", b"h\0\xe9\0"] {
            assert_eq!(utf16(bytes), "hé");
        }
        assert_eq!(utf16(b"\xff\xfe\x3d\xd8\x00\xde"), "😀");
        assert_eq!(utf16(b"h\0\x3d\xd8"), "h\u{fffd}");
        assert_eq!(utf16(b"h\0x"), "h\u{fffd}");
    }

    #[test]
    fn a_file_is_taken_for_what_its_beginning_says() {
        assert_eq!(guess(b"plain"), Decoding::Utf8);
        assert_eq!(guess(b"\xff\xfeh\0"), Decoding::Utf16);
        assert_eq!(guess(b"h\xe9llo"), Decoding::Base64);
        assert_eq!(guess(b"a\0b"), Decoding::Base64);
    }
}
