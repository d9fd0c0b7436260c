//! Every bundled plugin keeps its stories.

use std::path::PathBuf;

use berth_kit::{Options, test};

use crate::support::{built, root};

/// Every folder of a bundled plugin's sources.
fn plugins() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("plugins")).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.join("plugin.toml").is_file()).collect();
    folders.sort();
    folders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bundled_plugin_keeps_its_stories() {
    let plugins = plugins();
    assert!(plugins.len() >= 9, "{plugins:?}");
    let mut failed = String::new();
    for sources in plugins {
        let name = sources.file_name().unwrap().to_str().unwrap();
        let options = Options { stories: Some(sources.clone()), ..Options::default() };

        let report = test(&built(name), &options, |_| {}).await.unwrap();

        for case in report.cases.iter().filter(|case| !case.passed) {
            failed.push_str(&format!("{name}: {}\n", case.text()));
        }
        assert!(report.cases.len() >= 2, "{name} has only {} cases", report.cases.len());
    }
    assert!(failed.is_empty(), "{failed}");
}
