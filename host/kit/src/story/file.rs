//! The tables of a story.

use std::collections::BTreeMap;

use berth_wasm::capability::Capability;
use berth_wasm::manifest::json;
use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use super::channel::{Ask, Deliver, Event, WebhookFile};
use super::value::{Content, Instant, SecretText, Span};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub case: Vec<Spanned<Case>>,
}

/// One case: a world, what is asked in it, and what must have become of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, in words.
    pub name: String,
    /// What the clock shows at first; midnight of 1 January 2026 in UTC when it is not said.
    pub clock: Option<Instant>,
    /// Where chance begins.
    #[serde(default)]
    pub seed: u64,
    /// The settings of the operator.
    #[serde(default)]
    pub config: toml::Table,
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretText>,
    /// Pairs by bucket and key.
    #[serde(default)]
    pub keyvalue: BTreeMap<String, BTreeMap<String, Content>>,
    /// Files by the folder that the guest sees, and their path below it.
    #[serde(default)]
    pub files: BTreeMap<String, BTreeMap<String, Content>>,
    /// Capabilities that nobody has granted, although the manifest asks for them.
    #[serde(default)]
    pub without: Vec<String>,
    /// Grants in the place of those that the wishes of the manifest would get, for each capability that is named here.
    #[serde(default)]
    pub grant: Vec<GrantFile>,
    #[serde(default)]
    pub http: Vec<HttpFile>,
    #[serde(default)]
    pub process: Vec<ProcessFile>,
    #[serde(default)]
    pub endpoint: Vec<EndpointFile>,
    #[serde(default)]
    pub approval: Vec<ApprovalFile>,
    /// Whether requests that no `[[case.http]]` names are recorded with `--record`, and played from the cassette without.
    #[serde(default)]
    pub record: bool,
    /// What of a request a cassette does not compare: `header:NAME`, `query:NAME` or `body`.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// What is wrong all the time.
    #[serde(default)]
    pub fault: Vec<CaseFault>,
    /// What is left on the disk.
    pub disk_bytes: Option<u64>,
    #[serde(default)]
    pub step: Vec<Spanned<Step>>,
    #[serde(default)]
    pub expect: Expect,
}

/// What may be wrong in a whole case or in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseFault {
    /// Nothing can be written to files or pairs.
    DiskFull,
    /// The database of pairs does not answer.
    KeyvalueDown,
}

/// A grant of the operator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantFile {
    pub capability: String,
    #[serde(default)]
    pub scope: toml::Table,
    #[serde(default)]
    pub limit: toml::Table,
    /// `allow`, `ask`, `observe` or `deny`.
    #[serde(default = "allow")]
    pub mode: String,
    pub expires: Option<Instant>,
    pub uses: Option<i64>,
}

fn allow() -> String {
    "allow".to_owned()
}

/// A request that a server expects, and what it answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpFile {
    #[serde(default = "get")]
    pub method: String,
    pub url: String,
    /// Those that must be there as they are; others may be.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The whole body.
    pub body: Option<Content>,
    /// What the JSON of the body holds: other fields may be there.
    pub body_contains: Option<toml::Value>,
    /// How often it comes.
    #[serde(default = "once")]
    pub times: u32,
    /// Whether it may as well not come.
    #[serde(default)]
    pub optional: bool,
    #[serde(default = "ok")]
    pub status: u16,
    #[serde(default)]
    pub answer_headers: BTreeMap<String, String>,
    pub answer: Option<Content>,
    /// The same in pieces: each is one chunk.
    #[serde(default)]
    pub answer_chunks: Vec<Content>,
    /// Behind the chunks.
    #[serde(default)]
    pub answer_trailers: BTreeMap<String, String>,
    pub fault: Option<HttpFault>,
    /// How often `429-burst` refuses; twice when it is not said.
    pub refusals: Option<u32>,
    /// How far `clock-jump` jumps.
    pub jump: Option<Span>,
}

fn get() -> String {
    "GET".to_owned()
}

fn once() -> u32 {
    1
}

fn ok() -> u16 {
    200
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpFault {
    /// The name is not known.
    Unresolved,
    /// Nobody listens.
    Refused,
    /// The server proves to be another.
    BadCertificate,
    /// The request is taken and never answered.
    TimeoutAfterAccept,
    /// The request is taken, and the connection broken.
    Reset,
    /// The connection breaks in the middle of the body.
    PartialBody,
    /// The body stops in the middle, and the connection stays.
    Stall,
    /// What is answered is no HTTP.
    NoHttp,
    /// The request is refused with 429 a few times before it is answered.
    #[serde(rename = "429-burst")]
    Burst,
    /// The wall clock is set while the request is at work.
    ClockJump,
    /// The grant is taken back while the request is at work.
    Revoked,
}

/// A program that is run, and what comes of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessFile {
    pub program: String,
    #[serde(default)]
    pub argv: Vec<String>,
    pub stdin: Option<Content>,
    #[serde(default)]
    pub exit: i32,
    #[serde(default = "nothing")]
    pub stdout: Content,
    #[serde(default = "nothing")]
    pub stderr: Content,
    #[serde(default = "once")]
    pub times: u32,
    #[serde(default)]
    pub optional: bool,
    pub fault: Option<ProcessFault>,
    pub error: Option<FakeError>,
}

fn nothing() -> Content {
    Content(Vec::new())
}

/// What goes wrong with a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessFault {
    /// It does not end in time.
    Timeout,
    /// The policy of commands refuses it.
    Refused,
    /// It is not on this machine.
    NotInstalled,
}

/// An error in the place of an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FakeError {
    pub code: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub retryable: bool,
    pub retry_after_ms: Option<u32>,
}

/// A tool of a connected endpoint, and what a call of it answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointFile {
    /// The key of the tool, such as `rpi.gpio.read`.
    pub tool: String,
    /// The id of the endpoint.
    #[serde(default = "device")]
    pub endpoint: String,
    #[serde(default = "device_type")]
    pub provider: String,
    /// The whole arguments.
    pub args: Option<toml::Table>,
    pub result: Option<toml::Value>,
    pub error: Option<FakeError>,
    pub fault: Option<EndpointFault>,
    #[serde(default = "once")]
    pub times: u32,
    #[serde(default)]
    pub optional: bool,
}

fn device() -> String {
    "device".to_owned()
}

fn device_type() -> String {
    "fake".to_owned()
}

/// What goes wrong with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointFault {
    /// It is known, and not connected.
    Offline,
    /// It leaves while it works.
    GoneAfterAccept,
    /// It takes the call and never answers.
    TimeoutAfterAccept,
}

/// The answer of a person.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalFile {
    /// The capability that a grant asks about.
    pub capability: Option<String>,
    /// The title of a question of the plugin's own.
    pub title: Option<String>,
    /// `yes`, `no`, `nobody` (there is nobody to ask) or `open` (not answered yet).
    pub answer: String,
    #[serde(default)]
    pub reason: String,
}

/// One thing that is done: exactly one of its first keys says what.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// A tool by the name that models know.
    pub call: Option<String>,
    /// Time goes on.
    pub advance: Option<Span>,
    /// The wall clock is set.
    pub clock: Option<Instant>,
    /// The operator takes the grants of a capability back.
    pub revoke: Option<String>,
    /// The channel is switched on.
    pub start: Option<bool>,
    /// Somebody calls a web address of the channel.
    pub webhook: Option<WebhookFile>,
    /// Something happens that the channel is told.
    pub event: Option<Event>,
    /// The host makes the next request of a poll that the channel wished.
    pub poll: Option<String>,
    /// The channel is to send something.
    pub deliver: Option<Deliver>,
    /// Something besides its work.
    pub ask: Option<Ask>,
    /// The channel is switched off, for this reason.
    pub stop: Option<String>,

    /// The arguments of a call.
    pub args: Option<toml::Table>,
    pub dry_run: bool,
    pub locale: Option<String>,
    /// Who calls: `user:self` when it is not said.
    pub actor: Option<String>,
    /// The call is cancelled when so much time has gone by in it.
    pub cancel_after: Option<Span>,
    /// What is wrong during this step.
    pub fault: Vec<CaseFault>,

    /// The whole answer.
    pub result: Option<toml::Value>,
    /// The whole answer as the text of JSON, where it has a `null`.
    pub result_json: Option<String>,
    /// What the answer holds: other fields may be there; a text holds another one as a part.
    pub contains: Option<toml::Value>,
    /// The code of the failure.
    pub error: Option<String>,
    /// What the message of the failure holds.
    pub message: Option<String>,
    /// Pieces of lines that must be in the log, in this order.
    pub logs: Vec<String>,
    /// Pieces of reports of progress, in this order.
    pub progress: Vec<String>,
    /// The most calls of host functions.
    pub most_host_calls: Option<u64>,
    /// What the channel must have handed to Core.
    pub inbound: Option<toml::Value>,
}

/// What must be there in the end.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// All pairs, of the buckets that are named.
    pub keyvalue: BTreeMap<String, BTreeMap<String, Content>>,
    /// All files, of the folders that are named.
    pub files: BTreeMap<String, BTreeMap<String, Content>>,
    /// How many uses were denied.
    pub denials: Option<u64>,
    /// Frames that the channel has sent over its sockets, as `NAME TEXT`.
    pub frames: Option<Vec<String>>,
    /// The virtual time that has gone by.
    pub elapsed: Option<Span>,
}

impl Case {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty() {
            return Err("`name` must say what the case shows".to_owned());
        }
        let grants = self.grant.iter().map(|grant| &grant.capability);
        for name in self.without.iter().chain(grants) {
            capability(name)?;
        }
        for http in &self.http {
            http.check()?;
        }
        for ignored in &self.ignore {
            let known = ignored == "body" || ignored.starts_with("header:") || ignored.starts_with("query:");
            if !known {
                return Err(format!("`ignore`: `{ignored}` is none of header:NAME, query:NAME and body"));
            }
        }
        for approval in &self.approval {
            if !["yes", "no", "nobody", "open"].contains(&approval.answer.as_str()) {
                return Err(format!(
                    "`answer` of an approval is yes, no, nobody or open, not `{}`",
                    approval.answer
                ));
            }
            if approval.capability.is_some() == approval.title.is_some() {
                return Err("an approval names either a `capability` or a `title`".to_owned());
            }
        }
        if self.step.is_empty() {
            return Err(format!("the case \"{}\" has no [[case.step]]", self.name));
        }
        Ok(())
    }
}

impl HttpFile {
    fn check(&self) -> Result<(), String> {
        let target = berth_broker::Target::parse(&self.url);
        target.map_err(|error| format!("`url` \"{}\": {error}", self.url))?;
        if self.answer.is_some() && !self.answer_chunks.is_empty() {
            return Err("an exchange has `answer` or `answer_chunks`, not both".to_owned());
        }
        if !(200..=599).contains(&self.status) {
            return Err(format!("`status` is 200 to 599, not {}", self.status));
        }
        if self.refusals.is_some() && self.fault != Some(HttpFault::Burst) {
            return Err("`refusals` belongs to the fault 429-burst".to_owned());
        }
        if self.jump.is_some() != (self.fault == Some(HttpFault::ClockJump)) {
            return Err("`jump` and the fault clock-jump belong together".to_owned());
        }
        Ok(())
    }

    /// What the JSON of the body must hold.
    pub fn body_wanted(&self) -> Option<Value> {
        self.body_contains.clone().map(json)
    }
}

impl Step {
    /// What is done.
    pub fn verb(&self) -> &'static str {
        let verbs = self.verbs();
        verbs.into_iter().find(|(_, is_there)| *is_there).map_or("nothing", |(verb, _)| verb)
    }

    fn verbs(&self) -> [(&'static str, bool); 11] {
        [
            ("call", self.call.is_some()),
            ("advance", self.advance.is_some()),
            ("clock", self.clock.is_some()),
            ("revoke", self.revoke.is_some()),
            ("start", self.start.is_some()),
            ("webhook", self.webhook.is_some()),
            ("event", self.event.is_some()),
            ("poll", self.poll.is_some()),
            ("deliver", self.deliver.is_some()),
            ("ask", self.ask.is_some()),
            ("stop", self.stop.is_some()),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let verbs = self.verbs().map(|(verb, _)| verb).join(", ");
        if self.verbs().iter().filter(|(_, is_there)| *is_there).count() != 1 {
            return Err(format!("a step has exactly one of {verbs}"));
        }
        if let Some(name) = &self.revoke {
            capability(name)?;
        }
        self.event.as_ref().map_or(Ok(()), Event::check)?;
        self.ask.as_ref().map_or(Ok(()), Ask::check)?;
        if self.call.is_none() && (self.args.is_some() || self.cancel_after.is_some()) {
            return Err("`args` and `cancel_after` belong to `call`".to_owned());
        }
        if let Some(text) = &self.result_json {
            serde_json::from_str::<Value>(text).map_err(|error| format!("`result_json`: {error}"))?;
        }
        let answers = [self.result.is_some(), self.result_json.is_some(), self.contains.is_some()];
        if answers.iter().filter(|is_there| **is_there).count() > 1 {
            return Err("a step has one of `result`, `result_json` and `contains`".to_owned());
        }
        if self.error.is_none() && self.message.is_some() {
            return Err("`message` belongs to `error`".to_owned());
        }
        Ok(())
    }

    /// The whole answer that is wanted.
    pub fn wanted(&self) -> Option<Value> {
        let text = self.result_json.as_ref().and_then(|text| serde_json::from_str(text).ok());
        text.or_else(|| self.result.clone().map(json))
    }
}

fn capability(name: &str) -> Result<Capability, String> {
    Capability::lookup(name).ok_or_else(|| {
        let known: Vec<&str> = Capability::ALL.into_iter().map(Capability::as_str).collect();
        format!("`{name}` is no capability: {}", known.join(", "))
    })
}
