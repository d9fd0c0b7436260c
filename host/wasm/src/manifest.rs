//! `plugin.toml`: what a plugin asks for.

mod file;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use berth_model::tool::Risk;
use serde_json::Value;
use toml::Spanned;

use crate::actor::hooks;
use crate::capability::config::BadSchema;
use crate::capability::grants::Request;
use crate::capability::limit::Limit;
use crate::capability::{Capability, endpoint, files, http, keyvalue, process, secret, websocket};
use crate::limits::Wishes;
use crate::tool::snake;

/// The version of the host's interfaces that a manifest may name.
pub const ABI: &str = "berth:plugin@0.1";

/// A parsed and checked manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// 1 to 40 characters of `a-z`, `0-9`, `-` and `_`, a letter first.
    pub id: String,
    pub version: semver::Version,
    pub kind: Kind,
    pub description: String,
    /// The file name of the component, beside the manifest.
    pub component: Option<String>,
    /// The digest that packing filled in.
    pub sha256: Option<String>,
    pub requests: Vec<Request>,
    /// Hints by tool, as the manifest spells them.
    pub tools: BTreeMap<String, ToolHints>,
    /// The wished limits, not yet cut to the ceilings of the operator.
    pub wishes: Wishes,
    pub instances: Instances,
    pub config_schema: Option<String>,
    /// For the machine of the author; a host does nothing with it.
    pub build: BuildHints,
}

/// What a build cannot see by the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildHints {
    /// What the sources are written in.
    pub language: Option<String>,
    /// The world that the component is of, where `wit/` has several.
    pub world: Option<String>,
    /// The file that the build begins at.
    pub source: Option<String>,
}

/// What a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tool,
    Channel,
}

/// How long an instance lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    Fresh,
    Prewarm,
    Pool,
    Actor,
}

/// What WIT cannot say of a tool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolHints {
    pub name: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub risk: Option<Risk>,
    pub confirm: Option<bool>,
    pub idempotent: Option<bool>,
    pub timeout: Option<Duration>,
    pub examples: Vec<Value>,
}

/// A manifest that is not right, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin.toml{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ManifestError {
    code: &'static str,
    pub message: String,
    /// Bytes of the source that are meant.
    pub span: Option<Range<usize>>,
    /// Counted from 1.
    pub line: Option<usize>,
}

impl ManifestError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// A manifest that is no TOML to who reads it otherwise.
    pub(crate) fn unreadable(message: &str) -> Self {
        Self { code: "MANIFEST_INVALID", message: message.to_owned(), span: None, line: None }
    }

    fn at(code: &'static str, source: &str, span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        let line = span.as_ref().map(|span| {
            let end = span.start.min(source.len());
            source.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
        });
        Self { code, message: message.into(), span, line }
    }
}

impl Manifest {
    /// Reads the text of a `plugin.toml`.
    ///
    /// Unknown keys and capability names are errors that name the key and its line.
    pub fn parse(source: &str) -> Result<Self, ManifestError> {
        let file: file::File = toml::from_str(source).map_err(|error| {
            let unknown = error.message().starts_with("unknown field");
            let code = if unknown { "MANIFEST_UNKNOWN_KEY" } else { "MANIFEST_INVALID" };
            ManifestError::at(code, source, error.span(), error.message())
        })?;
        Reader { source }.manifest(file)
    }

    /// The same, with a wish for each secret that the schema of its settings marks and the manifest does not name.
    pub fn with_secrets_of(mut self, schema: &Value) -> Result<Self, BadSchema> {
        for request in secret::fields::requests(schema)? {
            let is_there = self.requests.iter().any(|other| {
                other.capability == Capability::Secret && other.scope.get("id") == request.scope.get("id")
            });
            if !is_there {
                self.requests.push(request);
            }
        }
        Ok(self)
    }

    /// The hints for an exported function.
    pub fn hints(&self, interface: Option<&str>, function: &str) -> Option<&ToolHints> {
        // A name with its interface is meant more closely than a bare one.
        let mut found: Vec<(&String, &ToolHints)> =
            self.tools.iter().filter(|(hint, _)| hint_names(hint, interface, function)).collect();
        found.sort_by_key(|(hint, _)| std::cmp::Reverse(hint.contains('.')));
        found.first().map(|(_, hints)| *hints)
    }
}

/// Whether `[tool.<hint>]` means this function: `send_card`, `send-card` or `interface.send-card`.
pub(crate) fn hint_names(hint: &str, interface: Option<&str>, function: &str) -> bool {
    if snake(hint) == snake(function) {
        return true;
    }
    let Some((wanted, name)) = hint.split_once('.') else { return false };
    let short = interface.map(|interface| {
        let bare = interface.split('@').next().unwrap_or(interface);
        bare.rsplit('/').next().unwrap_or(bare)
    });
    short.is_some_and(|short| snake(short) == snake(wanted)) && snake(name) == snake(function)
}

struct Reader<'a> {
    source: &'a str,
}

impl Reader<'_> {
    fn error<T>(&self, code: &'static str, at: &Spanned<T>, message: impl Into<String>) -> ManifestError {
        ManifestError::at(code, self.source, Some(at.span()), message)
    }

    fn invalid<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> ManifestError {
        self.error("MANIFEST_INVALID", at, message)
    }

    fn manifest(&self, file: file::File) -> Result<Manifest, ManifestError> {
        let plugin = file.plugin;
        let id = plugin.id.get_ref();
        let plain = id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
        if !plain || !(1..=40).contains(&id.len()) || !id.as_bytes()[0].is_ascii_lowercase() {
            return Err(self.invalid(
                &plugin.id,
                "`id` must have 1 to 40 characters of a-z, 0-9, - and _, and begin with a letter",
            ));
        }
        let version = semver::Version::parse(plugin.version.get_ref()).map_err(|error| {
            self.invalid(&plugin.version, format!("`version` is no semantic version: {error}"))
        })?;
        if let Some(abi) = &plugin.abi
            && abi.get_ref() != ABI
        {
            return Err(
                self.invalid(abi, format!("`abi` must be \"{ABI}\", the version that this host speaks"))
            );
        }
        let component = file.component.unwrap_or_default();
        if let Some(name) = &component.file {
            let plain = name.get_ref().ends_with(".wasm") && !name.get_ref().contains(['/', '\\', '\0']);
            if !plain {
                return Err(self.invalid(name, "`file` must be the name of a .wasm file beside the manifest"));
            }
        }
        if let Some(sha256) = &component.sha256 {
            let hex = sha256.get_ref();
            if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(self.invalid(sha256, "`sha256` must have 64 hex digits"));
            }
        }
        let mut requests = Vec::new();
        for capability in file.capability {
            requests.push(self.capability(&capability)?);
        }
        Ok(Manifest {
            id: id.clone(),
            version,
            kind: match plugin.kind {
                file::Kind::Tool => Kind::Tool,
                file::Kind::Channel => Kind::Channel,
            },
            description: plugin.description,
            component: component.file.map(Spanned::into_inner),
            sha256: component.sha256.map(|sha256| sha256.into_inner().to_ascii_lowercase()),
            requests,
            tools: file
                .tool
                .into_iter()
                .map(|(name, hints)| Ok((name, self.hints(hints)?)))
                .collect::<Result<_, ManifestError>>()?,
            wishes: Wishes::from(&file.limits),
            instances: match file.limits.instances {
                None | Some(file::Instances::Fresh) => Instances::Fresh,
                Some(file::Instances::Prewarm) => Instances::Prewarm,
                Some(file::Instances::Pool) => Instances::Pool,
                Some(file::Instances::Actor) => Instances::Actor,
            },
            config_schema: file.config.schema_file,
            build: BuildHints {
                language: file.build.language,
                world: file.build.world,
                source: file.build.source,
            },
        })
    }

    fn capability(&self, wanted: &file::CapabilityWish) -> Result<Request, ManifestError> {
        let Some(capability) = Capability::lookup(wanted.name.get_ref()) else {
            let known: Vec<&str> = Capability::ALL.into_iter().map(Capability::as_str).collect();
            return Err(self.error(
                "MANIFEST_UNKNOWN_CAPABILITY",
                &wanted.name,
                format!("`{}` is no capability: known are {}", wanted.name.get_ref(), known.join(", ")),
            ));
        };
        let (scope, span) = match &wanted.scope {
            Some(scope) => (json(toml::Value::Table(scope.get_ref().clone())), scope.span()),
            None => (Value::Object(serde_json::Map::new()), wanted.name.span()),
        };
        let checked = match capability {
            Capability::Files => files::check_request(&scope),
            Capability::Endpoint => endpoint::check_scope(&scope),
            Capability::Http => http::check_request(&scope),
            Capability::Keyvalue => keyvalue::check_scope(&scope),
            Capability::Process => process::check_request(&scope),
            Capability::Secret => secret::check_request(&scope),
            Capability::Channel => hooks::check_scope(&scope),
            Capability::Websocket => websocket::check_scope(&scope),
            _ => Ok(()),
        };
        checked.map_err(|message| ManifestError::at("MANIFEST_SCOPE", self.source, Some(span), message))?;
        let limit = match &wanted.limit {
            None => Limit::default(),
            Some(limit) => Limit::parse(capability, &json(toml::Value::Table(limit.get_ref().clone())))
                .map_err(|message| self.error("MANIFEST_LIMIT", limit, message))?,
        };
        let (required, reason) = (wanted.required, wanted.reason.clone());
        Ok(Request { capability, required, reason, scope: scope.into(), limit })
    }

    fn hints(&self, hints: file::ToolHints) -> Result<ToolHints, ManifestError> {
        let risk = match &hints.risk {
            None => None,
            Some(word) => Some(match word.get_ref().as_str() {
                "read" => Risk::Read,
                "write" => Risk::LocalWrite,
                "external" => Risk::ExternalWrite,
                "command" => Risk::Command,
                "destructive" => Risk::Destructive,
                other => {
                    return Err(self.invalid(
                        word,
                        format!("`{other}` is no risk: read, write, external, command, destructive"),
                    ));
                }
            }),
        };
        Ok(ToolHints {
            name: hints.name,
            title: hints.title,
            description: hints.description,
            risk,
            confirm: hints.confirm,
            idempotent: hints.idempotent,
            timeout: hints.timeout_ms.map(|ms| self.millis("timeout_ms", &ms)).transpose()?,
            examples: hints.examples.into_iter().map(json).collect(),
        })
    }

    fn millis(&self, key: &str, value: &Spanned<u64>) -> Result<Duration, ManifestError> {
        if *value.get_ref() == 0 {
            return Err(self.invalid(value, format!("`{key}` must be above 0")));
        }
        Ok(Duration::from_millis(*value.get_ref()))
    }
}

/// A TOML value as JSON; dates become text, floats that JSON lacks become null.
pub fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(bit) => bit.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests;
