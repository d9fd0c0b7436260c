//! What plugins may be granted, and how an import names it.
//!
//! A capability knows no WIT: `crate::wit` holds the shells. To add one: a variant here, a module below, a shell there.

pub mod approvals;
pub mod config;
pub mod context;
pub mod diff;
pub mod endpoint;
pub mod files;
pub mod grants;
pub mod http;
pub mod inbound;
pub mod keyvalue;
pub mod ledger;
pub mod limit;
pub mod logs;
pub mod process;
pub mod progress;
pub mod quota;
pub mod scopes;
pub mod secret;
pub mod services;
pub mod suggest;
pub mod surroundings;
pub mod text;
pub mod throttle;
pub mod websocket;

use serde_json::Value;

/// The longest code, message and details that are taken over from a guest.
const CODE_BYTES: usize = 64;
const MESSAGE_BYTES: usize = 4096;
const DETAILS_BYTES: usize = 64 << 10;

/// The error that every interface of ours answers with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CapabilityError {
    /// A stable word of `docs/errors.md`, or the guest's own.
    pub code: String,
    pub message: String,
    pub retryable: bool,
    pub retry_after_ms: Option<u32>,
    pub details: Option<Box<Value>>,
}

impl CapabilityError {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            retryable: false,
            retry_after_ms: None,
            details: None,
        }
    }

    /// The call is being ended.
    pub fn cancelled() -> Self {
        Self::new("cancelled", "the call was cancelled")
    }

    /// An error as a guest gave it, made safe to show and to store: a code that is a word, a message of one screen.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if !(1..=CODE_BYTES).contains(&self.code.len()) || !self.code.bytes().all(plain) {
            "PLUGIN_ERROR".clone_into(&mut self.code);
        }
        let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
        self.message = self.message.chars().map(|c| if odd(c) { ' ' } else { c }).collect();
        self.message.truncate(self.message.floor_char_boundary(MESSAGE_BYTES));
        self.details = self.details.filter(|details| details.to_string().len() <= DETAILS_BYTES);
        self
    }

    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }
}

/// Whether a manifest leaves it to the operator what a wish is for: its scope is empty, and every grant is within it.
///
/// For capabilities whose scope must name something otherwise; no grant has an empty scope of such a capability.
pub fn is_left_open(scope: &Value) -> bool {
    scope.as_object().is_some_and(serde_json::Map::is_empty)
}

/// A capability that a manifest can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    Files,
    Endpoint,
    Http,
    Secret,
    Keyvalue,
    Config,
    Websocket,
    Process,
    Approval,
    Channel,
}

impl Capability {
    /// Every capability that a manifest may name.
    pub const ALL: [Self; 10] = [
        Self::Files,
        Self::Endpoint,
        Self::Http,
        Self::Secret,
        Self::Keyvalue,
        Self::Config,
        Self::Websocket,
        Self::Process,
        Self::Approval,
        Self::Channel,
    ];

    /// The word in manifests and grants.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Endpoint => "endpoint",
            Self::Http => "http",
            Self::Secret => "secret",
            Self::Keyvalue => "keyvalue",
            Self::Config => "config",
            Self::Websocket => "websocket",
            Self::Process => "process",
            Self::Approval => "approval",
            Self::Channel => "channel",
        }
    }

    /// The capability of this name.
    pub fn lookup(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == name)
    }

    /// Whether a use of `wanted`, a scope in the form of the capability, changes something: in doubt it does.
    pub fn is_write(self, wanted: &Value) -> bool {
        let access = || wanted.get("access").and_then(Value::as_str);
        match self {
            // To ask the owner changes nothing; his answer may.
            Self::Config | Self::Secret | Self::Approval => false,
            Self::Files => access() == Some("rw"),
            Self::Keyvalue => access() != Some("ro"),
            Self::Http => {
                let methods = wanted.get("methods").and_then(Value::as_array);
                let reads = |method: &Value| matches!(method.as_str(), Some("GET" | "HEAD" | "OPTIONS"));
                !methods.is_some_and(|methods| !methods.is_empty() && methods.iter().all(reads))
            }
            Self::Endpoint | Self::Websocket | Self::Process | Self::Channel => true,
        }
    }
}

/// What an imported interface is to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportKind {
    /// Always linked, and grants nothing.
    Base,
    /// Linked, and every call of it is refused.
    Wall,
    /// Needs the capability.
    Needs(Capability),
    Unknown,
}

/// Tells what `import`, such as `wasi:io/poll@0.2.6`, is to the host.
pub fn classify(import: &str) -> ImportKind {
    let (name, version) = match import.split_once('@') {
        Some((name, version)) => (name, semver::Version::parse(version).ok()),
        None => (import, None),
    };
    let Some((package, interface)) = name.split_once('/') else {
        return ImportKind::Unknown;
    };
    let series = version.as_ref().map(|version| (version.major, version.minor));
    let stable = version.as_ref().is_some_and(|version| version.pre.is_empty());
    match (package, series) {
        ("berth:plugin", Some((0, 1)) | None) => match interface {
            "types" | "call" | "progress" | "capabilities" => ImportKind::Base,
            "endpoints" => ImportKind::Needs(Capability::Endpoint),
            "secrets" => ImportKind::Needs(Capability::Secret),
            "websocket" => ImportKind::Needs(Capability::Websocket),
            "process" => ImportKind::Needs(Capability::Process),
            "approval" => ImportKind::Needs(Capability::Approval),
            "inbound" => ImportKind::Needs(Capability::Channel),
            _ => ImportKind::Unknown,
        },
        ("wasi:http", Some((0, 2))) if stable && ["types", "outgoing-handler"].contains(&interface) => {
            ImportKind::Needs(Capability::Http)
        }
        ("wasi:keyvalue", _) if DRAFTS.contains(&import) => ImportKind::Needs(Capability::Keyvalue),
        ("wasi:config" | "wasi:logging", _) if DRAFTS.contains(&import) => ImportKind::Base,
        ("wasi:sockets", Some((0, 2))) if stable && SOCKETS.contains(&interface) => ImportKind::Wall,
        (_, Some((0, 2))) if stable && BASE.contains(&name) => ImportKind::Base,
        _ => ImportKind::Unknown,
    }
}

/// Whether the grants cover `wanted`, a scope in the form of the capability; `{}` asks for any scope at all.
pub fn granted_scope(view: &grants::GrantView, capability: Capability, wanted: &Value) -> bool {
    let Some(object) = wanted.as_object() else { return false };
    if object.is_empty() {
        return view.granted().contains(&capability.as_str());
    }
    match capability {
        Capability::Files => {
            let folder = files::folders(view, &[])
                .into_iter()
                .find(|folder| object.get("guest").and_then(Value::as_str) == Some(folder.guest.as_str()));
            let writes = object.get("access").and_then(Value::as_str) == Some("rw");
            folder.is_some_and(|folder| !writes || folder.access == files::Access::ReadWrite)
        }
        Capability::Endpoint => endpoint::check(view, wanted),
        Capability::Http => http::check(view, wanted),
        Capability::Process => process::check(view, wanted),
        Capability::Keyvalue => keyvalue::asked(wanted).is_some_and(|(bucket, way)| {
            view.decide(capability, wanted.clone(), |scope| keyvalue::covers(scope, &bucket, way)).is_ok()
        }),
        Capability::Secret => {
            view.decide(capability, wanted.clone(), |scope| secret::covers(scope, wanted)).is_ok()
        }
        _ => false,
    }
}

/// What standard libraries import even when unused; empty, it grants nothing.
const BASE: [&str; 20] = [
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/wall-clock",
    "wasi:clocks/monotonic-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
];

/// Standards that are not final: each is served in the very versions that tool chains import, and in no other.
const DRAFTS: [&str; 11] = [
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:keyvalue/atomics@0.2.0-draft",
    "wasi:keyvalue/batch@0.2.0-draft",
    "wasi:keyvalue/store@0.2.0-draft2",
    "wasi:keyvalue/atomics@0.2.0-draft2",
    "wasi:keyvalue/batch@0.2.0-draft2",
    "wasi:config/store@0.2.0-rc.1",
    "wasi:config/store@0.2.0-draft",
    "wasi:config/store@0.2.0-draft-2024-09-27",
    "wasi:logging/logging@0.1.0-draft",
    "wasi:logging/logging",
];

const SOCKETS: [&str; 7] =
    ["network", "instance-network", "tcp", "tcp-create-socket", "udp", "udp-create-socket", "ip-name-lookup"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_known_by_its_whole_name_and_series() {
        assert_eq!(classify("wasi:io/poll@0.2.6"), ImportKind::Base);
        assert_eq!(classify("wasi:sockets/tcp@0.2.0"), ImportKind::Wall);
        assert_eq!(classify("berth:plugin/endpoints@0.1.0"), ImportKind::Needs(Capability::Endpoint));
        assert_eq!(classify("wasi:http/outgoing-handler@0.2.4"), ImportKind::Needs(Capability::Http));
        assert_eq!(classify("wasi:keyvalue/store@0.2.0-draft2"), ImportKind::Needs(Capability::Keyvalue));
        assert_eq!(classify("wasi:config/store@0.2.0-rc.1"), ImportKind::Base);
        assert_eq!(classify("wasi:logging/logging"), ImportKind::Base);
        for unknown in [
            "wasi:http/incoming-handler@0.2.0",
            "wasi:http/types@0.3.0",
            "wasi:keyvalue/store@0.2.0",
            "wasi:keyvalue/store",
            "wasi:keyvalue/watcher@0.2.0-draft2",
            "wasi:config/store@0.2.0",
            "wasi:config/runtime@0.2.0-draft",
            "wasi:logging/logging@0.2.0",
            "wasi:io/poll@0.3.0",
            "wasi:io/poll@0.2.0-rc-2023-11-10",
            "berth:plugin/call@0.2.0",
            "acme:io/poll@0.2.0",
            "poll",
            "wasi:sockets/everything@0.2.0",
        ] {
            assert_eq!(classify(unknown), ImportKind::Unknown, "{unknown}");
        }
    }
}
