//! What a channel is told, and what a plugin is asked besides its work.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::value::{Content, Instant};

/// A request to a web address of a channel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookFile {
    pub hook: String,
    #[serde(default = "post")]
    pub method: String,
    #[serde(default)]
    pub query: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default = "nothing")]
    pub body: Content,
}

fn post() -> String {
    "POST".to_owned()
}

fn nothing() -> Content {
    Content(Vec::new())
}

/// Something that a channel is told: exactly one of its keys.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Event {
    /// The timer of this name is due.
    pub timer: Option<String>,
    /// The socket of this name is open.
    pub socket_opened: Option<String>,
    /// A text has come by the socket of this name.
    pub socket_text: Option<(String, String)>,
    /// The socket of this name has closed.
    pub socket_closed: Option<String>,
    /// The socket of this name has to be opened.
    pub socket_wanted: Option<String>,
    /// The last question of the plugin has this answer.
    pub approved: Option<bool>,
    /// The last event comes once more.
    pub again: Option<bool>,
    /// 1 at first.
    pub attempt: Option<u32>,
}

impl Event {
    pub(super) fn check(&self) -> Result<(), String> {
        let keys = [
            self.timer.is_some(),
            self.socket_opened.is_some(),
            self.socket_text.is_some(),
            self.socket_closed.is_some(),
            self.socket_wanted.is_some(),
            self.approved.is_some(),
            self.again.is_some(),
        ];
        if keys.iter().filter(|is_there| **is_there).count() == 1 {
            return Ok(());
        }
        Err("an `event` has exactly one of timer, socket_opened, socket_text, socket_closed, socket_wanted, approved, again"
            .to_owned())
    }
}

/// What a channel is to send.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// The address at the provider.
    pub to: String,
    #[serde(default = "direct")]
    pub kind: String,
    /// One part for each.
    pub texts: Vec<String>,
    #[serde(default = "once")]
    pub attempt: u32,
}

fn direct() -> String {
    "direct".to_owned()
}

fn once() -> u32 {
    1
}

/// A question to an optional export, or to a channel beside its work: exactly one of its keys.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ask {
    /// What the channel is.
    pub describe: Option<bool>,
    /// Whether this address can be written to.
    pub reachability: Option<String>,
    /// Another text for what was sent.
    pub edit: Option<EditFile>,
    /// What was sent is taken back.
    pub retract: Option<SentFile>,
    /// An emoji on what was sent.
    pub react: Option<ReactFile>,
    /// Somebody is writing to this address.
    pub typing: Option<String>,
    /// What became of the part with this key.
    pub reconcile: Option<String>,
    /// What is new since then.
    pub pulse: Option<Instant>,
    /// This version has stored what is there.
    pub upgrade: Option<String>,
    /// Whether the plugin could do its work now.
    pub health: Option<bool>,
    /// The call with this id was ended.
    pub cancel: Option<String>,
}

/// Something that was sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentFile {
    /// The address at the provider.
    pub to: String,
    /// The id of the message at the provider.
    #[serde(rename = "ref")]
    pub reference: String,
}

/// A text in the place of one that was sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditFile {
    pub to: String,
    #[serde(rename = "ref")]
    pub reference: String,
    pub text: String,
}

/// An emoji that is added or taken away.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReactFile {
    pub to: String,
    #[serde(rename = "ref")]
    pub reference: String,
    pub emoji: String,
    #[serde(default = "yes")]
    pub add: bool,
}

fn yes() -> bool {
    true
}

impl Ask {
    fn keys(&self) -> [(&'static str, bool); 11] {
        [
            ("describe", self.describe.is_some()),
            ("reachability", self.reachability.is_some()),
            ("edit", self.edit.is_some()),
            ("retract", self.retract.is_some()),
            ("react", self.react.is_some()),
            ("typing", self.typing.is_some()),
            ("reconcile", self.reconcile.is_some()),
            ("pulse", self.pulse.is_some()),
            ("upgrade", self.upgrade.is_some()),
            ("health", self.health.is_some()),
            ("cancel", self.cancel.is_some()),
        ]
    }

    /// What is asked.
    pub fn word(&self) -> &'static str {
        self.keys().into_iter().find(|(_, is_there)| *is_there).map_or("nothing", |(word, _)| word)
    }

    /// Whether only a channel can be asked this.
    pub fn is_of_channel(&self) -> bool {
        !matches!(self.word(), "pulse" | "upgrade" | "health" | "cancel")
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.keys().iter().filter(|(_, is_there)| *is_there).count() == 1 {
            return Ok(());
        }
        Err(format!("`ask` has exactly one of {}", self.keys().map(|(word, _)| word).join(", ")))
    }
}
