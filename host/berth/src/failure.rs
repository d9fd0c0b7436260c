//! How a command fails: with an exit code that scripts can tell apart.

use std::process::ExitCode;

use berth_wasm::PolicyError;
use berth_wasm::manifest::ManifestError;
use miette::{Diagnostic, NamedSource, SourceSpan};
use serde_json::{Value, json};

use crate::output;
use crate::terminal::{Terminal, Tone};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It was carried out, and failed.
    #[error("{message}")]
    Failed {
        code: String,
        message: String,
        /// What programs may want to know more; a `hint` in it is the way out.
        details: Value,
    },
    /// The words of the command are wrong.
    #[error("{0}")]
    Usage(String),
    /// The same, in the words of the parser of the command line.
    #[error("{0}")]
    Words(String),
    /// There is no host, or it does not accept the token.
    #[error("{0}")]
    NotConnected(String),
    /// Already printed, as the result that was asked for.
    #[error("failed")]
    Silent,
    /// The same, where the exit code is that of a failure.
    #[error(transparent)]
    Told(Box<Failure>),
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    Manifest(#[from] Box<BadManifest>),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// A `plugin.toml`, or a file of policies, that is not right, with its text at hand.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(help("{help}"))]
pub struct BadManifest {
    code: &'static str,
    message: String,
    help: &'static str,
    #[source_code]
    file: NamedSource<String>,
    #[label("here")]
    at: Option<SourceSpan>,
}

impl BadManifest {
    pub fn new(path: &std::path::Path, text: String, error: &ManifestError) -> Self {
        let name = path.display().to_string();
        let line = error.line.map_or_else(String::new, |line| format!(":{line}"));
        Self {
            code: error.code(),
            message: format!("{name}{line}: {}", error.message),
            help: "docs/plugin-guide.md lists every key",
            file: NamedSource::new(name, text),
            at: error.span.clone().map(SourceSpan::from),
        }
    }
}

impl BadManifest {
    /// The same for the file of policies.
    pub fn of_policies(path: &std::path::Path, text: String, error: &PolicyError) -> Self {
        let name = path.display().to_string();
        let line = error.line.map_or_else(String::new, |line| format!(":{line}"));
        Self {
            code: error.code(),
            message: format!("{name}{line}: {}", error.message),
            help: "docs/operator-guide.md lists every key",
            file: NamedSource::new(name, text),
            at: error.span.clone().map(SourceSpan::from),
        }
    }
}

impl Failure {
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::Failed { code: code.to_owned(), message: message.into(), details: Value::Null }
    }

    /// The same with the way out, where it has none yet.
    pub fn trying(mut self, hint: impl FnOnce() -> Option<String>) -> Self {
        if let Self::Failed { details, .. } = &mut self
            && details["hint"].is_null()
            && (details.is_null() || details.is_object())
            && let Some(hint) = hint()
        {
            details["hint"] = json!(hint);
        }
        self
    }

    /// What the parser of the command line says.
    pub fn of_words(error: &clap::Error) -> Self {
        let text = if Terminal::err().colours {
            error.render().ansi().to_string()
        } else {
            error.render().to_string()
        };
        Self::Words(text.trim_end().to_owned())
    }

    /// 1 failed, 2 wrong usage, 3 not connected or not authorised.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Told(failure) => return failure.exit_code(),
            Self::Failed { .. } | Self::Silent | Self::Manifest(_) | Self::Other(_) => 1,
            Self::Usage(_) | Self::Words(_) | Self::Config(_) => 2,
            Self::NotConnected(_) => 3,
        })
    }

    /// The code of its kind, as programs read it.
    pub fn code(&self) -> &str {
        match self {
            Self::Failed { code, .. } => code,
            Self::Usage(_) | Self::Words(_) => "usage",
            Self::Config(_) => "config_invalid",
            Self::Manifest(bad) => bad.code,
            Self::NotConnected(_) => "not_connected",
            Self::Told(failure) => failure.code(),
            Self::Silent | Self::Other(_) => "failed",
        }
    }

    /// The failure as programs read it.
    pub fn json(&self) -> Value {
        let details = match self {
            Self::Failed { details, .. } => details.clone(),
            _ => Value::Null,
        };
        let message = chain(self);
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        json!({ "error": { "code": self.code(), "message": message, "details": details } })
    }

    /// Prints the failure once, with its whole chain: for people on standard error, for programs on standard output,
    /// where they look for the answer.
    pub fn print(self, json: bool) {
        if matches!(self, Self::Silent | Self::Told(_)) {
            return;
        }
        if json {
            output::json(&self.json());
            return;
        }
        let error = Terminal::err().paint(Tone::Bad, "error:");
        match self {
            Self::Words(text) => output::note(&text),
            Self::Config(bad) => output::note(format!("{:?}", miette::Report::new(bad)).trim_end()),
            Self::Manifest(bad) => output::note(format!("{:?}", miette::Report::new(*bad)).trim_end()),
            other => {
                output::note(&format!("{error} {}", output::plain(&chain(&other))));
                if let Self::Failed { details, .. } = &other
                    && let Some(hint) = details["hint"].as_str()
                {
                    output::note(&format!("  try: {}", output::one_line(hint)));
                }
            }
        }
    }
}

/// Whether somebody was there, and went away.
fn is_broken(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        {
            return true;
        }
        // The client has no name for it that we could ask for.
        if cause.to_string().contains("closed before message completed") {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The message and what it came from, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<berth_package::PackageError> for Failure {
    fn from(error: berth_package::PackageError) -> Self {
        Self::failed(error.code(), chain(&error))
    }
}

impl From<berth_build::BuildError> for Failure {
    fn from(error: berth_build::BuildError) -> Self {
        Self::failed(error.code(), chain(&error))
    }
}

impl From<berth_kit::KitError> for Failure {
    fn from(error: berth_kit::KitError) -> Self {
        Self::failed(error.code(), chain(&error))
    }
}

impl From<berth_wasm::HostError> for Failure {
    fn from(error: berth_wasm::HostError) -> Self {
        Self::failed(error.code(), chain(&error))
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let host = error.url().map_or_else(String::new, |url| url.origin().ascii_serialization());
        if error.is_builder() {
            return Self::Usage(format!("no request can be made of this: {}", error.without_url()));
        }
        Self::NotConnected(if error.is_timeout() {
            format!("{host} does not answer in time: see whether the host is well with `berth doctor`")
        } else if error.is_connect() {
            format!("no host answers at {host}: start one with `berth serve`, or name it with --url")
        } else if error.is_body() || error.is_decode() || is_broken(&error) {
            format!(
                "the connection to {host} broke before its answer was complete: see whether the host is there with \
                 `berth doctor`"
            )
        } else {
            format!(
                "{host} does not speak like a berth host ({}): name the right address with --url",
                chain(&error.without_url())
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_its_code_its_words_and_the_way_out() {
        let failure = Failure::Failed {
            code: "PERMISSION_DENIED".to_owned(),
            message: "no".to_owned(),
            details: json!({ "hint": "berth plugin grant …" }),
        };

        assert_eq!(
            failure.json().to_string(),
            r#"{"error":{"code":"PERMISSION_DENIED","message":"no","details":{"hint":"berth plugin grant …"}}}"#
        );
    }

    #[test]
    fn a_chain_says_nothing_twice() {
        let error = anyhow::anyhow!("the disk is full").context("a.db cannot be opened: the disk is full");

        assert_eq!(
            Failure::from(error).json()["error"]["message"],
            "a.db cannot be opened: the disk is full"
        );
    }
}
