//! Short texts and words.

use std::fmt::Display;
use std::str::FromStr;

use crate::error::ApiError;

/// The text unless it is empty.
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A text that need not be there, of at most `most` characters.
pub(crate) fn short(field: &str, text: Option<String>, most: usize) -> Result<Option<String>, ApiError> {
    let text = filled(text);
    if text.as_ref().is_some_and(|text| text.chars().count() > most) {
        return Err(ApiError::invalid(field, format!("must have at most {most} characters")));
    }
    Ok(text)
}

/// A word of a body or a query that must be one of `all`.
pub(crate) fn word<T: FromStr + Display>(
    field: &str,
    text: Option<String>,
    all: &[T],
) -> Result<Option<T>, ApiError> {
    let wrong = |_| {
        let words: Vec<_> = all.iter().map(ToString::to_string).collect();
        ApiError::invalid(field, format!("must be one of {}", words.join(", ")))
    };
    filled(text).map(|text| text.parse().map_err(wrong)).transpose()
}
