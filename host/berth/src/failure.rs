//! How a command fails: with an exit code that scripts can tell apart.

use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It was carried out, and failed.
    #[error("{message}")]
    Failed { code: String, message: String },
    /// The words of the command are wrong.
    #[error("{0}")]
    Usage(String),
    /// There is no host, or it does not accept the token.
    #[error("{0}")]
    NotConnected(String),
    /// Already printed, as the result that was asked for.
    #[error("failed")]
    Silent,
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Failure {
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::Failed { code: code.to_owned(), message: message.into() }
    }

    /// 1 failed, 2 wrong usage, 3 not connected or not authorised.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed { .. } | Self::Silent | Self::Other(_) => 1,
            Self::Usage(_) | Self::Config(_) => 2,
            Self::NotConnected(_) => 3,
        })
    }

    /// Prints the failure once, with its whole chain, on standard error.
    #[expect(clippy::print_stderr, reason = "this is where a command line tool says what went wrong")]
    pub fn print(self, json: bool) {
        let code = match &self {
            Self::Silent => return,
            Self::Failed { code, .. } => code.clone(),
            Self::Usage(_) => "usage".to_owned(),
            Self::Config(_) => "config_invalid".to_owned(),
            Self::NotConnected(_) => "not_connected".to_owned(),
            Self::Other(_) => "failed".to_owned(),
        };
        if json {
            let message = chain(&self);
            eprintln!("{}", serde_json::json!({ "error": { "code": code, "message": message } }));
            return;
        }
        match self {
            Self::Config(error) => eprintln!("{:?}", miette::Report::new(error)),
            other => eprintln!("error: {}", chain(&other)),
        }
    }
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

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let host = error.url().map_or_else(String::new, |url| url.origin().ascii_serialization());
        if error.is_connect() || error.is_timeout() {
            Self::NotConnected(format!(
                "no host answers at {host}: start one with `berth serve`, or name it with --url"
            ))
        } else {
            Self::Failed {
                code: "bad_answer".to_owned(),
                message: format!("the answer of {host} could not be read: {}", error.without_url()),
            }
        }
    }
}
