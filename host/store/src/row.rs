//! Rows become model values; one that no version of ours writes is an error that names it.

use std::str::FromStr;

use berth_core::port::store::StoreError;
use berth_model::{JsonMap, Timestamp};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// A row of `table`; the first column names it in errors.
pub(crate) struct Row<'a> {
    table: &'static str,
    row: &'a AnyRow,
}

impl<'a> Row<'a> {
    pub(crate) fn new(table: &'static str, row: &'a AnyRow) -> Self {
        Self { table, row }
    }

    pub(crate) fn bad(&self, column: &'static str) -> StoreError {
        let row = self.row.try_get::<String, _>(0).unwrap_or_else(|_| "?".to_owned());
        StoreError::Inconsistent { table: self.table, column, row }
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.row.try_get(column).map_err(|_| self.bad(column))
    }

    pub(crate) fn maybe_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.row.try_get(column).map_err(|_| self.bad(column))
    }

    pub(crate) fn number(&self, column: &'static str) -> Result<i64, StoreError> {
        self.row.try_get(column).map_err(|_| self.bad(column))
    }

    pub(crate) fn maybe_number(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.row.try_get(column).map_err(|_| self.bad(column))
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        self.number(column).map(|number| number != 0)
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.number(column).map(Timestamp::from_micros)
    }

    pub(crate) fn maybe_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.maybe_number(column)?.map(Timestamp::from_micros))
    }

    /// An id or a word.
    pub(crate) fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| self.bad(column))
    }

    pub(crate) fn maybe_parsed<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        self.maybe_text(column)?.map(|text| text.parse().map_err(|_| self.bad(column))).transpose()
    }

    pub(crate) fn json(&self, column: &'static str) -> Result<Value, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|_| self.bad(column))
    }

    /// Bytes in hexadecimal.
    pub(crate) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        hex::decode(self.text(column)?).map_err(|_| self.bad(column))
    }

    pub(crate) fn object(&self, column: &'static str) -> Result<JsonMap, StoreError> {
        match self.json(column)? {
            Value::Object(map) => Ok(map),
            _ => Err(self.bad(column)),
        }
    }

    /// A JSON list of texts.
    pub(crate) fn list<T: FromStr>(&self, column: &'static str) -> Result<Vec<T>, StoreError> {
        let Value::Array(items) = self.json(column)? else { return Err(self.bad(column)) };
        items
            .iter()
            .map(|item| item.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| self.bad(column)))
            .collect()
    }
}

/// A JSON list of texts, as it is stored.
pub(crate) fn list_text<T: ToString>(items: &[T]) -> String {
    Value::Array(items.iter().map(|item| Value::String(item.to_string())).collect()).to_string()
}

/// A JSON object, as it is stored.
pub(crate) fn object_text(map: &JsonMap) -> String {
    serde_json::to_string(map).unwrap_or_else(|_| "{}".to_owned())
}

/// A value on its way into a statement.
///
/// PostgreSQL keeps no NUL in a text, so neither database gets one: U+FFFD stands in its place. JSON escapes its own.
pub(crate) trait Stored {
    fn stored(self) -> Self;
}

impl Stored for String {
    fn stored(self) -> Self {
        if self.contains('\0') { self.replace('\0', "\u{fffd}") } else { self }
    }
}

impl Stored for Option<String> {
    fn stored(self) -> Self {
        self.map(Stored::stored)
    }
}

/// A word of ours.
impl Stored for &'static str {
    fn stored(self) -> Self {
        self
    }
}

impl Stored for i64 {
    fn stored(self) -> Self {
        self
    }
}

impl Stored for Option<i64> {
    fn stored(self) -> Self {
        self
    }
}
