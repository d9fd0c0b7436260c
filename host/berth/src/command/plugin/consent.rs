//! What a version asks for beyond the one in place, and the yes or no to it.

use clap::Args;
use serde_json::{Value, json};

use super::path_of;
use crate::cli::Global;
use crate::client::Client;
use crate::confirm;
use crate::failure::Failure;
use crate::output::{self, items, text};
use crate::terminal::Tone;

/// A yes that is given ahead.
#[derive(Debug, Clone, Args)]
pub struct Consent {
    /// Yes to all that it asks for beyond the version in place, without a question.
    #[arg(long, visible_alias = "accept")]
    pub yes: bool,
    /// Only if the package has this digest, as `berth plugin verify`, or `show` of one that waits, prints it; another is
    /// refused and changes nothing.
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    pub digest: Option<String>,
}

/// A SHA-256 in the form of the host.
fn digest(text: &str) -> Result<String, String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(hex.to_ascii_lowercase());
    }
    Err("a digest is `sha256:` and 64 digits of hex".to_owned())
}

/// Shows what waits for a yes, asks for it where a person sits there, and says how it is given otherwise.
pub async fn settle(
    global: &Global,
    client: &Client,
    id: &str,
    diff: &Value,
    digest: &str,
) -> Result<(), Failure> {
    if !shown(diff) {
        return Ok(());
    }
    match confirm::asked(global, "Put it in place?") {
        None => how(id, digest),
        Some(false) => {
            output::line(&format!("{id} stays as it is, and the upgrade waits"));
            how(id, digest);
        }
        Some(true) => {
            // Yes to what was shown, and not to what came meanwhile.
            let body = json!({ "accept": true, "digest": digest });
            let done = client.post_and_wait(&path_of(id, "/upgrade"), &body).await?;
            output::line(&format!("{id} {} is in place", text(&done, "version")));
        }
    }
    Ok(())
}

/// What an upgrade that waits for consent asks for beside the version in place, and how it is answered.
pub fn waits(id: &str, diff: &Value, digest: &str) {
    if shown(diff) {
        how(id, digest);
    }
}

/// Whether there was anything to show.
fn shown(diff: &Value) -> bool {
    if diff.is_null() {
        return false;
    }
    output::line("an upgrade waits for consent; beside the version in place it asks for");
    lines(diff);
    true
}

fn how(id: &str, digest: &str) {
    output::line(&format!("    berth plugin upgrade {id} --accept"));
    output::line(&format!("    berth plugin upgrade {id} --decline"));
    if !digest.is_empty() {
        output::line("  or, for this very version alone");
        output::line(&format!("    berth plugin upgrade {id} --accept --digest sha256:{digest}"));
    }
}

/// What a version that is in place asks for beside the one before it.
pub fn changes(diff: &Value) {
    if CHANGES.iter().any(|kind| !items(&diff[kind]).is_empty()) {
        output::line("beside the version before it asks for");
        lines(diff);
    }
}

/// What reaches further first; what stays the same is left out.
const CHANGES: [&str; 4] = ["added", "widened", "narrowed", "removed"];

fn lines(diff: &Value) {
    if !diff["publisher"].is_null() {
        output::hanging("  ", &text(&diff["publisher"], "line"), Tone::Bad);
    }
    for (kind, entry) in CHANGES.iter().flat_map(|kind| items(&diff[kind]).iter().map(move |one| (kind, one)))
    {
        let line = text(entry, "line");
        let reason = text(entry, "reason");
        let line = if reason.is_empty() { line } else { format!("{line}: {reason}") };
        // What reaches further stands out.
        let tone = if matches!(*kind, "added" | "widened") { Tone::Waiting } else { Tone::Good };
        output::hanging("  ", &line, tone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_with_and_without_its_word() {
        let hex = "aB".repeat(32);

        assert_eq!(digest(&hex), Ok("ab".repeat(32)));
        assert_eq!(digest(&format!("sha256:{hex}")), Ok("ab".repeat(32)));
        for bad in ["", "sha256:", "abc", "sha256:xyz", &format!("md5:{hex}"), &format!("{hex}0")] {
            assert!(digest(bad).unwrap_err().contains("64 digits"), "{bad}");
        }
    }
}
