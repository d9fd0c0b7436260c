//! What came of the cases, for people and for programs.

use std::fmt::Write as _;
use std::path::PathBuf;

use berth_wasm::Receipt;
use serde::Serialize;

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
    /// The code of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
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

impl CaseReport {
    /// The case in one line, and below it what went wrong.
    pub fn text(&self) -> String {
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
        if !self.passed {
            self.tell_steps(&mut text);
        }
        text
    }

    fn tell_steps(&self, text: &mut String) {
        for (at, step) in self.steps.iter().enumerate() {
            let Some(receipt) = &step.receipt else { continue };
            let failed = step.error.as_ref().map_or_else(String::new, |code| format!(" failed with {code},"));
            let _ = write!(
                text,
                "\n  step {} {}:{failed} {} host calls, {} denials, {} bytes sent, {} received",
                at + 1,
                step.what,
                receipt.host_calls,
                receipt.denials,
                receipt.sent_bytes,
                receipt.received_bytes
            );
            for line in &receipt.logs {
                let _ = write!(text, "\n    {}: {}", line.stream.as_str(), line.text);
            }
        }
    }
}
