//! Every bundled plugin and every example keeps its stories.

use std::path::PathBuf;

use berth_kit::{Options, test};

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
