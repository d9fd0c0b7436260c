//! The life of a plugin: upgrades, consent, rollback, quarantine, and what a failure or a crash on the way leaves.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::target::PluginTarget;
use berth_model::PluginId;
use berth_model::generation::Generation;
use berth_model::plugin::PluginStatus;
use berth_wasm::engine::compiler::{CompileError, Compiler, InProcess};
use berth_wasm::host::{Life, Probe, Step};
use berth_wasm::{Assent, HostError, Installed, Outcome, Package, PluginHost};
use bytes::Bytes;
use serde_json::{Value, json};
use support::host::Harness;
use support::{WAIT, component, runs};
use tokio::sync::Semaphore;

/// Adds `step` and answers.
fn adder(step: u32) -> String {
    format!(
        r#"(component
            (core module $m (func (export "run") (param i32) (result i32) (i32.add (local.get 0) (i32.const {step}))))
            (core instance $i (instantiate $m))
            (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#
    )
}

/// The same tool, which crashes.
const BROKEN: &str = r#"(component
    (core module $m (func (export "run") (param i32) (result i32) unreachable))
    (core instance $i (instantiate $m))
    (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#;

const MORE: &str =
    "[[capability]]\nname = \"endpoint\"\nrequired = false\nreason = \"look at the kitchen\"\n";

fn package(version: &str, text: &str, more: &str) -> Package {
    let manifest = format!("[plugin]\nid = \"test\"\nversion = \"{version}\"\n{more}");
    Package::new(manifest, component(text))
}

fn id() -> PluginId {
    PluginId::new("test").unwrap()
}

async fn install(host: &PluginHost, version: &str, text: &str, more: &str) -> Result<Installed, HostError> {
    host.install(package(version, text, more)).await
}

/// What each generation is and where it stands.
async fn story(host: &PluginHost) -> Vec<String> {
    let word = |one: &Generation| {
        format!(
            "{} {} {} {}{}",
            one.number,
            one.origin,
            one.version,
            one.state.as_str(),
            match one.state.code() {
                "" => String::new(),
                code => format!(" {code}"),
            }
        )
    };
    host.generations(&id()).await.unwrap().iter().map(word).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "key")
        .collect();
    names.sort();
    names
}

/// Components and machine code in the data folder.
fn kept(berth: &Harness) -> (Vec<String>, Vec<String>) {
    (files(&berth.folder.path().join("components")), files(&berth.folder.path().join("compiled")))
}

async fn next(berth: &Harness, host: &PluginHost) -> Value {
    berth.call_at(host, "test_next", json!({ "number": 1 })).await.unwrap().content
}

/// Fails at one step, as a full disk does.
struct FullAt(Step);

#[async_trait]
impl Probe for FullAt {
    async fn before(&self, step: Step) -> Result<(), HostError> {
        if step == self.0 {
            return Err(HostError::Folder { source: std::io::ErrorKind::StorageFull.into() });
        }
        Ok(())
    }
}

/// Goes no further than to one step: what a process leaves that is killed there.
struct KilledAt(Step, Arc<Semaphore>);

#[async_trait]
impl Probe for KilledAt {
    async fn before(&self, step: Step) -> Result<(), HostError> {
        if step == self.0 {
            self.1.add_permits(1);
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

fn with(probe: impl Probe + 'static) -> Life {
    Life { probe: Arc::new(probe), ..Life::default() }
}

fn before_activation() -> impl Iterator<Item = Step> {
    Step::ALL.into_iter().filter(|step| *step != Step::Publish)
}

#[tokio::test]
async fn a_first_install_that_fails_at_any_step_leaves_nothing_behind() {
    for step in before_activation() {
        let berth = Harness::with_life(with(FullAt(step))).await;

        let error = install(&berth.host, "1.0.0", &adder(1), "").await.unwrap_err();

        assert_eq!(error.code(), "PLUGIN_DATA_FOLDER", "{step:?}");
        assert!(berth.host.catalogue().is_empty());
        assert!(berth.host.list().await.unwrap().is_empty());
        assert_eq!(berth.host.generations(&id()).await.unwrap_err().code(), "PLUGIN_NOT_FOUND");
        assert_eq!(kept(&berth), (vec![], vec![]), "{step:?}");
        let retried =
            install(&berth.other(Life::default(), Arc::new(InProcess)), "1.0.0", &adder(1), "").await;
        assert_eq!(retried.unwrap().generation, 1, "nothing stands in the way of another attempt");
    }
}

#[tokio::test]
async fn an_upgrade_that_fails_at_any_step_leaves_the_old_generation_as_it_was() {
    for step in before_activation() {
        let berth = Harness::start().await;
        install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();
        let (before, catalogue) = (kept(&berth), berth.host.catalogue());
        let shown = berth.host.show(&id()).await.unwrap().plugin;
        let failing = berth.other(with(FullAt(step)), Arc::new(InProcess));
        failing.boot().await.unwrap();

        let error = install(&failing, "2.0.0", &adder(2), "").await.unwrap_err();

        assert_eq!(error.code(), "PLUGIN_DATA_FOLDER");
        assert_eq!(failing.catalogue(), catalogue, "{step:?}");
        assert_eq!(failing.show(&id()).await.unwrap().plugin, shown);
        assert_eq!(next(&berth, &failing).await, json!(2));
        assert_eq!(kept(&berth), before, "{step:?}");
        let rejected = match step {
            Step::Stage => vec![],
            _ => vec!["2 upgrade 2.0.0 rejected PLUGIN_DATA_FOLDER".to_owned()],
        };
        assert_eq!(story(&failing).await[1..], rejected, "the history tells of it");
    }
}

#[tokio::test]
async fn an_install_that_is_killed_at_any_step_is_settled_by_the_next_start() {
    for step in Step::ALL {
        for is_upgrade in [false, true] {
            let berth = Harness::start().await;
            if is_upgrade {
                install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();
            }
            let before = kept(&berth);
            let reached = Arc::new(Semaphore::new(0));
            let killed = berth.other(with(KilledAt(step, reached.clone())), Arc::new(InProcess));
            killed.boot().await.unwrap();
            let dying = tokio::spawn(async move { install(&killed, "2.0.0", &adder(2), "").await.is_ok() });
            reached.acquire().await.unwrap().forget();
            dying.abort();

            let next_start = berth.restarted().await;
            next_start.drained().await;

            if step == Step::Publish {
                assert_eq!(next(&berth, &next_start).await, json!(3), "it was in place");
            } else if is_upgrade {
                assert_eq!(next(&berth, &next_start).await, json!(2), "{step:?}");
                assert_eq!(kept(&berth), before, "{step:?}");
                assert!(
                    story(&next_start).await.iter().skip(1).all(|line| line.ends_with("INSTALL_INTERRUPTED"))
                );
            } else {
                assert!(next_start.list().await.unwrap().is_empty(), "{step:?}");
                assert_eq!(kept(&berth), (vec![], vec![]), "{step:?}");
            }
            install(&next_start, "3.0.0", &adder(3), "").await.unwrap();
            assert_eq!(next(&berth, &next_start).await, json!(4));
        }
    }
}

#[tokio::test]
async fn an_upgrade_that_asks_for_more_waits_while_the_old_one_serves() {
    let berth = Harness::start().await;
    install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();

    let waiting = install(&berth.host, "2.0.0", &adder(2), MORE).await.unwrap();

    assert_eq!(waiting.outcome, Outcome::Waiting);
    let diff = waiting.diff;
    assert!(diff.lines().iter().any(|line| line.contains("endpoint")), "{:?}", diff.lines());
    assert_eq!(waiting.plugin.version, "1.0.0");
    assert_eq!(next(&berth, &berth.host).await, json!(2));
    assert_eq!(story(&berth.host).await, ["1 install 1.0.0 active", "2 upgrade 2.0.0 awaiting_consent"]);
    assert_eq!(berth.host.waiting_diff(&id()).await.unwrap(), Some(diff));

    let again = berth.restarted().await;
    assert_eq!(next(&berth, &again).await, json!(2), "it waits over a restart");
    let accepted = again.accept(&id()).await.unwrap();

    assert_eq!((accepted.outcome, accepted.generation), (Outcome::Active, 2));
    assert_eq!(next(&berth, &again).await, json!(3));
    again.drained().await;
    assert_eq!(story(&again).await, ["1 install 1.0.0 retired", "2 upgrade 2.0.0 active"]);
    assert_eq!(again.accept(&id()).await.unwrap_err().code(), "PLUGIN_NOTHING_WAITS");
}

#[tokio::test]
async fn an_upgrade_that_is_declined_or_overtaken_is_forgotten() {
    let berth = Harness::start().await;
    install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();
    let before = kept(&berth);
    install(&berth.host, "2.0.0", &adder(2), MORE).await.unwrap();
    install(&berth.host, "3.0.0", &adder(3), MORE).await.unwrap();

    berth.host.decline(&id()).await.unwrap();

    assert_eq!(
        story(&berth.host).await,
        [
            "1 install 1.0.0 active",
            "2 upgrade 2.0.0 rejected GENERATION_SUPERSEDED",
            "3 upgrade 3.0.0 rejected CONSENT_DECLINED"
        ]
    );
    assert_eq!(kept(&berth), before);
    assert_eq!(next(&berth, &berth.host).await, json!(2));
    assert_eq!(berth.host.decline(&id()).await.unwrap_err().code(), "PLUGIN_NOTHING_WAITS");
}

#[tokio::test]
async fn an_upgrade_that_asks_for_no_more_or_has_consent_goes_ahead() {
    let berth = Harness::start().await;
    install(&berth.host, "1.0.0", &adder(1), MORE).await.unwrap();

    assert_eq!(install(&berth.host, "2.0.0", &adder(2), MORE).await.unwrap().outcome, Outcome::Active);
    assert_eq!(install(&berth.host, "3.0.0", &adder(3), "").await.unwrap().outcome, Outcome::Active);
    let wider = berth.host.install_with(package("4.0.0", &adder(4), MORE), Assent::Given).await.unwrap();

    assert_eq!(wider.outcome, Outcome::Active);
    assert_eq!(next(&berth, &berth.host).await, json!(5));
}

#[tokio::test]
async fn the_same_package_again_changes_nothing() {
    let berth = Harness::start().await;
    install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();
    let before = berth.host.show(&id()).await.unwrap().plugin;

    let again = install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();

    assert_eq!((again.outcome, again.generation), (Outcome::Unchanged, 1));
    assert_eq!(berth.host.show(&id()).await.unwrap().plugin, before);
    assert_eq!(story(&berth.host).await, ["1 install 1.0.0 active"]);

    berth.host.disable(&id()).await.unwrap();
    install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();
    assert_eq!(next(&berth, &berth.host).await, json!(2), "what was off is on again");
}

#[tokio::test]
async fn installs_at_the_same_time_come_one_after_another() {
    let berth = Harness::start().await;

    let (first, second) = (adder(1), adder(2));
    let (one, two, other) = tokio::join!(
        install(&berth.host, "1.0.0", &first, ""),
        install(&berth.host, "2.0.0", &second, ""),
        berth.install("echo"),
    );

    let mut numbers = [one.unwrap().generation, two.unwrap().generation];
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(other.generation, 1);
    assert_eq!(berth.host.catalogue().len(), 4);
    berth.host.drained().await;
    let ended: Vec<_> =
        story(&berth.host).await.iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(ended, ["retired", "active"]);
}

#[tokio::test]
async fn a_call_in_flight_ends_in_the_generation_that_it_began_in() {
    let berth = Harness::start().await;
    berth.install_fixture("host-waiter", "[[capability]]\nname = \"endpoint\"\n").await.unwrap();
    berth.grant("host-waiter", "endpoint", json!({})).await;
    let running = berth.spawn("host_waiter_ask_twice", json!({}));
    berth.until_the_pi_hears().await;

    let manifest = "[plugin]\nid = \"host-waiter\"\nversion = \"9.0.0\"\n".to_owned();
    let newer = Package::new(manifest, component(&adder(1)));
    assert_eq!(berth.host.install(newer).await.unwrap().outcome, Outcome::Active);
    assert_eq!(
        berth.answer("host_waiter_next", json!({ "number": 1 })).await,
        json!(2),
        "new calls go to the new one"
    );
    berth.open_the_gate();

    // What it asks of the host after the upgrade is in the manifest of the old generation alone.
    let ended = running.await.unwrap().unwrap().content;
    assert_eq!(ended, json!({ "first": "ok", "second": "ok" }));
}

#[tokio::test]
async fn a_call_that_outlives_the_patience_of_an_upgrade_is_cancelled_and_may_be_repeated() {
    let life = Life { drain: Duration::ZERO, ..Life::default() };
    for change in ["upgrade", "disable", "remove"] {
        let berth = Harness::with_life(life.clone()).await;
        install(&berth.host, "1.0.0", WAIT, "[limits]\ntimeout_ms = 600000\n").await.unwrap();
        let running = berth.spawn("test_run", json!({}));
        berth.until_accepted(1).await;

        match change {
            "upgrade" => drop(install(&berth.host, "2.0.0", &adder(2), "").await.unwrap()),
            "disable" => berth.host.disable(&id()).await.unwrap(),
            _ => berth.host.remove(&id()).await.unwrap(),
        }

        let failure = running.await.unwrap().unwrap_err();
        assert_eq!(failure.code, "PLUGIN_REPLACED", "{change}");
        assert!(failure.retryable);
        berth.host.drained().await;
    }
}

/// Calls the tool so often and says how many calls failed.
async fn failures(berth: &Harness, host: &PluginHost, calls: usize) -> usize {
    let mut failed = 0;
    for _ in 0..calls {
        failed += usize::from(berth.call_at(host, "test_next", json!({ "number": 1 })).await.is_err());
    }
    failed
}

#[tokio::test]
async fn a_generation_whose_first_calls_fail_is_rolled_back_by_itself() {
    let berth = Harness::start().await;
    install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();
    install(&berth.host, "2.0.0", BROKEN, "").await.unwrap();

    assert_eq!(failures(&berth, &berth.host, 11).await, 11);
    berth.host.drained().await;

    assert_eq!(failures(&berth, &berth.host, 20).await, 0);
    assert_eq!(
        story(&berth.host).await,
        ["1 install 1.0.0 retired", "2 upgrade 2.0.0 retired", "3 rollback 1.0.0 active"]
    );
    let shown = berth.host.show(&id()).await.unwrap();
    assert!(shown.is_ready);
    let told = &shown.plugin.last_error;
    assert!(told.contains("generation 2 was given up: 11 of its first 11 calls failed"), "{told}");
    assert!(told.contains("PLUGIN_TRAP"), "{told}");
    let again = berth.restarted().await;
    assert_eq!(failures(&berth, &again, 1).await, 0, "the rollback lasts");
}

#[tokio::test]
async fn a_first_generation_that_is_bad_is_quarantined_until_it_is_resumed() {
    let berth = Harness::start().await;
    install(&berth.host, "1.0.0", BROKEN, "").await.unwrap();

    failures(&berth, &berth.host, 11).await;
    berth.host.drained().await;

    let shown = berth.host.show(&id()).await.unwrap();
    assert_eq!((shown.plugin.status, shown.is_ready), (PluginStatus::Quarantined, false));
    assert!(shown.plugin.last_error.contains("PLUGIN_TRAP"), "{}", shown.plugin.last_error);
    assert!(berth.host.catalogue().is_empty());
    assert!(berth.restarted().await.catalogue().is_empty(), "a restart does not let it loose");

    berth.host.resume(&id()).await.unwrap();

    let shown = berth.host.show(&id()).await.unwrap();
    assert_eq!((shown.plugin.status, shown.plugin.last_error.as_str()), (PluginStatus::Active, ""));
    assert_eq!(story(&berth.host).await, ["1 install 1.0.0 active"]);
    assert_eq!(berth.host.resume(&id()).await.unwrap_err().code(), "PLUGIN_NOT_QUARANTINED");
    install(&berth.host, "2.0.0", &adder(2), "").await.unwrap();
    assert_eq!(next(&berth, &berth.host).await, json!(3));
}

#[tokio::test]
async fn a_generation_that_has_proven_itself_and_one_with_bad_callers_stay() {
    let berth = Harness::start().await;
    install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();
    install(&berth.host, "2.0.0", &adder(2), "").await.unwrap();
    for _ in 0..30 {
        assert_eq!(berth.failure("test_next", json!({ "number": "x" })).await.code, "INVALID_ARGUMENTS");
    }
    assert_eq!(failures(&berth, &berth.host, 10).await, 0);
    berth.host.drained().await;

    let generations = berth.host.generations(&id()).await.unwrap();

    assert_eq!(story(&berth.host).await[1], "2 upgrade 2.0.0 active");
    assert!(generations[1].is_proven);
}

#[tokio::test]
async fn a_generation_that_fails_to_start_twice_is_rolled_back() {
    let berth = Harness::start().await;
    install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();
    install(&berth.host, "2.0.0", &adder(2), "").await.unwrap();
    berth.host.drained().await;
    lose(&berth, &berth.host.show(&id()).await.unwrap().plugin.digest);

    let once = berth.restarted().await;
    assert!(!once.show(&id()).await.unwrap().is_ready, "once may be bad luck");
    let twice = berth.restarted().await;
    twice.drained().await;

    assert_eq!(next(&berth, &twice).await, json!(2));
    assert_eq!(story(&twice).await[2], "3 rollback 1.0.0 active");
    lose(&berth, &twice.show(&id()).await.unwrap().plugin.digest);
    for _ in 0..2 {
        berth.restarted().await;
    }
    let left = berth.restarted().await.show(&id()).await.unwrap().plugin;
    assert_eq!(left.status, PluginStatus::Quarantined, "nothing is left to go back to");
}

/// Takes a component and its machine code away.
fn lose(berth: &Harness, digest: &str) {
    std::fs::remove_file(berth.folder.path().join("components").join(format!("{digest}.wasm"))).unwrap();
    for name in kept(berth).1.iter().filter(|name| name.starts_with(digest)) {
        std::fs::remove_file(berth.folder.path().join("compiled").join(name)).unwrap();
    }
}

#[tokio::test]
async fn an_earlier_generation_is_put_in_place_again_by_hand() {
    let berth = Harness::start().await;
    for step in 1..=3 {
        install(&berth.host, &format!("{step}.0.0"), &adder(step), "").await.unwrap();
    }
    berth.host.drained().await;

    assert_eq!(berth.host.rollback(&id(), None).await.unwrap().version, "2.0.0");
    assert_eq!(next(&berth, &berth.host).await, json!(3));
    assert_eq!(berth.host.rollback(&id(), Some(1)).await.unwrap().version, "1.0.0");
    assert_eq!(next(&berth, &berth.host).await, json!(2));

    assert_eq!(
        berth.host.rollback(&id(), Some(77)).await.unwrap_err().code(),
        "PLUGIN_NO_EARLIER_GENERATION"
    );
    berth.install("echo").await;
    let echo = PluginId::new("echo").unwrap();
    assert_eq!(berth.host.rollback(&echo, None).await.unwrap_err().code(), "PLUGIN_NO_EARLIER_GENERATION");
    let gone = PluginId::new("gone").unwrap();
    assert_eq!(berth.host.rollback(&gone, None).await.unwrap_err().code(), "PLUGIN_NOT_FOUND");
}

#[tokio::test]
async fn components_that_nobody_goes_back_to_are_removed() {
    let berth = Harness::start().await;
    for step in 1..=16 {
        install(&berth.host, &format!("{step}.0.0"), &adder(step), "").await.unwrap();
        berth.host.drained().await;
    }

    let (components, compiled) = kept(&berth);
    assert_eq!((components.len(), compiled.len()), (3, 3), "the one in use and two before it");
    assert_eq!(story(&berth.host).await.len(), 11, "the one in use and ten to remember");

    berth.host.remove(&id()).await.unwrap();
    berth.host.drained().await;
    assert_eq!(kept(&berth), (vec![], vec![]));
}

/// Compiles when it is let.
struct Slow(Arc<Semaphore>);

#[async_trait]
impl Compiler for Slow {
    async fn compile(&self, engine: &wasmtime::Engine, component: Bytes) -> Result<Vec<u8>, CompileError> {
        self.0.acquire().await.unwrap().forget();
        InProcess.compile(engine, component).await
    }
}

#[tokio::test]
async fn a_plugin_that_hangs_while_it_is_loaded_stops_nobody() {
    let berth = Harness::start().await;
    berth.install("echo").await;
    install(&berth.host, "1.0.0", &adder(1), "").await.unwrap();
    let digest = berth.host.show(&id()).await.unwrap().plugin.digest;
    for name in kept(&berth).1.iter().filter(|name| name.starts_with(&digest)) {
        std::fs::remove_file(berth.folder.path().join("compiled").join(name)).unwrap();
    }
    let compiler = Arc::new(Semaphore::new(0));
    let host = berth.other(Life::default(), Arc::new(Slow(compiler.clone())));

    let boot = host.begin().await.unwrap();

    assert_eq!(host.catalogue().len(), 4, "what is being loaded is on offer");
    let said = berth.call_at(&host, "echo_shout", json!({ "text": "a" })).await.unwrap();
    assert_eq!(said.content, json!({ "text": "A" }));
    let mut waiting = std::pin::pin!(next(&berth, &host));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    assert!(!boot.finished_within(Duration::ZERO).await);
    compiler.add_permits(1);
    assert_eq!(waiting.await, json!(2), "a call waits for its plugin");
}

#[tokio::test]
async fn a_plugin_that_is_removed_while_it_is_loaded_does_not_come_back() {
    let berth = Harness::start().await;
    install(&berth.host, "1.0.0", &runs(r#"(func (export "run"))"#), "").await.unwrap();
    std::fs::remove_dir_all(berth.folder.path().join("compiled")).unwrap();
    let compiler = Arc::new(Semaphore::new(0));
    let host = berth.other(Life::default(), Arc::new(Slow(compiler.clone())));
    let boot = host.begin().await.unwrap();

    let (test, remover) = (id(), host.clone());
    let removing = tokio::spawn(async move { remover.remove(&test).await });
    compiler.add_permits(1);
    removing.await.unwrap().unwrap();
    boot.finished().await;

    assert!(host.catalogue().is_empty());
    assert!(host.list().await.unwrap().is_empty());
}
