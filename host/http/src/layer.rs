//! What lies around all routes.

pub(crate) mod auth;
pub(crate) mod bounds;
pub(crate) mod browser;
pub(crate) mod envelope;
pub(crate) mod observe;
