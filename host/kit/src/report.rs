//! What came of the cases, for people and for programs.

use std::fmt::Write as _;
use std::path::PathBuf;

use berth_wasm::Receipt;
use serde::Serialize;
use serde_json::Value;

use crate::matching::{cut, shown};

/// Something that is not as the story says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The number of the step, counted from 1; none for what belongs to the whole case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The line of the story, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
    /// What somebody can do about it, such as lines for the story.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self { step: None, line: None, message: message.into(), expected: None, got: None, hint: None }
    }

    /// The same, with what was expected and what came.
    #[must_use]
    pub fn with(mut self, expected: impl Into<String>, got: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self.got = Some(got.into());
        self
    }

    /// The same, with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, of a step.
    #[must_use]
    pub fn at(mut self, step: usize, line: usize) -> Self {
        self.step = Some(step);
        self.line = Some(line);
        self
    }
}

/// A step that was taken.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Such as `call notes_add`.
    pub what: String,
    /// What it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// The code of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the failure says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Uses that nobody had granted, such as `http {…}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
    /// What it has used, with its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// What came of a case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    pub file: PathBuf,
    pub line: usize,
    pub name: String,
    pub passed: bool,
    /// In the time of the machine.
    pub ms: u64,
    /// Whether a cassette was written.
    #[serde(skip_serializing_if = "is_false")]
    pub recorded: bool,
    pub failures: Vec<Failure>,
    pub steps: Vec<StepReport>,
}

fn is_false(bit: &bool) -> bool {
    !bit
}

/// What came of all cases of a plugin.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub plugin: String,
    pub version: String,
    /// Lower-case hex SHA-256 of the component.
    pub digest: String,
    pub passed: usize,
    pub failed: usize,
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// Whether every case has passed.
    pub fn is_good(&self) -> bool {
        self.failed == 0
    }
}

/// How much is told of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Its steps when it has failed.
    #[default]
    Failures,
    /// Its steps in any case.
    Steps,
}

impl CaseReport {
    /// The case in one line, and below it what went wrong.
    pub fn text(&self) -> String {
        self.text_with(Detail::Failures)
    }

    /// The same, with as much as `detail` says.
    pub fn text_with(&self, detail: Detail) -> String {
        let mut text = String::new();
        let word = if self.passed { "ok    " } else { "FAILED" };
        let recorded = if self.recorded { ", recorded" } else { "" };
        let _ = write!(text, "{word} {} ({} ms{recorded})", self.name, self.ms);
        for failure in &self.failures {
            let line = failure.line.unwrap_or(self.line);
            let step = failure.step.map_or_else(String::new, |step| format!(", step {step}"));
            let _ = write!(text, "\n  {}:{line}{step}: {}", self.file.display(), failure.message);
            for (word, value) in [("expected", &failure.expected), ("got     ", &failure.got)] {
                if let Some(value) = value {
                    let _ = write!(text, "\n    {word}  {value}");
                }
            }
            for line in failure.hint.iter().flat_map(|hint| hint.lines()) {
                let _ = write!(text, "\n    | {line}");
            }
        }
        if !self.passed || detail == Detail::Steps {
            for (at, step) in self.steps.iter().enumerate() {
                step.tell(at + 1, &mut text);
            }
        }
        text
    }
}

impl StepReport {
    /// What was done, what came of it, what it has used and said.
    fn tell(&self, number: usize, text: &mut String) {
        let _ = write!(text, "\n  step {number} {}", self.what);
        match (&self.error, &self.message, &self.answer) {
            (Some(code), Some(message), _) => {
                let _ = write!(text, "\n    failed: {code}: {}", cut(message));
            }
            (Some(code), None, _) => {
                let _ = write!(text, "\n    failed: {code}");
            }
            (None, _, Some(answer)) => {
                let _ = write!(text, "\n    answer: {}", shown(answer));
            }
            (None, _, None) => {}
        }
        for denied in &self.denied {
            let _ = write!(text, "\n    denied: {denied}");
        }
        let Some(receipt) = &self.receipt else { return };
        let counted = |count: u64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let _ = write!(
            text,
            "\n    used: {}, {} sent, {} received, {}.{:01} ms of its own",
            counted(receipt.host_calls, "host call"),
            counted(receipt.sent_bytes, "byte"),
            receipt.received_bytes,
            receipt.cpu_us / 1000,
            receipt.cpu_us % 1000 / 100,
        );
        if receipt.peak_memory_bytes > 0 {
            let _ = write!(text, ", {} KiB of memory", receipt.peak_memory_bytes.div_ceil(1024));
        }
        for line in &receipt.logs {
            let _ = write!(text, "\n    {}: {}", line.stream.as_str(), line.text);
        }
        if receipt.dropped_log_lines > 0 {
            let _ =
                write!(text, "\n    and {} that were too many", counted(receipt.dropped_log_lines, "line"));
        }
    }
}
