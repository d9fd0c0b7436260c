#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use berth_core::port::clock::Clock;
use berth_model::Timestamp;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynInputStream;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode as FileError, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::io::streams::StreamError;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::TcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::UdpSocket;

use super::network::GRANTED;
use super::*;
use crate::wit::v0_1::WitError;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }
}

fn probe() -> Probe {
    let slots = 16;
    Probe::new(EngineConfig { slots, ..EngineConfig::new(Arc::new(Still)) })
}

/// The rows of these names on a host that lacks a wall.
async fn without(wall: Instead, names: &[&str]) -> BTreeMap<String, Outcome> {
    let probe = Probe { instead: wall, ..probe() };
    let rows = probe.run_some(|name| names.contains(&name), 1).await.unwrap();
    rows.into_iter().map(|row| (row.name, row.outcome)).collect()
}

/// A resource that nobody looks at.
fn some<T: 'static>() -> Resource<T> {
    Resource::new_own(7)
}

fn in_place_of(
    linker: &mut Linker<PluginState>,
    replace: impl FnOnce(&mut Linker<PluginState>) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    replace(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn machine(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    in_place_of(linker, |linker| {
        let mut environment = linker.instance("wasi:cli/environment@0.2.12")?;
        environment
            .func_wrap("get-environment", |_, (): ()| Ok((vec![("HOME".to_owned(), "/root".to_owned())],)))?;
        environment.func_wrap("get-arguments", |_, (): ()| Ok((vec!["berth".to_owned()],)))?;
        linker.instance("wasi:cli/exit@0.2.12")?.func_wrap("exit", |_, (_,): (Result<(), ()>,)| Ok(()))?;
        linker
            .instance("wasi:io/streams@0.2.12")?
            .func_wrap("[method]input-stream.blocking-read", |_, (_, _): (Resource<DynInputStream>, u64)| {
                Ok((Ok::<_, StreamError>(vec![1_u8]),))
            })
    })
}

fn sockets(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    in_place_of(linker, |linker| {
        linker
            .instance("wasi:sockets/tcp-create-socket@0.2.12")?
            .func_wrap("create-tcp-socket", |_, (_,): (IpAddressFamily,)| {
                Ok((Ok::<_, ErrorCode>(some::<TcpSocket>()),))
            })?;
        linker
            .instance("wasi:sockets/udp-create-socket@0.2.12")?
            .func_wrap("create-udp-socket", |_, (_,): (IpAddressFamily,)| {
                Ok((Ok::<_, ErrorCode>(some::<UdpSocket>()),))
            })?;
        linker.instance("wasi:sockets/ip-name-lookup@0.2.12")?.func_wrap(
            "resolve-addresses",
            |_, (_, _): (Resource<Network>, String)| {
                Ok((Ok::<_, ErrorCode>(some::<ResolveAddressStream>()),))
            },
        )
    })
}

fn paths(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    type Folder = Resource<Descriptor>;
    in_place_of(linker, |linker| {
        let mut files = linker.instance("wasi:filesystem/types@0.2.12")?;
        files.func_wrap(
            "[method]descriptor.open-at",
            |_, (_, _, _, _, _): (Folder, PathFlags, String, OpenFlags, DescriptorFlags)| {
                Ok((Ok::<_, FileError>(some::<Descriptor>()),))
            },
        )?;
        files.func_wrap(
            "[method]descriptor.rename-at",
            |_, (_, _, _, _): (Folder, String, Folder, String)| Ok((Ok::<(), FileError>(()),)),
        )?;
        files.func_wrap(
            "[method]descriptor.link-at",
            |_, (_, _, _, _, _): (Folder, PathFlags, String, Folder, String)| Ok((Ok::<(), FileError>(()),)),
        )?;
        files.func_wrap("[method]descriptor.symlink-at", |_, (_, _, _): (Folder, String, String)| {
            Ok((Ok::<(), FileError>(()),))
        })
    })
}

fn grants(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    in_place_of(linker, |linker| {
        linker
            .instance("berth:plugin/endpoints@0.1.0")?
            .func_wrap("call", |_, (_, _, _): (String, String, String)| {
                Ok((Ok::<_, WitError>("{}".to_owned()),))
            })
    })
}

#[tokio::test]
async fn a_function_of_the_host_that_says_yes_is_told_as_allowed() {
    for (wall, names) in [
        (machine as Instead, &["environment", "arguments", "standard-input", "exit"][..]),
        (sockets, &["socket-tcp", "socket-udp", "name-lookup"]),
        (
            paths,
            &[
                "outside-preopen",
                "absolute-path",
                "symlink-escape",
                "planted-symlink",
                "rename-out",
                "hard-link-out",
            ],
        ),
        (grants, &["endpoint-without-grant"]),
    ] {
        let told = without(wall, names).await;

        let wanted = names.iter().map(|name| ((*name).to_owned(), Outcome::Allowed)).collect();
        assert_eq!(told, wanted);
    }
}

#[tokio::test]
async fn each_try_is_switched_off_by_one_of_these_tests_or_cannot_be() {
    let rows = probe().run_some(|_| true, 1).await.unwrap();
    let switched = include_str!("../../tests/probe.rs").to_owned() + include_str!("tests.rs");

    // A trap and files that are none are no matter of a wall, and a guest that ignores a cancel is ended by the clock.
    let fixed = [
        "trap",
        "ignored-cancel",
        "unlinked-import",
        "unrequested-import",
        "machine-code",
        "truncated-component",
    ];
    for row in rows {
        let is_named = switched.contains(&format!("\"{}\"", row.name));
        assert!(is_named || fixed.contains(&row.name.as_str()), "{}", row.name);
    }
}

#[tokio::test]
async fn the_requests_of_the_guest_reach_what_is_granted_and_nobody_else() {
    let probe = probe();
    let engine = PluginEngine::new(probe.engine.clone()).unwrap();
    let (recorder, outlet) = Recorder::outlet();
    let stage = Stage {
        plugin: probe.load(&engine, 64).await.unwrap(),
        crowded: probe.load(&engine, 1).await.unwrap(),
        folders: Folders::make().unwrap(),
        limits: probe.limits.clone(),
        keeps_read_only: true,
        gaps: Gaps::default(),
        recorder,
        services: Services::none().with_http(outlet),
    };

    let granted = stage.request(&GRANTED).await;
    let mut rows = Vec::new();
    for request in &REQUESTS {
        rows.push(stage.request(request).await);
    }

    assert_eq!((granted.outcome, granted.by.as_str()), (Outcome::Allowed, "it was answered"));
    let by = |name: &str| rows.iter().find(|row| row.name == name).unwrap().by.clone();
    assert!(rows.iter().all(|row| row.outcome == Outcome::Blocked), "{rows:#?}");
    assert_eq!(by("http-loopback"), "HTTP_ADDRESS_CLOSED");
    assert_eq!(by("http-metadata"), "HTTP_ADDRESS_CLOSED");
    assert_eq!(by("http-host-without-grant"), "HTTP_DENIED");
}
