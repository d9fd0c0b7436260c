//! Plugins as built, and stories as text.

use std::path::{Path, PathBuf};

use berth_kit::{CaseReport, Options, Recording, Report, Story, Subject, run, test};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The folder of a bundled plugin as built.
pub fn built(name: &str) -> PathBuf {
    let all = std::env::var_os("BERTH_PLUGINS").map_or_else(|| root().join("target/plugins"), PathBuf::from);
    let folder = all.join(name);
    assert!(folder.join(format!("{name}.wasm")).is_file(), "run `cargo xtask guests` first");
    folder
}

/// The folder of an example plugin as built.
pub fn example(name: &str) -> PathBuf {
    let all =
        std::env::var_os("BERTH_EXAMPLES").map_or_else(|| root().join("target/examples"), PathBuf::from);
    let folder = all.join(name);
    assert!(folder.join(format!("{name}.wasm")).is_file(), "run `cargo xtask examples` first");
    folder
}

/// The file of a test guest as built.
pub fn fixture(name: &str) -> PathBuf {
    let all =
        std::env::var_os("BERTH_FIXTURES").map_or_else(|| root().join("target/fixtures"), PathBuf::from);
    let file = all.join(format!("{name}.wasm"));
    assert!(file.is_file(), "run `cargo xtask guests` first");
    file
}

/// The plugin with its cases, told one after another.
pub async fn tell(plugin: &str, story: &str) -> Vec<CaseReport> {
    let folder = tempfile::tempdir().unwrap();
    tell_in(plugin, story, None, folder.path()).await
}

/// The same with cassettes in `folder`.
pub async fn tell_in(
    plugin: &str,
    story: &str,
    recording: Option<&Recording>,
    folder: &Path,
) -> Vec<CaseReport> {
    let story = Story::parse(Path::new("tests/story.toml"), story).unwrap();
    let subject = Subject::load(&built(plugin), None).await.unwrap();
    let mut reports = Vec::new();
    for at in 0..story.cases.len() {
        reports.push(run(&subject, &story, at, recording, folder).await.unwrap());
    }
    reports
}

/// Fails with all that is told of a case that has not passed.
pub fn all_passed(reports: &[CaseReport]) {
    for report in reports {
        assert!(report.passed, "{}", report.text());
    }
}

/// A test guest as a plugin with this manifest, which names the component `guest.wasm`, told these stories.
pub async fn guest(name: &str, manifest: &str, stories: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir_all(folder.path().join("tests")).unwrap();
    write("plugin.toml", manifest);
    write("tests/guest.toml", stories);
    std::fs::copy(fixture(name), folder.path().join("guest.wasm")).unwrap();
    test(folder.path(), &Options::default(), |_| {}).await.unwrap()
}
