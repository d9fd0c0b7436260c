//! The way out of what went wrong, where it is known: the plugin that was meant, or the command that tells more.

use super::path_of;
use crate::client::Client;
use crate::failure::Failure;
use crate::nearest::{corrected, nearest};
use crate::output::{items, text};

/// Fails with `PLUGIN_NOT_FOUND` when there is no such plugin: lists of nothing are told for any id.
pub async fn require(client: &Client, id: &str) -> Result<(), Failure> {
    client.get(&path_of(id, "")).await.map(drop)
}

/// The failure of a command about the plugin `id`, with what helps.
pub async fn explained(client: &Client, id: Option<&str>, failure: Failure) -> Failure {
    let Failure::Failed { .. } = &failure else { return failure };
    let Some(id) = id else {
        let is_grant = failure.code() == "GRANT_NOT_FOUND";
        return failure.trying(|| is_grant.then(|| "berth plugin show ID".to_owned()));
    };
    // Who names a plugin that is not there has no use for the rest.
    let missing = match failure.code() {
        "PLUGIN_NOT_FOUND" => None,
        _ => require(client, id).await.err().filter(|other| other.code() == "PLUGIN_NOT_FOUND"),
    };
    let failure = missing.unwrap_or(failure);
    let known = match failure.code() {
        "PLUGIN_NOT_FOUND" => {
            let there = client.get("/operator/plugins").await.unwrap_or_default();
            let names: Vec<_> = items(&there).iter().map(|plugin| text(plugin, "plugin_id")).collect();
            let meant = nearest(id, names.iter().map(String::as_str));
            Some(meant.map_or_else(|| "berth plugin list".to_owned(), |meant| corrected(id, meant)))
        }
        code => more(code).map(|command| format!("berth plugin {command} {id}")),
    };
    failure.trying(|| known)
}

/// The command that tells more of a plugin.
fn more(code: &str) -> Option<&'static str> {
    Some(match code {
        "PLUGIN_NOTHING_WAITS" | "PLUGIN_NO_EARLIER_GENERATION" => "generations",
        "PLUGIN_NOT_QUARANTINED" | "PLUGIN_NOT_ACTIVE" | "CHANNEL_AWAY" => "show",
        "delivery_not_found" => "deliveries",
        "CHANNEL_EVENT_NOT_FOUND" => "events",
        _ => return None,
    })
}
