//! The key of a model provider.

/// A provider key. It has no `Display`, and its `Debug` shows nothing: a key never reaches a log or an error.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// `None` for a blank key.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The bytes, for the one header that carries them.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}
