#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn patterns(value: &[u8]) -> Arc<Patterns> {
    Arc::new(Patterns::new(&[Arc::new(SecretValue::new(value.to_vec()))]).unwrap())
}

/// What comes through, in pieces of these lengths.
fn through(patterns: &Arc<Patterns>, text: &[u8], pieces: &[usize]) -> Result<Vec<u8>, Hit> {
    let mut scanner = Scanner::new(patterns.clone());
    let mut out = Vec::new();
    let mut rest = text;
    let mut lengths = pieces.iter().cycle();
    while !rest.is_empty() {
        let length = (*lengths.next().unwrap()).clamp(1, rest.len());
        out.extend_from_slice(&scanner.push(&rest[..length])?);
        rest = &rest[length..];
    }
    out.extend_from_slice(&scanner.finish()?);
    Ok(out)
}

#[test]
fn what_holds_no_secret_comes_through_at_once_and_unchanged() {
    let mut scanner = Scanner::new(patterns(b"hunter2hunter2"));

    assert_eq!(scanner.push(b"event: x\n\n").unwrap(), "event: x\n\n");
    assert_eq!(scanner.push(b"a hunter").unwrap(), "a ", "what may be the beginning of one is held");
    assert_eq!(scanner.push(b"s moon\n\n").unwrap(), "hunters moon\n\n");
    assert_eq!(scanner.push(b"100% and &amp; \\n").unwrap(), "100% and &amp; \\n");
}

proptest! {
    #[test]
    fn clean_text_is_unchanged_in_any_pieces(
        text in "[a-zA-Z0-9%&\\\\;+ \"#x]{0,200}", pieces in prop::collection::vec(1_usize..30, 1..5),
    ) {
        let patterns = patterns(b"~never~in~there~");

        prop_assert_eq!(through(&patterns, text.as_bytes(), &pieces).unwrap(), text.as_bytes());
    }

    #[test]
    fn a_secret_is_found_in_any_pieces_and_none_of_it_gets_out(
        value in prop::collection::vec(any::<u8>(), 6..40), before in "[a-m]{0,20}", after in "[a-m]{0,20}",
        form in 0_u8..8, pieces in prop::collection::vec(1_usize..12, 1..6),
    ) {
        // A value that is a run of one byte could begin in the text before it.
        prop_assume!(value[0] > 0x7f || value[0] < b' ');
        let patterns = patterns(&value);
        let echo: Vec<u8> = match form {
            0 => value.clone(),
            1 => hex::encode(&value).into_bytes(),
            2 => hex::encode_upper(&value).into_bytes(),
            3 => value.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect(),
            4 => STANDARD_NO_PAD.encode(&value).into_bytes(),
            5 => URL_SAFE_NO_PAD.encode([b"ab".as_slice(), &value].concat()).into_bytes(),
            6 => STANDARD_NO_PAD.encode([b"a".as_slice(), &value, b"zz"].concat()).into_bytes(),
            _ => value.iter().rev().copied().collect(),
        };
        let text = [before.as_bytes(), &echo, after.as_bytes()].concat();

        prop_assert!(through(&patterns, &text, &pieces).is_err());
    }

    #[test]
    fn no_bytes_panic_the_scanner(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..40) {
        let _ = through(&patterns(b"secret-value"), &bytes, &[piece]);
        let text = String::from_utf8_lossy(&bytes).replace(|c: char| c.is_ascii_digit(), "\\u00");
        let _ = through(&patterns(b"secret-value"), text.as_bytes(), &[piece]);
    }
}
