//! What a start of the host costs: time to `/health`, the first call, memory at rest.
//!
//! On a data folder beside what was built, whose plugins are installed and compiled.

use std::path::Path;
use std::time::{Duration, Instant};

use super::guests;
use super::host::{BINARY, Host};
use super::measure::median;
use super::report::{Aim, Report};

/// Cached plugins, and how often the host is started with them.
const STARTS: [(usize, usize); 5] = [(0, 11), (10, 11), (20, 11), (50, 7), (200, 7)];
/// The same to see that it works.
const QUICK: [(usize, usize); 2] = [(0, 1), (2, 1)];
/// Calls after the first one.
const CALLS: usize = 50;
/// How long the host rests before its memory is looked at.
const REST: Duration = Duration::from_millis(1500);

/// Each number of plugins.
pub fn starts(report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bytes = std::fs::metadata(BINARY).unwrap().len();
    println!("program: {:.1} MB", bytes as f64 / 1e6);
    report.head(&[
        "cached plugins",
        "ready p50 ms",
        "most",
        "first call ms",
        "most",
        "later calls p50 ms",
        "RSS MiB",
        "anonymous",
    ]);
    for (plugins, rounds) in report.effort.of(&STARTS[..], &QUICK[..]) {
        let taken = runtime.block_on(taken(*plugins, *rounds, report.effort.of(REST, Duration::ZERO)));
        let most = |times: &[f64]| times.iter().copied().fold(f64::NAN, f64::max);
        let middle = |times: &[f64]| median(times.iter().copied());
        // No plugin, no call.
        let shown = |millis: f64| if millis.is_nan() { "–".to_owned() } else { format!("{millis:.2}") };
        let Taken { ready, first, later, resident, anonymous } = &taken;
        report.row(&[
            plugins.to_string(),
            format!("{:.0}", middle(ready)),
            format!("{:.0}", most(ready)),
            shown(middle(first)),
            shown(most(first)),
            shown(middle(later)),
            format!("{resident:.1}"),
            format!("{anonymous:.1}"),
        ]);
        match plugins {
            10 => report.aim("ten plugins at rest, RSS", *resident, "MiB", Aim::AtMost(60.0)),
            20 => {
                report.aim("start with 20 cached plugins", middle(ready), "ms", Aim::AtMost(300.0));
                report.aim("first call after a start, over HTTP", middle(first), "ms", Aim::AtMost(5.0));
            }
            200 => report.aim("start with 200 cached plugins", middle(ready), "ms", Aim::AtMost(1000.0)),
            _ => {}
        }
    }
}

/// Times in milliseconds, memory in MiB.
struct Taken {
    ready: Vec<f64>,
    first: Vec<f64>,
    later: Vec<f64>,
    resident: f64,
    anonymous: f64,
}

async fn taken(plugins: usize, rounds: usize, rest: Duration) -> Taken {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, packages) = (place.path().join("data"), place.path().join("plugins"));
    packed(&packages, plugins);
    // Installs and compiles; what follows finds everything there.
    Host::start(&data, Some(&packages)).await.stop();

    let (mut ready, mut first, mut later) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let host = Host::start(&data, None).await;
        ready.push(millis(host.took));
        if plugins > 0 {
            let mut calls = Vec::new();
            let thread = host.thread().await;
            for _ in 0..=CALLS {
                let begin = Instant::now();
                host.call(&thread).await;
                calls.push(millis(begin.elapsed()));
            }
            first.push(calls.remove(0));
            later.extend(calls);
        }
        host.stop();
    }
    let host = Host::start(&data, None).await;
    tokio::time::sleep(rest).await;
    let (resident, anonymous) = (host.memory("VmRSS:"), host.memory("RssAnon:"));
    host.stop();
    Taken { ready, first, later, resident, anonymous }
}

/// So many plugin folders: the bundled ones and the greeter, again and again under other names.
fn packed(to: &Path, plugins: usize) {
    std::fs::create_dir_all(to).unwrap();
    for number in 0..plugins {
        let folder = to.join(format!("p{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        let names = ["greeter", "clock", "echo", "files", "gpio"];
        let name = names[number % names.len()];
        let (manifest, file, mut component) = if name == "greeter" {
            let manifest =
                "[plugin]\nid = \"greeter\"\nversion = \"0.1.0\"\n[component]\nfile = \"greeter.wasm\"\n";
            (manifest.to_owned(), "greeter.wasm".to_owned(), guests::fixture("bench-typed"))
        } else {
            let from = guests::plugin(name);
            let file = format!("{name}.wasm");
            let component = guests::read(&from.join(&file));
            (std::fs::read_to_string(from.join("plugin.toml")).unwrap(), file, component)
        };
        let own = format!("id = \"{name}{number}\"");
        let manifest = manifest.replacen(&format!("id = \"{name}\""), &own, 1);
        std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
        // A custom section with a number as its name: another component for the cache.
        let mark = format!("{number:03}");
        component.extend([0, 1 + mark.len() as u8, mark.len() as u8]);
        component.extend(mark.bytes());
        std::fs::write(folder.join(file), component).unwrap();
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
