//! `docs/plugin-reference.md` is what the code says: interfaces, keys of the manifest, capabilities, limits, codes.
//!
//! `cargo xtask reference` writes it.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use berth_model::plugin::GrantMode;
use berth_wasm::capability::{Capability, ImportKind, classify, limit, scopes};
use berth_wasm::limits::{self, KEYS, Limits};
use serde_json::json;
use support::host::{Harness, new_grant};
use wit_parser::{Docs, Function, Handle, Interface, Resolve, Type, TypeDefKind, TypeId};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_reference_of_plugins_is_what_the_code_says() {
    let path = root().join("docs/plugin-reference.md");
    let made = page();
    if std::env::var_os("BERTH_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }

    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let line = kept.lines().zip(made.lines()).position(|(kept, made)| kept != made);
    assert!(
        kept == made,
        "docs/plugin-reference.md is stale from line {line:?}: run `cargo xtask reference`"
    );
}

#[tokio::test]
async fn the_scopes_of_the_reference_are_those_that_a_grant_takes() {
    let berth = Harness::start().await;
    for capability in Capability::ALL {
        let name = capability.as_str();
        let unknown = new_grant("any", name, json!({ "no_such_key": ["x"] }), GrantMode::Allow);
        let keys = scopes::keys(capability);
        let Err(refused) = berth.host.grant(unknown).await else {
            assert!(keys.is_empty(), "{name} takes what the reference does not have");
            continue;
        };
        for key in keys {
            assert!(refused.to_string().contains(key.name), "{name} {}: {refused}", key.name);
        }
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Reference for authors of plugins\n\nMade from the code by `cargo xtask reference`; do not edit it by hand. \
         The [guide](plugin-guide.md) explains, this page lists: \
         the [interfaces](#interfaces-of-berthplugin010) of the host, the [keys](#keys-of-plugintoml) of a manifest, the \
         [capabilities](#capabilities) with their scopes, the [limits](#limits-of-a-call), the [codes](#codes-of-errors).\n\n",
    );
    interfaces(&mut page);
    manifest(&mut page);
    capabilities(&mut page);
    bounds(&mut page);
    codes(&mut page);
    page
}

fn interfaces(page: &mut String) {
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit")).unwrap();
    page.push_str("## Interfaces of `berth:plugin@0.1.0`\n\n");
    page.push_str(
        "Functions wait in the host and not in the plugin; a `result` fails with the one [error](#types).\n",
    );
    for optional in [false, true] {
        for (_, interface) in &resolve.interfaces {
            let Some(name) = &interface.name else { continue };
            let is_ours = interface.package.is_some_and(|id| resolve.packages[id].name.namespace == "berth");
            if is_ours && is_optional(name) == optional {
                one_interface(page, &resolve, name, interface);
            }
        }
    }
}

fn is_optional(name: &str) -> bool {
    ["tool-cancel", "channel-edit", "reconcile", "pulse", "lifecycle", "health"].contains(&name)
}

fn one_interface(page: &mut String, resolve: &Resolve, name: &str, interface: &Interface) {
    let needs = match classify(&format!("berth:plugin/{name}@0.1.0")) {
        ImportKind::Needs(capability) => format!("imported; needs a grant for `{}`", capability.as_str()),
        ImportKind::Base => "imported; needs no grant".to_owned(),
        ImportKind::Wall | ImportKind::Unknown if is_optional(name) => "an optional export".to_owned(),
        ImportKind::Wall | ImportKind::Unknown if interface.functions.is_empty() => "types alone".to_owned(),
        ImportKind::Wall | ImportKind::Unknown => "an export".to_owned(),
    };
    writeln!(page, "\n### {name}\n\n{} *{needs}.*\n", said(&interface.docs)).unwrap();
    if !interface.functions.is_empty() {
        page.push_str("| function | does |\n|---|---|\n");
        for function in interface.functions.values() {
            let (signature, docs) = (signature(resolve, function), said(&function.docs));
            writeln!(page, "| `{signature}` | {docs} |").unwrap();
        }
    }
    for (name, id) in &interface.types {
        one_type(page, resolve, name, *id);
    }
}

fn one_type(page: &mut String, resolve: &Resolve, name: &str, id: TypeId) {
    let known = &resolve.types[id];
    let rows: Vec<(String, String)> = match &known.kind {
        TypeDefKind::Record(record) => {
            let field = |field: &wit_parser::Field| {
                (format!("{}: {}", field.name, type_name(resolve, &field.ty)), said(&field.docs))
            };
            record.fields.iter().map(field).collect()
        }
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| {
                let carries = case.ty.as_ref().map(|ty| format!("({})", type_name(resolve, ty)));
                (format!("{}{}", case.name, carries.unwrap_or_default()), said(&case.docs))
            };
            variant.cases.iter().map(case).collect()
        }
        TypeDefKind::Enum(words) => {
            words.cases.iter().map(|case| (case.name.clone(), said(&case.docs))).collect()
        }
        // Another name of a type, and resources, whose functions stand above.
        _ => return,
    };
    writeln!(page, "\n`{name}`: {}\n\n| | |\n|---|---|", said(&known.docs)).unwrap();
    for (word, docs) in rows {
        writeln!(page, "| `{word}` | {docs} |").unwrap();
    }
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let name = function.name.trim_start_matches("[method]").trim_start_matches("[static]");
    let taken = function.params.iter().filter(|param| param.name != "self");
    let taken: Vec<String> =
        taken.map(|param| format!("{}: {}", param.name, type_name(resolve, &param.ty))).collect();
    let given = function.result.as_ref().map(|ty| format!(" -> {}", type_name(resolve, ty)));
    format!("{name}({}){}", taken.join(", "), given.unwrap_or_default())
}

fn type_name(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return format!("{ty:?}").to_lowercase() };
    let known = &resolve.types[*id];
    if let Some(name) = &known.name {
        return name.clone();
    }
    let inner = |ty: &Type| type_name(resolve, ty);
    let side = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), inner);
    match &known.kind {
        TypeDefKind::List(ty) => format!("list<{}>", inner(ty)),
        TypeDefKind::Option(ty) => format!("option<{}>", inner(ty)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", side(&result.ok), side(&result.err)),
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types.iter().map(inner).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => inner(&Type::Id(*id)),
        TypeDefKind::Type(ty) => inner(ty),
        other => panic!("the reference has no words for {other:?}"),
    }
}

/// A doc comment in one line of a table.
fn said(docs: &Docs) -> String {
    let text = docs.contents.as_deref().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The keys of the manifest: those of the structs that read it, with what the guide says of each.
fn manifest(page: &mut String) {
    let guide = std::fs::read_to_string(root().join("docs/plugin-guide.md")).unwrap();
    let about = |key: &str| {
        let row = format!("| `{key}` | ");
        let line = guide.lines().find_map(|line| line.strip_prefix(&row));
        let line = line.unwrap_or_else(|| panic!("docs/plugin-guide.md has no row for `{key}`"));
        line.trim_end_matches(" |").trim_end_matches('|').trim().replace("](#", "](plugin-guide.md#")
    };
    page.push_str("\n## Keys of `plugin.toml`\n\n| key | is |\n|---|---|\n");
    let source = include_str!("../src/manifest/file.rs");
    for (section, name) in [
        ("plugin", "Plugin"),
        ("component", "Component"),
        ("capability", "CapabilityWish"),
        ("tool", "ToolHints"),
        ("limits", "Limits"),
        ("config", "Config"),
    ] {
        let start = source.find(&format!("pub(super) struct {name} {{")).unwrap();
        let end = source[start..].find("\n}").unwrap() + start;
        for line in source[start..end].lines() {
            let Some(field) = line.trim().strip_prefix("pub ").and_then(|line| line.split_once(':')) else {
                continue;
            };
            let key = format!("{section}.{}", field.0);
            writeln!(page, "| `{key}` | {} |", about(&key)).unwrap();
        }
    }
}

fn capabilities(page: &mut String) {
    page.push_str(
        "\n## Capabilities\n\nThe scope of a wish and of a grant, and the bounds of both (`limit`). A grant has a mode:\n",
    );
    let modes: Vec<String> = GrantMode::ALL.iter().map(|mode| format!("`{mode}`")).collect();
    writeln!(page, "{}.", modes.join(", ")).unwrap();
    for capability in Capability::ALL {
        writeln!(page, "\n### {}\n", capability.as_str()).unwrap();
        let keys = scopes::keys(capability);
        if keys.is_empty() {
            page.push_str("No scope.\n");
        } else {
            page.push_str("| scope | is |\n|---|---|\n");
        }
        for key in keys {
            let alone = if key.is_of_grants { " (in grants alone)" } else { "" };
            writeln!(page, "| `{}` | {}{alone} |", key.name, key.about).unwrap();
        }
        let bounds: Vec<String> = limit::names(capability).iter().map(|name| format!("`{name}`")).collect();
        if !bounds.is_empty() {
            writeln!(page, "\nBounds: {}.", bounds.join(", ")).unwrap();
        }
    }
}

fn bounds(page: &mut String) {
    page.push_str(
        "\n## Limits of a call\n\nWhat a plugin gets without a wish, and the most that it may wish for where the operator \
         sets nothing else.\n\n| `[limits]` | is | default | ceiling |\n|---|---|---|---|\n",
    );
    let (defaults, ceilings) = (Limits::default(), Limits::ceilings());
    for key in KEYS {
        let (default, ceiling) = ((key.value)(&defaults), (key.value)(&ceilings));
        writeln!(page, "| `{}` | {} | {default} | {ceiling} |", key.name, key.about).unwrap();
    }
    page.push_str("\n| of every plugin | most |\n|---|---|\n");
    for (what, most) in [
        ("bytes of a component", limits::COMPONENT_BYTES),
        ("bytes of the texts in the arguments of a call", limits::INPUT_BYTES),
        ("values in the arguments or the answer of a call", limits::VALUES),
        ("bytes of the stack of a guest", limits::STACK_BYTES),
        ("tables of a component", limits::TABLES),
        ("memories of a component", limits::MEMORIES),
        ("calls of all plugins beside each other", limits::CALLS_PER_HOST),
    ] {
        writeln!(page, "| {what} | {most} |").unwrap();
    }
}

fn codes(page: &mut String) {
    page.push_str(
        "\n## Codes of errors\n\nOf plugins, of their capabilities and of what they come in; all are in \
         [errors.md](errors.md).\n\n| code | again | means |\n|---|---|---|\n",
    );
    for table in ["plugin", "broker", "secret", "process", "package"] {
        let path = root().join(format!("docs/errors/{table}.tsv"));
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let mut cells = line.split('\t');
            let (Some(code), Some(_), Some(again), Some(means)) =
                (cells.next(), cells.next(), cells.next(), cells.next())
            else {
                panic!("{table}.tsv has a line with too few cells: {line}");
            };
            writeln!(page, "| `{code}` | {again} | {} |", means.replace('|', "\\|")).unwrap();
        }
    }
}
