//! A story: a TOML file of cases, in words that need no programming language.

mod channel;
mod file;
mod value;

use std::path::{Path, PathBuf};

pub use channel::{Ask, Deliver, EditFile, Event, ReactFile, SentFile, WebhookFile};
pub use file::{
    ApprovalFile, Case, CaseFault, EndpointFault, EndpointFile, Expect, FakeError, GrantFile, HttpFault,
    HttpFile, ProcessFault, ProcessFile, Step,
};
pub use value::{Content, Instant, SecretText, Span};

use crate::error::KitError;

/// The folder of stories in the folder of a plugin.
pub const FOLDER: &str = "tests";

/// A parsed and checked file of cases.
#[derive(Debug, Clone)]
pub struct Story {
    /// As it is shown.
    pub file: PathBuf,
    pub cases: Vec<Case>,
    /// The line on which each step of each case begins, and each case itself in front.
    lines: Vec<(usize, Vec<usize>)>,
}

impl Story {
    /// Reads the text of a story.
    ///
    /// Unknown keys are errors that name the key and its line, and so is a case that cannot be meant.
    pub fn parse(file: &Path, source: &str) -> Result<Self, KitError> {
        let at = |offset: usize, message: String| KitError::Story {
            file: file.to_owned(),
            line: Some(line_of(source, offset)),
            message,
        };
        let parsed: file::File = toml::from_str(source).map_err(|error| KitError::Story {
            file: file.to_owned(),
            line: error.span().map(|span| line_of(source, span.start)),
            message: error.message().to_owned(),
        })?;
        let mut cases = Vec::new();
        let mut lines = Vec::new();
        for spanned in parsed.case {
            let begin = spanned.span().start;
            let case = spanned.into_inner();
            case.check().map_err(|message| at(begin, message))?;
            if cases.iter().any(|other: &Case| other.name == case.name) {
                return Err(at(begin, format!("the case \"{}\" is there twice", case.name)));
            }
            for step in &case.step {
                step.get_ref().check().map_err(|message| at(step.span().start, message))?;
            }
            let steps = case.step.iter().map(|step| line_of(source, step.span().start)).collect();
            lines.push((line_of(source, begin), steps));
            cases.push(case);
        }
        if cases.is_empty() {
            return Err(KitError::Story {
                file: file.to_owned(),
                line: None,
                message: "it has no [[case]]".to_owned(),
            });
        }
        Ok(Self { file: file.to_owned(), cases, lines })
    }

    /// Reads every story of a plugin's folder, by name. Fails with `KIT_NO_STORIES` when there is none.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, KitError> {
        let stories = folder.join(FOLDER);
        let none = || KitError::NoStories { folder: folder.to_owned() };
        let entries = match std::fs::read_dir(&stories) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(none()),
            Err(source) => return Err(KitError::Io { path: stories, source }),
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
            .collect();
        files.sort();
        if files.is_empty() {
            return Err(none());
        }
        let read = |path: PathBuf| {
            let source = std::fs::read_to_string(&path)
                .map_err(|source| KitError::Io { path: path.clone(), source })?;
            // As it is found from the folder, so that a report is the same wherever the folder lies.
            Self::parse(path.strip_prefix(folder).unwrap_or(&path), &source)
        };
        files.into_iter().map(read).collect()
    }

    /// The line of a case.
    pub fn line(&self, case: usize) -> usize {
        self.lines.get(case).map_or(1, |(line, _)| *line)
    }

    /// The line of a step.
    pub fn step_line(&self, case: usize, step: usize) -> usize {
        self.lines.get(case).and_then(|(_, steps)| steps.get(step)).copied().unwrap_or(1)
    }
}

/// Counted from 1.
fn line_of(source: &str, offset: usize) -> usize {
    source.as_bytes()[..offset.min(source.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
