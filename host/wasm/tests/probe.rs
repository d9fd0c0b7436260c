//! The self-test blocks everything, and without a wall it says so.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use berth_wasm::probe::{COMPONENT, Outcome, Probe};
use support::config;

/// The component of the two texts in `probe/`.
fn made() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("probe");
    let mut resolve = wit_parser::Resolve::default();
    let wit = std::fs::read_to_string(folder.join("probe.wit")).unwrap();
    let package = resolve.push_str("probe.wit", &wit).unwrap();
    let world = resolve.select_world(&[package], Some("probe")).unwrap();
    let mut module = wat::parse_file(folder.join("probe.wat")).unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    wit_component::ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

#[test]
fn the_component_of_the_self_test_is_what_its_texts_say() {
    let made = made();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("probe/probe.wasm");
    if std::env::var_os("BERTH_WRITE_PROBE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }

    assert!(
        std::fs::read(&path).is_ok_and(|kept| kept == made),
        "run it with BERTH_WRITE_PROBE=1 and build again"
    );
    assert!(COMPONENT == made || std::env::var_os("BERTH_WRITE_PROBE").is_some());
}

#[tokio::test]
async fn everything_that_the_self_test_tries_is_blocked() {
    let rows = Probe::new(config()).run().await.unwrap();

    let allowed: Vec<_> = rows.iter().filter(|row| row.outcome != Outcome::Blocked).collect();
    assert!(allowed.is_empty(), "{allowed:#?}");
    let names: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
    assert_eq!(names.len(), rows.len(), "each try has a name of its own");
    assert!(rows.len() >= 53, "{rows:#?}");
}

#[tokio::test]
async fn a_wall_that_is_switched_off_is_told_as_allowed() {
    for (wall, tries) in [
        ("cpu", vec!["spin", "spin-in-bulk-memory", "spin-in-host-calls"]),
        ("wall", vec!["sleep-in-host-call"]),
        ("memory", vec!["memory"]),
        ("table", vec!["tables"]),
        ("stack", vec!["recursion"]),
        ("handles", vec!["handles"]),
        ("logs", vec!["log-flood"]),
        ("line", vec!["long-log-line"]),
        ("output", vec!["answer-2-mib"]),
        ("data", vec!["answer-1-gib", "host-call-data"]),
        ("random", vec!["random-flood"]),
        ("written", vec!["write-quota"]),
        ("created", vec!["create-quota"]),
        ("calls", vec!["concurrent-calls"]),
        ("instances", vec!["core-instances"]),
        ("read-only", vec!["write-read-only", "make-in-read-only"]),
        (
            "addresses",
            vec![
                "http-loopback",
                "http-loopback-literal",
                "http-loopback-decimal",
                "http-private",
                "http-link-local",
                "http-metadata",
                "http-shared-address",
                "http-loopback-ipv6",
                "http-local-ipv6",
                "http-mapped-ipv4",
                "http-redirect-to-loopback",
            ],
        ),
        (
            "hosts",
            vec![
                "http-host-without-grant",
                "http-scheme-without-grant",
                "http-port-without-grant",
                "http-redirect-elsewhere",
            ],
        ),
    ] {
        let probe = Probe::new(config()).without(wall);
        let rows = probe.run_some(|name| tries.contains(&name), 32).await.unwrap();

        let told: BTreeMap<_, _> = rows.iter().map(|row| (row.name.as_str(), row.outcome)).collect();
        let wanted = tries.iter().map(|name| (*name, Outcome::Allowed)).collect();
        assert_eq!(told, wanted, "without {wall}: {rows:#?}");
    }
}
