//! The bytes of a secret.

use zeroize::Zeroizing;

/// The longest value, in bytes.
pub const VALUE_BYTES: usize = 64 << 10;

/// Bytes that nobody prints: no `Debug`, no `Display`, no `Serialize`; wiped when dropped.
pub struct SecretValue(Zeroizing<Vec<u8>>);

/// A value that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    #[error("the value is empty")]
    Empty,
    #[error("the value has more than {VALUE_BYTES} bytes")]
    TooLarge,
}

impl SecretValue {
    /// Takes over `bytes`; they are wiped when the value is dropped, or now when it is refused.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadValue> {
        let bytes = Zeroizing::new(bytes);
        match bytes.len() {
            0 => Err(BadValue::Empty),
            1..=VALUE_BYTES => Ok(Self(bytes)),
            _ => Err(BadValue::TooLarge),
        }
    }

    /// The bytes, for an operation of the host. Copies of them are the caller's to wipe.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Is implemented for everything once, and for what can be printed twice: then a call of it is ambiguous.
    macro_rules! is_never {
        ($trait:path) => {{
            trait Probe<A> {
                fn probe() {}
            }
            impl<T: ?Sized> Probe<()> for T {}
            struct Second;
            impl<T: ?Sized + $trait> Probe<Second> for T {}
            <SecretValue as Probe<_>>::probe();
        }};
    }

    #[test]
    fn a_value_cannot_be_printed_or_serialised() {
        // That this compiles is the proof: with one of the traits the calls would be ambiguous.
        is_never!(std::fmt::Debug);
        is_never!(std::fmt::Display);
        is_never!(serde::Serialize);
        is_never!(Clone);
    }

    #[test]
    fn a_value_has_a_size() {
        assert!(matches!(SecretValue::new(Vec::new()), Err(BadValue::Empty)));
        assert!(matches!(SecretValue::new(vec![0; VALUE_BYTES + 1]), Err(BadValue::TooLarge)));
        assert!(SecretValue::new(vec![0; VALUE_BYTES]).is_ok());
    }
}
