//! What lies around all routes.

pub(crate) mod auth;
pub(crate) mod envelope;
pub(crate) mod observe;
