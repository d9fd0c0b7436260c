//! How a plugin makes the error record of the host.

use crate::Error;

impl Error {
    /// An error that trying again does not mend. `code` is a stable word.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retryable: false,
            retry_after_ms: None,
            details: None,
        }
    }

    /// That the operator has not granted `capability`, or not for this; the code is `denied`.
    pub fn denied(capability: &str, message: impl Into<String>) -> Self {
        Self::new("denied", message).with_details(&serde_json::json!({ "capability": capability }))
    }

    /// Says in the message which command of the operator grants what is missing to the plugin `id`.
    ///
    /// The scope is the one that the details name; an error that is no denial stays as it is.
    ///
    /// ```
    /// use berth_plugin::Error;
    ///
    /// let error = Error::denied("keyvalue", "the bucket is not granted").with_grant_hint("notes");
    /// assert_eq!(
    ///     error.message,
    ///     "the bucket is not granted. The operator can allow it: berth plugin grant notes keyvalue --scope '{}'"
    /// );
    /// ```
    #[must_use]
    pub fn with_grant_hint(mut self, id: &str) -> Self {
        let details: serde_json::Value =
            self.details.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
        if let ("denied", Some(capability)) = (self.code.as_str(), details["capability"].as_str()) {
            let scope =
                if details["scope"].is_object() { details["scope"].to_string() } else { "{}".to_owned() };
            let hint = format!("berth plugin grant {id} {capability} --scope '{scope}'");
            self.message = format!("{}. The operator can allow it: {hint}", self.message);
        }
        self
    }

    /// The same, but trying again may help.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Adds facts for programs.
    #[must_use]
    pub fn with_details(mut self, details: &serde_json::Value) -> Self {
        self.details = Some(details.to_string());
        self
    }
}
