//! The rules that every WIT package of this tree keeps: what a plugin's author reads, and what can never change.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use wit_component::StringEncoding;
use wit_parser::{
    Docs, Function, ManglingAndAbi, Resolve, Type, TypeDefKind, TypeId, TypeOwner, UnresolvedPackageGroup,
    World, WorldItem,
};

/// A package of ours, parsed.
fn parsed(text: &str) -> Resolve {
    let mut resolve = Resolve::default();
    let group = UnresolvedPackageGroup::parse("test.wit", text).unwrap();
    resolve.push_group(group).unwrap();
    resolve
}

fn folder(path: &Path) -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_dir(path).unwrap();
    resolve
}

/// `wit/` and the folder of each plugin that has an interface of its own.
fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let plugins = std::fs::read_dir(root.join("plugins")).unwrap();
    let mut folders: Vec<_> = plugins.map(|entry| entry.unwrap().path().join("wit")).collect();
    folders.retain(|folder| folder.is_dir());
    folders.push(root.join("wit"));
    folders.sort();
    folders
}

fn is_said(docs: &Docs) -> bool {
    docs.contents.as_ref().is_some_and(|text| !text.trim().is_empty())
}

/// Whether a type is one of strings alone, where a caller could not tell failures apart.
fn is_text(resolve: &Resolve, error: &Type) -> bool {
    match error {
        Type::String => true,
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Type(inner) => is_text(resolve, inner),
            _ => false,
        },
        _ => false,
    }
}

/// The error of a function that can fail; `Some(None)` when it says nothing about the failure.
fn error_of<'a>(resolve: &'a Resolve, function: &Function) -> Option<Option<&'a Type>> {
    let Some(Type::Id(id)) = function.result else { return None };
    match &resolve.types[id].kind {
        TypeDefKind::Result(result) => Some(result.err.as_ref()),
        _ => None,
    }
}

/// What the error record of a plugin's own interface has at least.
const PLUGIN_ERROR: &[&str] = &["code", "message"];
/// The one error record of the host's interfaces.
const HOST_ERROR: &[&str] = &["code", "message", "retryable", "retry-after-ms", "details"];

/// Whether a type, or the one that it is another name of, is the error record.
fn is_error_record(resolve: &Resolve, mut id: TypeId, wanted: &[&str]) -> bool {
    loop {
        let known = &resolve.types[id];
        match &known.kind {
            TypeDefKind::Type(Type::Id(inner)) => id = *inner,
            TypeDefKind::Record(record) => {
                let fields: Vec<_> = record.fields.iter().map(|field| field.name.as_str()).collect();
                return known.name.as_deref() == Some("error")
                    && wanted.iter().all(|name| fields.contains(name));
            }
            _ => return false,
        }
    }
}

/// Every place of our own packages where a rule is broken, in words.
fn broken(resolve: &Resolve, error: &[&str]) -> Vec<String> {
    let ours = |owner: TypeOwner| match owner {
        TypeOwner::Interface(id) => resolve.interfaces[id].name.as_deref(),
        _ => None,
    };
    let mut broken = Vec::new();
    for (_, interface) in &resolve.interfaces {
        let name = interface.name.as_deref().unwrap_or_default();
        if !is_said(&interface.docs) {
            broken.push(format!("{name} says nothing"));
        }
        for (function, shape) in &interface.functions {
            if !is_said(&shape.docs) {
                broken.push(format!("{name}.{function} says nothing"));
            }
            match error_of(resolve, shape) {
                Some(Some(Type::Id(id))) if is_error_record(resolve, *id, error) => {}
                Some(Some(text)) if is_text(resolve, text) => {
                    broken.push(format!("{name}.{function} fails with a text"));
                }
                Some(_) => broken.push(format!("{name}.{function} fails without the error record")),
                None => {}
            }
        }
    }
    for (_, known) in &resolve.types {
        let (Some(place), Some(name)) = (ours(known.owner), known.name.as_deref()) else { continue };
        match &known.kind {
            TypeDefKind::Flags(_) => broken.push(format!("{place}.{name} has flags")),
            TypeDefKind::Record(record) => {
                if !is_said(&known.docs) {
                    broken.push(format!("{place}.{name} says nothing"));
                }
                let silent = record.fields.iter().filter(|field| !is_said(&field.docs));
                broken.extend(silent.map(|field| format!("{place}.{name}.{} says nothing", field.name)));
            }
            TypeDefKind::Variant(_) | TypeDefKind::Enum(_) if !is_said(&known.docs) => {
                broken.push(format!("{place}.{name} says nothing"));
            }
            _ => {}
        }
    }
    broken.sort();
    broken
}

#[test]
fn every_item_is_explained_and_every_failure_is_the_error_record() {
    let folders = folders();
    assert!(folders.len() >= 4, "{folders:?}");
    for path in folders {
        let error = if path.ends_with("../../wit") { HOST_ERROR } else { PLUGIN_ERROR };

        let broken = broken(&folder(&path), error);

        assert!(broken.is_empty(), "{}: {broken:#?}", path.display());
    }
}

#[test]
fn types_of_the_host_cannot_need_a_case_that_they_lack() {
    let resolve = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit"));
    for (_, known) in &resolve.types {
        match &known.kind {
            TypeDefKind::Enum(_) => panic!("{:?} is an enum, which can never grow", known.name),
            TypeDefKind::Variant(variant) => {
                let last = variant.cases.last().unwrap();
                assert_eq!(last.name, "other", "{:?} can never grow", known.name);
            }
            _ => {}
        }
    }
}

#[test]
fn an_interface_stands_in_a_file_of_its_own_and_worlds_only_list_interfaces() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    for entry in std::fs::read_dir(&wit).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let found: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("interface ")?.split(' ').next()).collect();
        let name = path.file_stem().unwrap().to_str().unwrap();
        match name {
            "world" => assert_eq!(found, [""; 0]),
            // The exports that a plugin may have or not, a few lines each.
            "optional" => assert!(found.len() > 1),
            // The words of a delivery are those of the channel and of its edits.
            _ => assert!(found.contains(&name) && found.len() <= 2, "{name}: {found:?}"),
        }
        assert!(text.contains("package berth:plugin@0.1.0;"), "{name}");
    }
    let resolve = folder(&wit);
    for (_, world) in &resolve.worlds {
        for item in world.imports.values().chain(world.exports.values()) {
            assert!(matches!(item, WorldItem::Interface { .. }), "{} has more than interfaces", world.name);
        }
    }
}

#[test]
fn what_is_asked_and_answered_has_room_for_further_facts() {
    let resolve = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit"));
    let fields = |name: &str| -> Vec<String> {
        let found = resolve.types.iter().find(|(_, known)| known.name.as_deref() == Some(name));
        let TypeDefKind::Record(record) = &found.unwrap().1.kind else { panic!("`{name}` is no record") };
        record.fields.iter().map(|field| field.name.clone()).collect()
    };
    for record in [
        "call-context",
        "request",
        "output",
        "delivery",
        "new-message",
        "limits",
        "recipe",
        "exchanged",
        "connect-request",
        "event",
    ] {
        assert!(fields(record).contains(&"meta".to_owned()), "{record}: {:?}", fields(record));
    }
}

/// A component that imports all that a world imports, and calls none of it.
fn importing(resolve: &Resolve, world: &str) -> Vec<u8> {
    let package = resolve.packages.iter().find(|(_, one)| one.name.to_string() == "berth:plugin@0.1.0");
    let world = resolve.select_world(&[package.unwrap().0], Some(world)).unwrap();
    let mut module = wit_component::dummy_module(resolve, world, ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

fn wish(name: &str, scope: &str) -> String {
    format!("[[capability]]\nname = \"{name}\"\n{scope}\n")
}

#[tokio::test]
async fn each_import_of_each_world_is_served() {
    let resolve = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit"));
    let wishes: String = ["endpoint", "secret", "process", "channel", "websocket", "approval"]
        .map(|name| match name {
            "secret" => wish(name, "scope = { id = \"a\" }"),
            "process" => wish(name, "scope = { programs = [\"uname\"] }"),
            "websocket" => wish(name, "scope = { hosts = [\"wss://a.example\"] }"),
            name => wish(name, ""),
        })
        .concat();
    let mut served = 0;
    // What has exports that are called: the optional ones alone make no plugin.
    let whole = |world: &World| ["dynamic-tool", "channel-plugin"].contains(&world.name.as_str());
    for (_, world) in resolve.worlds.iter().filter(|(_, world)| whole(world)) {
        let bytes = importing(&resolve, &world.name);
        let kind = if world.name.starts_with("channel") { "kind = \"channel\"\n" } else { "" };
        let text = format!("[plugin]\nid = \"test\"\nversion = \"0.1.0\"\n{kind}{wishes}");
        let manifest = berth_wasm::Manifest::parse(&text).unwrap();
        let inspection =
            berth_wasm::inspect::inspect(&bytes, &manifest, &berth_wasm::Docs::default()).unwrap();
        served += inspection.imports.len();

        let spec = berth_wasm::PluginSpec {
            digest: inspection.digest,
            component: berth_wasm::ComponentSource::Bytes(bytes.into()),
            manifest: std::sync::Arc::new(manifest),
            tools: Vec::new(),
        };
        let loaded = support::engine().load(spec).await;

        assert!(loaded.is_ok(), "{}: {:?}", world.name, loaded.err());
    }
    assert!(served >= 14, "{served}");
}

#[test]
fn each_broken_rule_is_found() {
    let text = "
        package test:rules;
        interface silent {
            record pair { left: u8 }
            flags marks { a }
            record error { text: string }
            bare: func() -> result;
            text: func() -> result<u8, string>;
            other: func() -> result<_, error>;
        }
    ";

    assert_eq!(
        broken(&parsed(text), HOST_ERROR),
        [
            "silent says nothing",
            "silent.bare fails without the error record",
            "silent.bare says nothing",
            "silent.error says nothing",
            "silent.error.text says nothing",
            "silent.marks has flags",
            "silent.other fails without the error record",
            "silent.other says nothing",
            "silent.pair says nothing",
            "silent.pair.left says nothing",
            "silent.text fails with a text",
            "silent.text says nothing",
        ]
    );
}
