//! Every bundled plugin and every example keeps its stories.

use std::path::PathBuf;

use berth_kit::story::Case;
use berth_kit::{Options, Story, Subject, test};

use crate::support::{built, example, root};

/// Every folder of a plugin's sources in `place`.
fn plugins(place: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(place)).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.join("plugin.toml").is_file()).collect();
    folders.sort();
    folders
}

/// Tells each plugin of `place` its stories; nothing when all are kept.
async fn broken(place: &str, built: impl Fn(&str) -> PathBuf) -> String {
    let mut failed = String::new();
    for sources in plugins(place) {
        let name = sources.file_name().unwrap().to_str().unwrap();
        let options = Options { stories: Some(sources.clone()), ..Options::default() };

        let report = test(&built(name), &options, |_| {}).await.unwrap();

        for case in report.cases.iter().filter(|case| !case.passed) {
            failed.push_str(&format!("{name}: {}\n", case.text()));
        }
        assert!(report.cases.len() >= 2, "{name} has only {} cases", report.cases.len());
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bundled_plugin_keeps_its_stories() {
    assert!(plugins("plugins").len() >= 9);

    assert_eq!(broken("plugins", built).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_in_another_language_keeps_its_stories() {
    assert!(plugins("examples/plugins").len() >= 3);

    assert_eq!(broken("examples/plugins", example).await, "");
}

/// The tools and the cases of a bundled plugin, and how each step was to end: the tool, and the error that it wants.
async fn steps(name: &str) -> (Subject, Vec<(Case, Vec<(String, Option<String>)>)>) {
    let subject = Subject::load(&built(name), None).await.unwrap();
    let stories = Story::read_all(&root().join("plugins").join(name)).unwrap();
    let cases = stories.into_iter().flat_map(|story| story.cases);
    let called = |case: &Case| {
        let steps = case.step.iter().map(|step| step.get_ref());
        steps.filter_map(|step| Some((step.call.clone()?, step.error.clone()))).collect()
    };
    (subject, cases.map(|case| (case.clone(), called(&case))).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stories_of_a_bundled_plugin_use_every_tool_and_show_bad_arguments_a_denial_and_a_fault() {
    for sources in plugins("plugins") {
        let name = sources.file_name().unwrap().to_str().unwrap();
        let (subject, cases) = steps(name).await;
        let all = || cases.iter().flat_map(|(_, steps)| steps);

        for tool in subject.plugin.tools() {
            assert!(all().any(|(called, error)| *called == tool.name && error.is_none()), "{}", tool.name);
        }
        let fails_with = |codes: &[&str]| {
            all().any(|(_, error)| error.as_deref().is_some_and(|error| codes.contains(&error)))
        };
        assert!(fails_with(&["INVALID_ARGUMENTS"]), "{name} has no bad arguments");
        if subject.manifest.requests.iter().any(|request| request.required) {
            assert!(fails_with(&["denied", "PERMISSION_DENIED"]), "{name} has no denial");
            let has_fault = cases.iter().any(|(case, _)| {
                !case.fault.is_empty()
                    || case.disk_bytes.is_some()
                    || case.step.iter().any(|step| !step.get_ref().fault.is_empty())
                    || case.http.iter().any(|http| http.fault.is_some())
                    || case.endpoint.iter().any(|endpoint| endpoint.fault.is_some())
                    || case.process.iter().any(|process| process.fault.is_some())
            });
            assert!(has_fault, "{name} has no fault");
        }
    }
}
