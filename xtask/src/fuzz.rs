//! `cargo xtask fuzz`: looks for inputs that break what the readers of foreign input promise.

use anyhow::bail;
use clap::Args;

use crate::{files, step};

/// The targets in `fuzz/targets/`.
const TARGETS: [&str; 5] = ["manifest", "url", "json-to-wit", "wit-to-json", "component"];
/// What makes the compiler count the paths that an input takes; none of it needs a nightly compiler.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Clink-dead-code",
    "-Ccodegen-units=16",
    "--cfg=fuzzing",
];

/// Which readers to feed, and for how long.
#[derive(Args)]
pub struct Options {
    /// Names of targets; all, one after another, when none is given.
    names: Vec<String>,
    /// How long each is fed.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Builds the targets and runs what `options` names. An input that breaks a promise is kept in `target/fuzz/`.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(name) = options.names.iter().find(|name| !TARGETS.contains(&name.as_str())) {
        bail!("there is no target `{name}`: there are {}", TARGETS.join(", "));
    }
    let root = crate::root();
    let target = crate::target().join("fuzz");
    // The same versions as in the host.
    files::write(&root.join("fuzz/Cargo.lock"), &files::read(&root.join("Cargo.lock"))?)?;
    let mut cargo = crate::cargo();
    cargo.args(["build", "--release", "--quiet", "--bins", "--manifest-path"]);
    cargo.arg(root.join("fuzz/Cargo.toml")).arg("--target-dir").arg(&target);
    // With a target of its own, programs that run while it builds are left as they are.
    cargo.args([
        "--target",
        step::quietly("rustc", std::process::Command::new("rustc").args(["--print", "host-tuple"]))?.trim(),
    ]);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    step::run("building the fuzz targets", &mut cargo)?;

    let names: Vec<&str> = TARGETS
        .into_iter()
        .filter(|name| options.names.is_empty() || options.names.iter().any(|wanted| wanted == name))
        .collect();
    for name in names {
        let (found, crashes) = (target.join("corpus").join(name), target.join("crashes").join(name));
        for folder in [&found, &crashes] {
            std::fs::create_dir_all(folder)?;
        }
        let program = std::fs::read_dir(&target)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path().join("release").join(name)))
            .find(|path| path.is_file());
        let Some(program) = program else { bail!("the target {name} was not built") };
        let mut fuzzer = std::process::Command::new(program);
        fuzzer.arg(&found).arg(root.join("fuzz/seeds").join(name));
        fuzzer.arg(format!("-max_total_time={}", options.seconds));
        fuzzer.arg(format!("-artifact_prefix={}/", crashes.display()));
        fuzzer.args(["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", "-max_len=65536"]);
        step::run(&format!("feeding {name} for {} s", options.seconds), &mut fuzzer)?;
    }
    Ok(())
}
