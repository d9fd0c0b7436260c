//! The pages in `docs/`: what they show is what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use berth_wasm::Manifest;
use berth_wasm::limits::{self, Limits};

use serde_json::Value;

use crate::support::{Host, Options, berth, plugin, run, tools};

/// A fenced piece of a page: the words behind the fence, and the text.
struct Block {
    kind: String,
    about: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).unwrap()
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(head)) => {
                let (kind, about) = head.split_once(' ').unwrap_or((head, ""));
                open = Some(Block { kind: kind.to_owned(), about: about.to_owned(), text: String::new() });
            }
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The rows of the table whose head begins with `first`, cell by cell.
fn table(page: &str, first: &str) -> Vec<Vec<String>> {
    let mut lines = page.lines().skip_while(|line| !line.starts_with(&format!("| {first} |")));
    assert!(lines.next().is_some(), "no table of `{first}`");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Whether `said` is `shown`, where `…` stands for anything.
fn fits(shown: &str, said: &str) -> bool {
    let pieces: Vec<&str> = shown.trim_end().split('…').collect();
    let said = said.trim_end();
    let (first, last) = (pieces[0], pieces[pieces.len() - 1]);
    if pieces.len() == 1 {
        return said == first;
    }
    let Some(mut rest) = said.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    pieces[1..pieces.len() - 1].iter().all(|piece| match rest.split_once(piece) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// Runs the commands of a page in their order, each as a shell of its reader does, and compares what they say.
struct Reader<'a> {
    host: &'a Host,
    folder: PathBuf,
}

impl Reader<'_> {
    fn follow(&self, text: &str) {
        for step in text.split("$ ").skip(1) {
            let (command, shown) = step.split_once('\n').unwrap_or((step, ""));
            let said = self.run(command);
            assert!(fits(shown, &said), "$ {command}\nis shown with:\n{shown}\nand says:\n{said}");
        }
    }

    fn run(&self, command: &str) -> String {
        let berth = Path::new(env!("CARGO_BIN_EXE_berth")).parent().unwrap().to_owned();
        let mut path = vec![berth];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{command} 2>&1")]).current_dir(&self.folder).stdin(Stdio::null());
        shell.env("PATH", std::env::join_paths(path).unwrap()).env("BERTH_DATA", self.host.data());
        tools(&mut shell);
        for name in ["BERTH_ACCESS_TOKEN", "BERTH_URL", "BERTH_LOG", "RUSTC", "RUSTFLAGS"] {
            shell.env_remove(name);
        }
        let ended = shell.output().unwrap();
        let said = String::from_utf8(ended.stdout).unwrap();
        // A tool that failed is an answer: its words are a JSON object.
        let failed = said.contains("error: ")
            || said.replace("failed: {", "").contains("failed: ")
            || said.contains("FAILED ");
        assert_eq!(ended.status.success(), !failed, "$ {command}\n{said}");
        // The same versions of crates as ours, which are there already.
        if let Some(name) = command.strip_prefix("berth plugin new ").and_then(|rest| rest.split(' ').next())
        {
            let folder = self.folder.join(name);
            if folder.join("Cargo.toml").exists() {
                std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
            }
        }
        said
    }
}

#[test]
fn the_plugins_of_the_guide_are_begun_built_installed_and_called_as_it_says() {
    let host = Host::start(Options::default());
    let reader = Reader { host: &host, folder: host.scratch().to_owned() };

    let mut followed = 0;
    for block in blocks(&page("plugin-guide.md")) {
        if block.kind == "console" {
            reader.follow(&block.text);
            followed += 1;
        } else if block.about.starts_with("tally/") {
            std::fs::write(reader.folder.join(&block.about), &block.text).unwrap();
        }
    }
    assert!(followed >= 8);
}

#[test]
fn the_commands_of_the_operators_guide_say_what_it_shows() {
    let host = Host::start(Options::bundled());
    std::fs::create_dir(host.scratch().join("notes")).unwrap();
    let reader = Reader { host: &host, folder: host.scratch().to_owned() };

    let page = page("operator-guide.md");
    let consoles: Vec<_> = blocks(&page).into_iter().filter(|block| block.kind == "console").collect();
    assert!(consoles.len() >= 4);
    consoles.iter().for_each(|block| reader.follow(&block.text));
}

#[test]
fn the_commands_of_the_page_on_packages_say_what_it_shows() {
    let host = Host::start(Options::default());
    std::os::unix::fs::symlink(plugin("clock"), host.scratch().join("clock")).unwrap();
    let reader = Reader { host: &host, folder: host.scratch().to_owned() };

    let page = page("packages.md");
    let consoles: Vec<_> = blocks(&page).into_iter().filter(|block| block.kind == "console").collect();
    assert!(consoles.len() >= 6);
    consoles.iter().for_each(|block| reader.follow(&block.text));
}

#[test]
fn the_commands_of_the_page_on_testing_say_what_it_shows() {
    let host = Host::start(Options::default());
    let page = page("plugin-testing.md");
    for (folder, built) in [("notes", "notes"), ("forge", "http")] {
        let to = host.scratch().join(folder);
        std::fs::create_dir_all(to.join("tests")).unwrap();
        for file in ["plugin.toml", &format!("{built}.wasm")] {
            std::fs::copy(plugin(built).join(file), to.join(file)).unwrap();
        }
    }
    let reader = Reader { host: &host, folder: host.scratch().to_owned() };

    let mut consoles = 0;
    for block in blocks(&page) {
        if block.about.contains("/tests/") {
            std::fs::write(host.scratch().join(&block.about), &block.text).unwrap();
        } else if block.kind == "console" {
            reader.follow(&block.text);
            consoles += 1;
        }
    }
    assert!(consoles >= 3);
}

#[test]
fn the_commands_of_the_page_on_operating_plugins_say_what_it_shows() {
    let host = Host::start(Options::default());
    let at = host.scratch().join("notes");
    std::fs::create_dir(&at).unwrap();
    for file in ["notes.wasm", "plugin.toml"] {
        std::fs::copy(plugin("notes").join(file), at.join(file)).unwrap();
    }
    let reader = Reader { host: &host, folder: host.scratch().to_owned() };

    let page = page("operating-plugins.md");
    let consoles: Vec<_> = blocks(&page).into_iter().filter(|block| block.kind == "console").collect();
    assert!(consoles.len() >= 9);
    consoles.iter().for_each(|block| reader.follow(&block.text));
}

#[test]
fn the_tour_of_the_readme_shows_what_happens() {
    let host = Host::start(Options::bundled());
    let reader = Reader { host: &host, folder: host.scratch().to_owned() };

    let page = page("../README.md");
    let tour: Vec<_> = blocks(&page).into_iter().filter(|block| block.about == "tour").collect();
    assert!(tour.len() >= 4);
    tour.iter().for_each(|block| reader.follow(&block.text));
}

#[test]
fn the_operators_guide_has_every_key_with_its_variable_and_default() {
    let home = tempfile::tempdir().unwrap();
    let shown = run(berth(home.path()).args(["config", "--json"])).json();
    let settings = shown["settings"].as_array().unwrap();
    let keys = settings.iter().filter(|setting| setting["key"].as_str().unwrap().contains('.'));
    let wanted: BTreeMap<_, _> = keys
        .map(|setting| {
            let variable = setting["variable"].as_str().unwrap_or_default();
            let default = match &setting["value"] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (setting["key"].as_str().unwrap().to_owned(), (variable.to_owned(), default))
        })
        .collect();

    let page = page("operator-guide.md");
    let plain = |cell: &str| cell.trim_matches('`').to_owned();
    let told: BTreeMap<_, _> =
        table(&page, "key").iter().map(|row| (plain(&row[0]), (plain(&row[1]), plain(&row[2])))).collect();

    assert_eq!(told, wanted);
    for secret in settings.iter().filter(|setting| !setting["key"].as_str().unwrap().contains('.')) {
        assert!(page.contains(&format!("| `{}` |", secret["key"].as_str().unwrap())), "{secret}");
    }
}

#[test]
fn an_excerpt_is_a_piece_of_its_file() {
    let page = page("plugin-guide.md");
    let mut found = 0;
    for block in blocks(&page) {
        if let Some(file) = block.about.strip_prefix("excerpt=") {
            let text = std::fs::read_to_string(root().join(file)).unwrap();
            assert!(text.contains(&block.text), "{file} has not:\n{}", block.text);
            found += 1;
        }
    }
    assert!(found > 0);
}

#[test]
fn the_guide_has_every_key_of_a_manifest() {
    let base = "[plugin]\nid = \"a\"\nversion = \"0.1.0\"\n";
    let mut known = BTreeSet::new();
    for (section, manifest) in [
        ("plugin", format!("{base}nothing = 1")),
        ("component", format!("{base}[component]\nnothing = 1")),
        ("capability", format!("{base}[[capability]]\nname = \"files\"\nnothing = 1")),
        ("tool", format!("{base}[tool.x]\nnothing = 1")),
        ("limits", format!("{base}[limits]\nnothing = 1")),
        ("config", format!("{base}[config]\nnothing = 1")),
        ("build", format!("{base}[build]\nnothing = 1")),
    ] {
        let refusal = Manifest::parse(&manifest).unwrap_err().message;
        let list = refusal.split_once("expected").unwrap().1;
        known.extend(list.split('`').skip(1).step_by(2).map(|key| format!("{section}.{key}")));
    }

    let page = page("plugin-guide.md");
    let told: BTreeSet<_> =
        table(&page, "key").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();

    assert_eq!(told, known);
}

#[test]
fn the_guide_has_the_limits_of_the_engine() {
    let size = |bytes: usize| match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    };
    let (most, time) = (Limits::ceilings(), |time: std::time::Duration| format!("{} s", time.as_secs()));
    let none = String::new;
    let wide = |bytes: u64| size(usize::try_from(bytes).unwrap());
    let count = |default: usize, most: usize| (default.to_string(), most.to_string());
    let wanted = BTreeMap::from([
        ("memory", (size(limits::MEMORY_BYTES), size(most.memory_bytes))),
        ("computing time", (time(limits::CPU), time(most.cpu))),
        ("whole time, waits included", (time(limits::WALL), time(most.wall))),
        ("JSON text of the answer", (size(limits::OUTPUT_BYTES), size(most.output_bytes))),
        ("one crossing to the host", (size(limits::HOSTCALL_BYTES), size(most.hostcall_bytes))),
        ("handles of resources", count(limits::HANDLES, most.handles)),
        ("elements of one table", count(limits::TABLE_ELEMENTS, most.table_elements)),
        ("core instances", count(limits::CORE_INSTANCES, most.core_instances)),
        ("lines of the log", count(limits::LOG_LINES, most.log_lines)),
        ("one line of the log", (size(limits::LOG_LINE_BYTES), size(most.log_line_bytes))),
        ("bytes written into folders", (wide(limits::WRITTEN_BYTES), wide(most.written_bytes))),
        (
            "files, folders and links made",
            (limits::CREATED_FILES.to_string(), most.created_files.to_string()),
        ),
        ("random bytes at once", (wide(limits::RANDOM_BYTES), wide(most.random_bytes))),
        ("calls of one plugin at once", count(limits::CALLS_PER_PLUGIN, most.concurrent_calls)),
        ("calls of all plugins at once", (limits::CALLS_PER_HOST.to_string(), none())),
        (
            "memory of all running calls",
            (format!("{}, half of the machine's where that is less", wide(limits::MEMORY_PER_HOST)), none()),
        ),
        ("texts in the arguments", (size(limits::INPUT_BYTES), none())),
        ("stack", (size(limits::STACK_BYTES), none())),
        ("file of the component", (size(limits::COMPONENT_BYTES), none())),
        ("time to return after a cancellation", (time(limits::CANCEL_GRACE), none())),
    ]);

    let page = page("plugin-guide.md");
    let rows = table(&page, "limit");
    let told: BTreeMap<_, _> =
        rows.iter().map(|row| (row[0].as_str(), (row[1].clone(), row[2].clone()))).collect();

    assert_eq!(told, wanted);
}

#[test]
fn what_is_shown_with_dots_may_be_anything_there() {
    assert!(fits("a\n…\nc\n", "a\nb\nb\nc"));
    assert!(fits("…c\n", "abc"));
    assert!(fits("abc", "abc\n"));
    assert!(!fits("a…c", "ab"));
    assert!(!fits("abc", "abcd"));
    assert!(!fits("a…b…c", "a c"));
}
