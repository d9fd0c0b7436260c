//! New ids.

/// Makes the random part of new ids. Tests count theirs.
pub trait Ids: Send + Sync {
    fn uuid(&self) -> uuid::Uuid;
}
