//! What core needs from the outside, as traits.

pub mod clock;
pub mod endpoint_link;
pub mod ids;
pub mod model;
pub mod store;
pub mod target;
