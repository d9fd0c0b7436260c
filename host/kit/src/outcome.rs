//! What a call came to, and whether it is what a step says.

use berth_wasm::manifest::json;
use berth_wasm::{CallError, CallOutcome, Receipt};
use serde_json::Value;

use crate::matching::{self, cut, shown};
use crate::report::Failure;
use crate::story::Step;

/// An answer, or a failure with the word that programs know it by.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Answer(Value),
    Failed {
        code: String,
        message: String,
        /// What the tool said, or null when the host said it.
        payload: Value,
    },
    /// Nothing was asked that has an answer.
    Done,
}

impl Outcome {
    /// Of a call of a tool.
    pub fn of(outcome: &Result<CallOutcome, CallError>) -> Self {
        match outcome {
            Ok(outcome) if !outcome.is_error => Self::Answer(outcome.content.clone()),
            Ok(outcome) => Self::said(&outcome.content),
            Err(error) => Self::Failed {
                code: error.code().to_owned(),
                message: error.to_string(),
                payload: error.details(),
            },
        }
    }

    /// What a tool says of its failure: a record with a code, a variant, an enum or a text.
    fn said(content: &Value) -> Self {
        let word = |key: &str| content[key].as_str().map(str::to_owned);
        let code = word("code").or_else(|| word("tag")).or_else(|| content.as_str().map(str::to_owned));
        Self::Failed {
            code: code.unwrap_or_else(|| "tool_reported_error".to_owned()),
            message: word("message").or_else(|| word("val")).unwrap_or_else(|| content.to_string()),
            payload: content.clone(),
        }
    }

    /// The code of a failure.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Failed { code, .. } => Some(code),
            Self::Answer(_) | Self::Done => None,
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Answer(value) => format!("the answer {}", shown(value)),
            Self::Failed { code, message, .. } => format!("{code}: {}", cut(message)),
            Self::Done => "no failure".to_owned(),
        }
    }
}

/// Whether a step came to what it says.
pub fn check(step: &Step, outcome: &Outcome, receipt: Option<&Receipt>, progress: &[String]) -> Vec<Failure> {
    let mut failures = Vec::new();
    match (&step.error, outcome) {
        (None, Outcome::Answer(_) | Outcome::Done) => {}
        (None, failed @ Outcome::Failed { .. }) => {
            failures.push(Failure::new("it failed").with("an answer", failed.told()));
        }
        (Some(wanted), Outcome::Failed { code, .. }) if code == wanted => {}
        (Some(wanted), other) => {
            let failure = Failure::new("it did not fail as it should");
            failures.push(failure.with(format!("the failure {wanted}"), other.told()));
        }
    }
    if failures.is_empty() {
        failures.extend(check_value(step, outcome));
    }
    let logs = receipt.map_or(&[][..], |receipt| &receipt.logs);
    failures.extend(in_order("log", &step.logs, logs.iter().map(|line| line.text.as_str())));
    failures.extend(in_order("progress", &step.progress, progress.iter().map(String::as_str)));
    if let (Some(most), Some(receipt)) = (step.most_host_calls, receipt)
        && receipt.host_calls > most
    {
        let failure = Failure::new("it asked the host too often");
        failures.push(failure.with(format!("at most {most} host calls"), receipt.host_calls.to_string()));
    }
    failures
}

fn check_value(step: &Step, outcome: &Outcome) -> Option<Failure> {
    let value = match outcome {
        Outcome::Answer(value) | Outcome::Failed { payload: value, .. } => value,
        Outcome::Done => &Value::Null,
    };
    if let (Some(wanted), Outcome::Failed { message, .. }) = (&step.message, outcome)
        && !message.contains(wanted)
    {
        let failure = Failure::new("the message of the failure differs");
        return Some(failure.with(format!("a message with {wanted:?}"), format!("{:?}", cut(message))));
    }
    let whole = step.wanted().and_then(|wanted| matching::difference(&wanted, value));
    let part = step.contains.clone().map(json).and_then(|wanted| matching::missing(&wanted, value));
    whole.or(part).map(|at| {
        let place = if at.pointer.is_empty() { String::new() } else { format!(" at {}", at.pointer) };
        let failure = Failure::new(format!("the answer differs{place}")).with(at.wanted, at.got);
        if at.pointer.is_empty() { failure } else { failure.hint(format!("the whole: {}", shown(value))) }
    })
}

/// Whether each piece is in a line behind that of the piece before.
fn in_order<'a>(what: &str, wanted: &[String], lines: impl Iterator<Item = &'a str>) -> Option<Failure> {
    let lines: Vec<&str> = lines.collect();
    let mut rest = lines.iter();
    let missing = wanted.iter().find(|piece| !rest.any(|line| line.contains(piece.as_str())))?;
    let got = if lines.is_empty() { "nothing".to_owned() } else { lines.join(" | ") };
    Some(Failure::new(format!("the {what} differs")).with(format!("a line with {missing:?}"), cut(&got)))
}
