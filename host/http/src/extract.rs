//! What a request carries, read once at the edge.

mod body;
mod id;
mod nul;
mod query;
mod text;

pub(crate) use body::{Body, BodyLimit, read_body};
pub(crate) use id::{Id, Segment, endpoint_id, id, optional_id};
pub(crate) use query::Params;
pub(crate) use text::{filled, short, word};
