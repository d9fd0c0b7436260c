//! `berth plugin dev`: build after each change, put the plugin into the running host, follow its log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_build::files::{self, Fingerprint};
use clap::Args;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::{build, path_of};
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output::{self, items, text};

/// An editor writes a file in several steps, and some write several files.
const QUIET: Duration = Duration::from_millis(150);
/// Between two looks at the log of the plugin.
const LOOK: Duration = Duration::from_millis(500);

const ABOUT: &str = "\
Examples:
  berth plugin dev
  berth plugin dev ./tally --yes

The plugin goes into the host that the other commands find. A version that cannot be built or installed is told, and the \
one in place goes on. Grants stay. Ctrl-C ends it; the plugin stays installed.";

/// What to build again and again, and with what.
#[derive(Debug, Args)]
#[command(after_help = ABOUT)]
pub struct Options {
    /// The folder with the plugin.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    tools: build::Tools,
    /// Yes to all that a new version asks for beyond the one in place.
    #[arg(long)]
    yes: bool,
}

/// What can wake the command.
enum Event {
    Stop,
    Changed,
    Look,
}

pub async fn run(global: &Global, client: &Client, options: Options) -> Result<(), Failure> {
    let folder = std::fs::canonicalize(&options.folder)
        .map_err(|_| Failure::Usage(format!("there is no folder {}", options.folder.display())))?;
    // Without a host there is nothing to do, and a build would only delay saying so.
    client.health().await?;
    let mut interrupts = Interrupts::listen()?;
    let (changed, mut changes) = mpsc::channel(1);
    let watcher = watch(&folder, changed);
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);

    let mut bench = Bench {
        global,
        client,
        folder,
        tools: options.tools,
        is_agreed: options.yes,
        built: String::new(),
        log: None,
    };
    let mut event = Event::Changed;
    loop {
        let is_blind = watcher.is_none();
        let turn = async {
            match event {
                Event::Stop => {}
                Event::Changed => {
                    settle(&mut changes).await;
                    bench.renew().await;
                }
                Event::Look if is_blind => bench.renew().await,
                Event::Look => {}
            }
            bench.follow().await;
        };
        tokio::select! {
            () = interrupts.next() => break,
            () = turn => {}
        }
        // Every arm is cancel-safe by its docs.
        event = tokio::select! {
            biased;
            () = interrupts.next() => Event::Stop,
            Some(()) = changes.recv() => Event::Changed,
            _ = looks.tick() => Event::Look,
        };
        if matches!(event, Event::Stop) {
            break;
        }
    }
    if !global.json {
        output::note("stopped; the plugin stays installed");
    }
    Ok(())
}

/// Rings when anything below the folder changes. `None` where the system cannot tell, and somebody has to look.
fn watch(folder: &Path, changed: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let ring = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // A full mailbox has rung already.
            let _rung = changed.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(ring).ok()?;
    watcher.watch(folder, RecursiveMode::Recursive).ok()?;
    Some(watcher)
}

/// Waits until nothing has changed for a while.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    while let Ok(Some(())) = timeout_at(Instant::now() + QUIET, changes.recv()).await {}
}

/// The plugin at work.
struct Bench<'a> {
    global: &'a Global,
    client: &'a Client,
    folder: PathBuf,
    tools: build::Tools,
    /// Whether the author agrees to whatever his plugin asks for.
    is_agreed: bool,
    /// The hash of the sources of the last build, well or not.
    built: String,
    /// The id of the plugin, and what of its log has been shown.
    log: Option<(String, Vec<Value>)>,
}

impl Bench<'_> {
    /// Builds and installs, when the sources are other ones than before.
    async fn renew(&mut self) {
        let sources = match sources(&self.folder) {
            Ok(sources) => sources,
            // A file that goes away while it is read comes with a change of its own.
            Err(failure) => return self.failed(failure),
        };
        if sources == self.built {
            return;
        }
        self.built = sources;
        if let Err(failure) = self.build_and_install().await {
            self.failed(failure);
        }
    }

    async fn build_and_install(&mut self) -> Result<(), Failure> {
        let built = build::build(&self.folder, self.tools.clone()).await?;
        let id = built.manifest.id.clone();
        if self.global.json {
            output::json(&json!({ "event": "built", "build": build::told(&built) }));
        } else {
            output::line(&format!("built {id}, {}", build::size(built.inspection.bytes)));
        }
        let body = json!({ "path": self.folder, "accept": self.is_agreed });
        let plugin = self.client.post_and_wait("/operator/plugins/install", &body).await?;
        // Another version has a log of its own.
        self.log = Some((id.clone(), Vec::new()));
        if self.global.json {
            output::json(&json!({ "event": "installed", "plugin": plugin }));
            return Ok(());
        }
        if !items(&plugin["waiting"]).is_empty() {
            super::consent::waits(&id, &plugin["diff"], &text(&plugin, "waiting_digest"));
            return Ok(());
        }
        let names: Vec<_> = items(&plugin["tools"]).iter().map(|tool| text(tool, "name")).collect();
        output::line(&output::one_line(&format!("installed {id}: {}", names.join(" "))));
        Ok(())
    }

    fn failed(&self, failure: Failure) {
        if self.global.json {
            let mut told = failure.json();
            told["event"] = json!("failed");
            output::json(&told);
            return;
        }
        failure.print(false);
        output::note("what is installed goes on; waiting for a change");
    }

    /// Shows what the plugin has printed since the last look.
    async fn follow(&mut self) {
        let Some((id, shown)) = &mut self.log else { return };
        // A host that is away for a moment has nothing to tell.
        let Ok(lines) = self.client.get(&path_of(id, "/logs")).await else { return };
        for line in news(shown, items(&lines)) {
            if self.global.json {
                output::json(&json!({ "event": "log", "level": line["level"], "text": line["text"] }));
            } else {
                output::line(&output::one_line(&format!(
                    "  {}  {}",
                    text(line, "level"),
                    text(line, "text")
                )));
            }
        }
        *shown = items(&lines).to_vec();
    }
}

/// The lines of `now` that were not in `before`, which the host may have cut at its beginning.
fn news<'a>(before: &[Value], now: &'a [Value]) -> &'a [Value] {
    let gone = (0..=before.len()).find(|gone| now.starts_with(&before[*gone..])).unwrap_or(before.len());
    &now[before.len() - gone..]
}

/// A hash of everything that a build reads and nobody else writes.
fn sources(folder: &Path) -> Result<String, Failure> {
    let mut hash = Fingerprint::new("dev");
    for file in files::below(folder)? {
        let inner = file.strip_prefix(folder).unwrap_or(&file);
        let hidden = inner.components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            name.starts_with('.') || name == "__pycache__" || name.ends_with('~')
        });
        let made =
            inner.extension().is_some_and(|ending| ["wasm", "berth", "swp"].iter().any(|own| ending == *own));
        if !hidden && !made && inner != Path::new("Cargo.lock") {
            hash.add(&file)?;
        }
    }
    Ok(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_once_also_when_the_host_has_forgotten_older_ones() {
        let log = |texts: &[&str]| -> Vec<Value> { texts.iter().map(|text| json!(text)).collect() };
        let shown = |before: &[&str], now: &[&str]| news(&log(before), &log(now)).to_vec();

        assert_eq!(shown(&[], &["a", "b"]), log(&["a", "b"]));
        assert_eq!(shown(&["a"], &["a", "b"]), log(&["b"]));
        assert_eq!(shown(&["a", "b"], &["a", "b"]), log(&[]));
        assert_eq!(shown(&["a", "b", "c"], &["b", "c", "d"]), log(&["d"]));
        assert_eq!(shown(&["a", "b"], &["c"]), log(&["c"]));
        assert_eq!(shown(&["a", "b"], &[]), log(&[]));
    }

    #[test]
    fn what_a_build_makes_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| files::write(&folder.path().join(name), text.as_bytes()).unwrap();
        write("src/lib.rs", "one");
        let first = sources(folder.path()).unwrap();

        for made in [
            "a.wasm",
            "target/x",
            "Cargo.lock",
            "__pycache__/a.pyc",
            ".git/x",
            "src/.lib.rs.swp",
            "a-0.1.0.berth",
        ] {
            write(made, "made");
        }
        let same = sources(folder.path()).unwrap();
        write("src/lib.rs", "two");

        assert_eq!(same, first);
        assert_ne!(sources(folder.path()).unwrap(), first);
    }
}
