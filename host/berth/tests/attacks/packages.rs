//! Files that should not be installed.

use serde_json::json;

use super::arena::{Arena, Ended, LIMITS, Wrong, code, said};

fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A component that is fine.
fn fine() -> Vec<u8> {
    text(
        r#"(component
            (core module $m (func (export "run") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func (export "run") (result u32) (canon lift (core func $i "run"))))"#,
    )
}

fn with_module(module: &str) -> String {
    format!(
        "(component (core module $m {module} (func (export \"run\"))) (core instance $i (instantiate $m)) (func (export \"run\") (canon lift (core func $i \"run\"))))"
    )
}

#[test]
fn a_file_that_is_no_affordable_component_is_refused_with_its_reason() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    let mut truncated = fine();
    truncated.truncate(truncated.len() - 9);
    let mut flipped = fine();
    flipped[40] ^= 0x55;
    let mut huge = b"\0asm\x0d\0\x01\0".to_vec();
    huge.resize(33 << 20, 0);
    let mut compiled = b"\x7fELF\x02\x01\x01".to_vec();
    compiled.resize(4096, 0);
    let nested = format!("{}{}", "(component ".repeat(40), ")".repeat(40));
    let very_nested = [&b"\0asm\x0d\0\x01\0\x04"[..], &[0xff; 5]].concat();
    // Each level makes two of the one below.
    let mut bomb = "(component $c0)".to_owned();
    for level in 1..15 {
        let below = level - 1;
        bomb = format!(
            "(component $c{level} {bomb} (instance (instantiate $c{below})) (instance (instantiate $c{below})))"
        );
    }
    let bomb = format!("(component {bomb} (instance (instantiate $c14)) (instance (instantiate $c14)))");
    let deep_types = (0..60).fold("(type $t0 u32)".to_owned(), |types, level| {
        format!("{types} (type $t{} (tuple $t{level} $t{level}))", level + 1)
    });
    let deep_types = format!(
        r#"(component {deep_types}
            (core module $m (memory (export "m") 1) (func (export "run") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func (export "run") (result $t60) (canon lift (core func $i "run") (memory (core memory $i "m")))))"#
    );
    for (id, file, refused) in [
        ("empty", Vec::new(), "COMPONENT_EMPTY"),
        ("text", b"(component)".to_vec(), "COMPONENT_TEXT"),
        ("script", b"#!/bin/sh\nid\n".to_vec(), "COMPONENT_NOT_WASM"),
        ("zip", b"PK\x03\x04rest".to_vec(), "COMPONENT_NOT_WASM"),
        ("zeros", vec![0; 4096], "COMPONENT_NOT_WASM"),
        ("elf", compiled, "COMPONENT_PRECOMPILED"),
        ("module", text("(module (func (export \"run\")))"), "COMPONENT_CORE_MODULE"),
        ("magic", b"\0asm".to_vec(), "COMPONENT_TRUNCATED"),
        ("truncated", truncated, "COMPONENT_TRUNCATED"),
        ("flipped", flipped, "COMPONENT_INVALID"),
        ("lies", very_nested, "COMPONENT_INVALID"),
        ("huge", huge, "COMPONENT_TOO_LARGE"),
        ("nested", text(&nested), "COMPONENT_TOO_DEEP"),
        ("bomb", text(&bomb), "COMPONENT_TOO_COMPLEX"),
        ("toolless", text("(component)"), "PLUGIN_NO_TOOLS"),
        ("types", text(&deep_types), "COMPONENT_INVALID"),
        ("memory64", text(&with_module("(memory i64 1)")), "COMPONENT_FEATURE_REFUSED"),
        ("memories", text(&with_module("(memory 1) (memory 1)")), "COMPONENT_FEATURE_REFUSED"),
        ("shared", text(&with_module("(memory 1 1 shared)")), "COMPONENT_FEATURE_REFUSED"),
        ("tail", text(&with_module("(func $f (return_call $f))")), "COMPONENT_FEATURE_REFUSED"),
        ("throws", text(&with_module("(tag $e) (func (throw $e))")), "COMPONENT_FEATURE_REFUSED"),
        (
            "gc",
            text(&with_module("(type $s (struct)) (func (drop (struct.new $s)))")),
            "COMPONENT_FEATURE_REFUSED",
        ),
        (
            "relaxed",
            text(&with_module("(func (param v128) (drop (i32x4.relaxed_trunc_f32x4_s (local.get 0))))")),
            "COMPONENT_FEATURE_REFUSED",
        ),
    ] {
        wrong.check(id, &arena.install(id, &file, ""), &code(refused));
    }
    assert_eq!(arena.install("fine", &fine(), ""), said(json!("installed")));
    assert_eq!(arena.call("fine_run", json!({})), said(json!(7)));
    wrong.assert_none();
}

#[test]
fn an_import_that_nobody_serves_or_granted_is_refused() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    let importing = |import: &str| {
        text(&format!(
            r#"(component
                (import "{import}" (instance (export "act" (func))))
                (core module $m (func (export "run")))
                (core instance $i (instantiate $m))
                (func (export "run") (canon lift (core func $i "run"))))"#
        ))
    };
    for (id, import, refused) in [
        ("unknown", "acme:devices/doors@1.0.0", "IMPORT_UNKNOWN"),
        ("alike", "wasi:filesystems/types@0.2.0", "IMPORT_UNKNOWN"),
        ("later", "wasi:io/poll@0.9.0", "IMPORT_UNKNOWN"),
        ("draft", "wasi:io/poll@0.2.0-rc-2023-11-10", "IMPORT_UNKNOWN"),
        ("ours", "berth:plugin/everything@0.1.0", "IMPORT_UNKNOWN"),
        ("threads", "wasi:threads/spawn@0.1.0", "IMPORT_UNKNOWN"),
        ("endpoints", "berth:plugin/endpoints@0.1.0", "CAPABILITY_NOT_REQUESTED"),
    ] {
        wrong.check(import, &arena.install(id, &importing(import), ""), &code(refused));
    }
    let bare = text(
        r#"(component (import "system" (func)) (core module $m (func (export "run")))
            (core instance $i (instantiate $m)) (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    assert_eq!(arena.install("bare", &bare, ""), code("IMPORT_UNKNOWN"));
    wrong.assert_none();
}

#[test]
fn a_manifest_that_attacks_its_reader_is_refused_where_it_does() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    let base = "[plugin]\nid = \"odd\"\nversion = \"0.1.0\"\n";
    let nested = format!("{base}[tool.x]\nexamples = {}1{}\n", "[".repeat(2000), "]".repeat(2000));
    let tables = format!("{base}{}", (0..5000).fold(String::new(), |all, n| format!("{all}[tool.t{n}]\n")));
    for (manifest, refused) in [
        (b"".to_vec(), "MANIFEST_INVALID"),
        (b"\xff\xfe[plugin]".to_vec(), "PLUGIN_PACKAGE_UNREADABLE"),
        (b"[plugin]\nid = \"a\0b\"\nversion = \"0.1.0\"\n".to_vec(), "MANIFEST_INVALID"),
        (base.replace("odd", "../../etc").into_bytes(), "MANIFEST_INVALID"),
        (base.replace("odd", "-rf").into_bytes(), "MANIFEST_INVALID"),
        (base.replace("odd", &"o".repeat(4000)).into_bytes(), "MANIFEST_INVALID"),
        (base.replace("0.1.0", "99999999999999999999.0.0").into_bytes(), "MANIFEST_INVALID"),
        (format!("{base}[component]\nfile = \"../../secret.wasm\"\n").into_bytes(), "MANIFEST_INVALID"),
        (format!("{base}[component]\nfile = \"/etc/passwd.wasm\"\n").into_bytes(), "MANIFEST_INVALID"),
        (
            format!("{base}[component]\nsha256 = \"{}\"\n", "0".repeat(64)).into_bytes(),
            "PLUGIN_PACKAGE_DIGEST",
        ),
        (format!("{base}surprise = true\n").into_bytes(), "MANIFEST_UNKNOWN_KEY"),
        (format!("{base}[limits]\nmemory_bytes = -1\n").into_bytes(), "MANIFEST_INVALID"),
        (format!("{base}[limits]\ncpu_ms = 0\n").into_bytes(), "MANIFEST_INVALID"),
        (format!("{base}[[capability]]\nname = \"root\"\n").into_bytes(), "MANIFEST_UNKNOWN_CAPABILITY"),
        (
            format!("{base}[[capability]]\nname = \"files\"\nscope = {{ guest = \"/a/../..\" }}\n")
                .into_bytes(),
            "MANIFEST_SCOPE",
        ),
        (
            format!("{base}[[capability]]\nname = \"files\"\nscope = {{ guest = \"/\", host = \"/\" }}\n")
                .into_bytes(),
            "MANIFEST_SCOPE",
        ),
        (nested.into_bytes(), "MANIFEST_INVALID"),
        (tables.into_bytes(), "TOOL_HINT_UNKNOWN"),
        (format!("{base}# {}\n", "x".repeat(300_000)).into_bytes(), "PLUGIN_PACKAGE_UNREADABLE"),
    ] {
        let start = String::from_utf8_lossy(&manifest).chars().take(120).collect::<String>();
        wrong.check(&start, &arena.install_package("odd", &fine(), &manifest), &code(refused));
    }
    assert_eq!(arena.install("odd", &fine(), LIMITS), said(json!("installed")));
    wrong.assert_none();
}

#[test]
fn a_package_that_is_no_package_is_not_read() {
    let arena = Arena::start();
    let folder = arena.folder("trap");
    let install = |path: &std::path::Path| {
        let (status, body) =
            arena.request("POST", "/operator/plugins/install", Some(&json!({ "path": path })));
        assert_ne!(status, 200);
        body["error"]["code"].as_str().unwrap().to_owned()
    };
    std::os::unix::fs::symlink("/dev/zero", folder.join("zero.wasm")).unwrap();
    std::fs::create_dir(folder.join("folder.wasm")).unwrap();
    let pipe = folder.join("pipe.wasm");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());

    for path in [folder.join("zero.wasm"), folder.join("folder.wasm"), pipe, folder.join("gone.wasm")] {
        assert_eq!(install(&path), "PLUGIN_PACKAGE_UNREADABLE", "{}", path.display());
        arena.neighbour_answers();
    }
    assert_eq!(install(std::path::Path::new("relative.wasm")), "invalid_request");
}

#[test]
fn a_bad_upgrade_leaves_the_good_version_at_work() {
    let arena = Arena::start();
    assert_eq!(arena.install("fine", &fine(), ""), said(json!("installed")));

    for (component, refused) in [
        (text("(component)"), "PLUGIN_NO_TOOLS"),
        (fine()[..30].to_vec(), "COMPONENT_TRUNCATED"),
        (b"(component)".to_vec(), "COMPONENT_TEXT"),
    ] {
        assert_eq!(arena.install("fine", &component, ""), Ended::Code(refused.to_owned()));
        assert_eq!(arena.call("fine_run", json!({})), said(json!(7)));
    }
}
