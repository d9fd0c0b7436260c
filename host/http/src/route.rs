//! The routes, one file per resource.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod channels;
pub(crate) mod events;
pub(crate) mod generations;
pub(crate) mod grants;
pub(crate) mod health;
pub(crate) mod messages;
pub(crate) mod operations;
pub(crate) mod plugins;
pub(crate) mod replies;
pub(crate) mod runs;
pub(crate) mod secrets;
pub(crate) mod sent;
pub(crate) mod sessions;
pub(crate) mod threads;
pub(crate) mod tools;
pub(crate) mod usage;
pub(crate) mod workspaces;

/// The text of an id, or `""` when there is none: answers never carry null for a text.
pub(crate) fn text<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// A limit of a list: `default` when absent, and within 1 to 200.
pub(crate) fn limit(wanted: Option<i64>, default: u32) -> u32 {
    wanted.map_or(default, |wanted| u32::try_from(wanted.clamp(1, 200)).unwrap_or(default))
}
