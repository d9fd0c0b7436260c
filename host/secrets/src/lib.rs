//! The vault: values that plugins use and never hold.
//!
//! A value comes in once, from the operator, and is sealed with age before it is stored. It is opened inside this
//! process alone, when the host signs, decrypts or sends with it. [`Vault`] keeps the secrets, [`KeyPlace`] says where
//! the key lies. What is stored goes through the port [`SealedStore`]; nothing here knows a database.
//!
//! **Invariant:** [`SecretValue`] has no `Debug`, no `Display` and no `Serialize`, and forgets its bytes when dropped.

pub mod desk;
mod envelope;
pub mod key;
pub mod name;
pub mod operation;
pub mod rate;
#[cfg(test)]
mod testing;
pub mod value;
pub mod vault;

pub use desk::{Desk, DeskError, Found, NewDerived};
pub use key::{KeyError, KeyPlace};
pub use name::{Asker, BadName, Owner, SecretId, SecretName};
pub use operation::OperationError;
pub use value::{BadValue, SecretValue};
pub use vault::store::{SealedSecret, SealedStore, StoreFailure};
pub use vault::{Change, Clock, Known, Opened, Standing, Vault, VaultError};
