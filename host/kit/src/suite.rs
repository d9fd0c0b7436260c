//! Every story of a plugin's folder.

use std::path::{Path, PathBuf};

use crate::error::KitError;
use crate::report::{CaseReport, Report};
use crate::run::{Recording, run};
use crate::story::Story;
use crate::subject::Subject;

/// What is run, and how.
#[derive(Clone, Default)]
pub struct Options {
    /// Only cases that have this in their name or file.
    pub filter: Option<String>,
    /// Whether cases that say `record = true` ask real servers, and by what.
    pub recording: Option<Recording>,
    /// Where machine code is kept from one run to the next.
    pub cache: Option<PathBuf>,
    /// The folder with `tests/`, where it is not that of the built plugin.
    pub stories: Option<PathBuf>,
}

/// Tells every story of `folder` to the plugin in it, and each report to `hear` as it comes.
pub async fn test(
    folder: &Path,
    options: &Options,
    mut hear: impl FnMut(&CaseReport),
) -> Result<Report, KitError> {
    let home = options.stories.as_deref().unwrap_or(folder);
    let stories = Story::read_all(home)?;
    let is_meant = |story: &Story, name: &str| {
        options
            .filter
            .as_deref()
            .is_none_or(|filter| name.contains(filter) || story.file.to_string_lossy().contains(filter))
    };
    let fits = stories.iter().any(|story| story.cases.iter().any(|case| is_meant(story, &case.name)));
    if let (false, Some(filter)) = (fits, &options.filter) {
        return Err(KitError::NothingFits { folder: home.to_owned(), filter: filter.clone() });
    }
    let subject = Subject::load(folder, options.cache.clone()).await?;
    let mut report = Report {
        plugin: subject.manifest.id.clone(),
        version: subject.manifest.version.to_string(),
        digest: subject.digest.clone(),
        passed: 0,
        failed: 0,
        cases: Vec::new(),
    };
    for story in &stories {
        for (at, case) in story.cases.iter().enumerate() {
            if !is_meant(story, &case.name) {
                continue;
            }
            let told = run(&subject, story, at, options.recording.as_ref(), home).await?;
            hear(&told);
            if told.passed {
                report.passed += 1;
            } else {
                report.failed += 1;
            }
            report.cases.push(told);
        }
    }
    Ok(report)
}
