//! `kill -9` of a host in the midst of an install from an archive: at places that are named, and at any moment.
//!
//! After the next start the plugin is what it was before or what it was to be, no file is left that nobody needs, and
//! the install can be done again.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use notify::event::AccessKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Host, Options, Output, Process};

/// Moments of an install at which the host is killed.
const MOMENTS: usize = 12;
/// Looks at a folder that is being tidied up.
const LOOKS: usize = 2000;

/// A host, and what its processes leave anywhere.
struct Place {
    host: Host,
    /// Where programs put what is for a while.
    passing: TempDir,
}

impl Place {
    fn make(first: Option<u32>) -> Self {
        let passing = tempfile::tempdir().unwrap();
        let options = Options::default().env("TMPDIR", passing.path().to_str().unwrap());
        let place = Self { host: Host::start(options), passing };
        if let Some(number) = first {
            let archive = place.archive(number);
            place.host.cli(&["plugin", "install", archive.to_str().unwrap()]).ok();
        }
        place
    }

    /// A signed archive of the plugin `adder`, which adds its number and has a schema of settings.
    fn archive(&self, number: u32) -> PathBuf {
        let folder = self.host.scratch().join(format!("adder-{number}"));
        fs::create_dir_all(&folder).unwrap();
        // As much code as takes the compiler a while.
        let more: String = (0..400)
            .map(|at| format!("(func (export \"f{at}\") (param i32) (result i32) (i32.add (local.get 0) (i32.const {at})))"))
            .collect();
        let component = format!(
            r#"(component
                (core module $m {more}
                    (func (export "run") (param i32) (result i32) (i32.add (local.get 0) (i32.const {number}))))
                (core instance $i (instantiate $m))
                (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#
        );
        fs::write(folder.join("adder.wasm"), wat::parse_str(component).unwrap()).unwrap();
        let manifest = format!(
            "[plugin]\nid = \"adder\"\nversion = \"{number}.0.0\"\n[config]\nschema_file = \"config.schema.json\"\n"
        );
        fs::write(folder.join("plugin.toml"), manifest).unwrap();
        let schema = format!("{{\"type\": \"object\", \"title\": \"{number}\"}}");
        fs::write(folder.join("config.schema.json"), schema).unwrap();
        let key = self.host.scratch().join("acme.key");
        if !key.exists() {
            self.host.cli(&["plugin", "key", "new", key.to_str().unwrap()]).ok();
        }
        let archive = self.host.scratch().join(format!("adder-{number}.berth"));
        let words = ["plugin", "pack", folder.to_str().unwrap(), "--out", archive.to_str().unwrap(), "--key"];
        self.host.cli(&[&words[..], &[key.to_str().unwrap()]].concat()).ok();
        archive
    }

    /// Begins to install a version.
    fn begin(&self, number: u32) -> Process {
        self.host.spawn(&["plugin", "install", self.archive(number).to_str().unwrap()])
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.host.data().join(name)
    }

    /// Kills the host, starts it again, and looks that all is whole; the version that is in place.
    fn killed(
        &mut self,
        installing: impl FnOnce() -> Output,
        before: Option<u32>,
        after: u32,
        moment: &str,
    ) -> Option<u32> {
        self.host.kill9();
        let ended = installing();
        assert!([0, 3].contains(&ended.code), "{moment}: {}{}", ended.out, ended.err);
        // Or it came too late to be heard at all.
        let is_told = ended.err.contains("broke") || ended.err.contains("no host answers");
        assert!(ended.code == 0 || is_told, "{moment}: {}", ended.err);
        self.host.restart();
        let there = self.version();
        assert!(there == before || there == Some(after), "{moment}: {there:?}");
        // Who was told that it is installed has it.
        assert!(ended.code != 0 || there == Some(after), "{moment}: {}", ended.out);
        self.is_whole(there, moment);
        there
    }

    /// The version that is in place, by all that tells of it.
    fn version(&self) -> Option<u32> {
        let list = self.host.cli(&["plugin", "list", "--json"]).json();
        let plugin = list.as_array().unwrap().first()?.clone();
        assert_eq!(plugin["status"], "ready", "{plugin}");
        let version: u32 = plugin["version"].as_str().unwrap().trim_end_matches(".0.0").parse().unwrap();
        let called = self.host.cli(&["plugin", "call", "adder_next", "{\"number\": 0}", "--json"]).json();
        assert_eq!(called["result"], version, "{called}");
        Some(version)
    }

    /// No file is there that nobody needs, no generation is in the making, and the lock says what is in place.
    fn is_whole(&self, version: Option<u32>, moment: &str) {
        let generations = match version {
            Some(_) => self.host.cli(&["plugin", "generations", "adder", "--json"]).json(),
            None => Value::Array(Vec::new()),
        };
        let mut kept = BTreeSet::new();
        for one in generations.as_array().unwrap() {
            let state = one["state"].as_str().unwrap();
            assert!(["active", "retired", "rejected"].contains(&state), "{moment}: {one}");
            if state != "rejected" {
                kept.insert(one["digest"].as_str().unwrap().to_owned());
            }
        }
        // What is not needed is removed behind the start.
        let tidy = (0..LOOKS).any(|_| {
            self.host.request("GET", "/health", None);
            self.strangers(&kept).is_empty()
        });
        assert!(tidy, "{moment}: {:?} beside {kept:?}", self.strangers(&kept));
        let lock = fs::read_to_string(self.folder("berth.lock")).unwrap_or_default();
        let pins: Vec<_> = lock.lines().filter_map(|line| line.strip_prefix("version = \"")).collect();
        let wanted: Vec<String> = version.map(|number| format!("{number}.0.0\"")).into_iter().collect();
        assert_eq!(pins, wanted, "{moment}: {lock}");
    }

    /// The files that belong to none of these components.
    fn strangers(&self, kept: &BTreeSet<String>) -> Vec<String> {
        let (components, compiled) = (listed(&self.folder("plugins")), listed(&self.folder("cache/plugins")));
        let schemas = components.iter().filter(|name| name.ends_with(".config.json")).count();
        let mut strangers: Vec<String> = components
            .into_iter()
            .filter(|name| match name.strip_suffix(".wasm") {
                Some(digest) => !kept.contains(digest),
                // Each version has one.
                None => !name.ends_with(".config.json") || schemas > kept.len(),
            })
            .collect();
        strangers.extend(compiled.into_iter().filter(|name| match name.split_once('-') {
            Some((digest, _)) => !kept.contains(digest),
            None => name != "key",
        }));
        strangers.extend(listed(self.passing.path()));
        strangers.extend(listed(self.host.data()).into_iter().filter(|name| name.ends_with(".tmp")));
        strangers
    }
}

fn listed(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A file that nobody can write to its end: a pipe that is full.
struct Held {
    path: PathBuf,
    pipe: fs::File,
    opened: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Held {
    fn at(path: PathBuf) -> Self {
        let folder = path.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let pipe = rustix::fs::open(&path, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty()).unwrap();
        let mut pipe = fs::File::from(pipe);
        while pipe.write(&[0; 4096]).is_ok() {}
        let (ring, opened) = mpsc::channel();
        let ours = path.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let event = event.unwrap();
            let is_opened = matches!(event.kind, EventKind::Access(AccessKind::Open(_)));
            if is_opened && event.paths.contains(&ours) {
                // The story may be over.
                let _ = ring.send(());
            }
        })
        .unwrap();
        watcher.watch(folder, RecursiveMode::NonRecursive).unwrap();
        Self { path, pipe, opened, _watcher: watcher }
    }

    /// Waits until the host is about to write, and kills it there. What is left is half a file, as after any crash.
    fn kill_at(self, host: &mut Host) {
        self.opened.recv().unwrap();
        host.kill9();
        drop(self.pipe);
        fs::remove_file(&self.path).unwrap();
        fs::write(&self.path, b"half of").unwrap();
    }
}

#[test]
fn kill_9_while_a_file_is_written_leaves_the_version_before_whichever_file_it_is() {
    for first in [None, Some(1)] {
        // What an install writes has the same names on each host.
        let model = Place::make(first);
        let names = || listed(&model.folder("plugins")).into_iter().collect::<BTreeSet<_>>();
        let there = names();
        model.host.cli(&["plugin", "install", model.archive(2).to_str().unwrap()]).ok();
        let written: Vec<String> = names().difference(&there).cloned().collect();
        assert_eq!(written.len(), 2, "a component and a schema: {written:?}");
        drop(model);

        for name in written {
            let mut place = Place::make(first);
            let held = Held::at(place.folder("plugins").join(format!("{name}.tmp")));
            let installing = place.begin(2);

            held.kill_at(&mut place.host);
            place.host.restart();

            assert_eq!(installing.finish().code, 3, "{name}");
            assert_eq!(place.version(), first, "{name}");
            place.is_whole(first, &name);
            place.host.cli(&["plugin", "install", place.archive(2).to_str().unwrap()]).ok();
            assert_eq!(place.version(), Some(2), "{name}: another attempt");
        }
    }
}

#[test]
fn kill_9_while_a_component_is_compiled_leaves_the_version_before_and_no_compiler() {
    for first in [None, Some(1)] {
        let mut place = Place::make(first);
        let host = place.host.pid();
        let installing = place.begin(2);
        let compiler = std::iter::repeat_with(|| child(host)).flatten().next().unwrap();
        // From here on it gets no further.
        kill_process(compiler, Signal::STOP).unwrap();

        let there = place.killed(|| installing.finish(), first, 2, "compiling");

        assert_eq!(there, first);
        // It has nobody to answer to, and ends with its host or as soon as it goes on.
        let _gone = kill_process(compiler, Signal::CONT);
        let ends = (0..LOOKS).any(|_| {
            place.host.request("GET", "/health", None);
            !is_compiler(compiler.as_raw_nonzero().get())
        });
        assert!(ends, "the compiler goes on without its host");
        place.host.cli(&["plugin", "install", place.archive(2).to_str().unwrap()]).ok();
        assert_eq!(place.version(), Some(2));
    }
}

/// The compiler that a host has started.
fn child(host: u32) -> Option<Pid> {
    let tasks = fs::read_dir(format!("/proc/{host}/task")).ok()?;
    tasks.flatten().find_map(|task| {
        let children = fs::read_to_string(task.path().join("children")).ok()?;
        children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .find(|pid| is_compiler(*pid))
            .and_then(Pid::from_raw)
    })
}

fn is_compiler(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("__compile"))
}

#[test]
fn kill_9_while_the_lock_is_written_leaves_the_new_version_and_a_lock_that_says_so() {
    for first in [None, Some(1)] {
        let mut place = Place::make(first);
        let held = Held::at(place.folder("berth.lock.tmp"));
        let installing = place.begin(2);

        held.kill_at(&mut place.host);
        place.host.restart();

        assert_eq!(installing.finish().code, 3);
        assert_eq!(place.version(), Some(2), "it was in place before the lock said so");
        place.is_whole(Some(2), "the lock");
        place.host.cli(&["plugin", "install", place.archive(3).to_str().unwrap()]).ok();
        assert_eq!(place.version(), Some(3));
    }
}

/// What is heard while an install runs.
enum Heard {
    /// Something in the data folder is another one: this is the clock of these stories.
    Change,
    End,
}

/// Begins to install a version, and hears what changes.
fn listen(place: &Place, number: u32) -> (JoinHandle<Output>, mpsc::Receiver<Heard>, RecommendedWatcher) {
    let (ring, heard) = mpsc::channel();
    let end = ring.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // Nobody listens any more at the end.
            let _ = ring.send(Heard::Change);
        }
    })
    .unwrap();
    watcher.watch(place.host.data(), RecursiveMode::Recursive).unwrap();
    let installing = place.begin(number);
    let installing = std::thread::spawn(move || {
        let ended = installing.finish();
        let _ = end.send(Heard::End);
        ended
    });
    (installing, heard, watcher)
}

fn kill_often(mut place: Place, mut there: Option<u32>) {
    // How many changes an install makes in all.
    let mut number = there.unwrap_or(0) + 1;
    let (installing, heard, watcher) = listen(&place, number);
    assert_eq!(installing.join().unwrap().code, 0);
    drop(watcher);
    let all = heard.iter().filter(|heard| matches!(heard, Heard::Change)).count();
    let is_first = there.is_none();
    there = Some(number);
    let (mut old, mut new) = (0, 0);
    for moment in 0..MOMENTS {
        if is_first {
            place.host.cli(&["plugin", "remove", "adder"]).ok();
            there = None;
        }
        number += 1;
        let at = 1 + moment * all / MOMENTS;
        let (installing, heard, _watcher) = listen(&place, number);
        let count = heard.iter().take(at).take_while(|heard| matches!(heard, Heard::Change)).count();

        let moment = format!("change {count} of {all}");
        let now = place.killed(|| installing.join().unwrap(), there, number, &moment);

        if now == Some(number) {
            new += 1
        } else {
            old += 1
        }
        // Nothing stands in the way of another attempt, nor of another version.
        number += 1;
        place.host.cli(&["plugin", "install", place.archive(number).to_str().unwrap()]).ok();
        assert_eq!(place.version(), Some(number), "behind {moment}");
        there = Some(number);
    }
    assert!(old > 0, "the host was always killed behind the install: {old} and {new}");
}

#[test]
fn kill_9_at_any_moment_of_a_first_install_leaves_all_of_it_or_nothing() {
    kill_often(Place::make(None), None);
}

#[test]
fn kill_9_at_any_moment_of_an_upgrade_leaves_the_old_version_or_the_new_one() {
    kill_often(Place::make(Some(1)), Some(1));
}
