use super::*;

fn manifest(more: &str) -> Manifest {
    Manifest::parse(&format!("[plugin]\nid = \"test\"\nversion = \"0.1.0\"\n{more}")).unwrap()
}

fn inspect_text(text: &str, more: &str) -> Result<Inspection, InstallError> {
    inspect(&wat::parse_str(text).unwrap(), &manifest(more), &Docs::default())
}

const RUN: &str = r#"(core module $m (func (export "run")))
    (core instance $i (instantiate $m))
    (func (export "run") (canon lift (core func $i "run")))"#;

fn component(more: &str) -> String {
    format!("(component {more} {RUN})")
}

#[test]
fn what_is_no_component_is_refused_with_its_reason() {
    let good = wat::parse_str(component("")).unwrap();
    let engine = wasmtime::Engine::default();
    let compiled = engine.precompile_component(&good).unwrap();
    for (bytes, code) in [
        (Vec::new(), "COMPONENT_EMPTY"),
        (b"(component)".to_vec(), "COMPONENT_TEXT"),
        (b"#!/bin/sh\n".to_vec(), "COMPONENT_NOT_WASM"),
        (wat::parse_str("(module)").unwrap(), "COMPONENT_CORE_MODULE"),
        (compiled, "COMPONENT_PRECOMPILED"),
        (vec![0; limits::MAX_COMPONENT_BYTES + 1], "COMPONENT_TOO_LARGE"),
        (b"\0asm".to_vec(), "COMPONENT_TRUNCATED"),
        (wat::parse_str("(component)").unwrap(), "PLUGIN_NO_TOOLS"),
    ] {
        let error = inspect(&bytes, &manifest(""), &Docs::default()).unwrap_err();

        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn a_component_cut_anywhere_is_refused_and_never_panics() {
    let good = wat::parse_str(component(r#"(import "wasi:cli/exit@0.2.0" (instance))"#)).unwrap();
    let mut whole = Vec::new();

    for length in 0..=good.len() {
        match inspect(&good[..length], &manifest(""), &Docs::default()) {
            Ok(_) => whole.push(length),
            Err(error) => assert!(
                [
                    "COMPONENT_EMPTY",
                    "COMPONENT_NOT_WASM",
                    "COMPONENT_TRUNCATED",
                    "COMPONENT_INVALID",
                    "PLUGIN_NO_TOOLS"
                ]
                .contains(&error.code()),
                "{length}: {error}"
            ),
        }
    }

    // Behind the last real section only names follow.
    assert!(whole.len() <= 2 && whole.last() == Some(&good.len()), "{whole:?}");
}

#[test]
fn features_beyond_the_profile_are_refused_by_inspection_and_engine_alike() {
    struct Still;
    impl berth_core::port::clock::Clock for Still {
        fn now(&self) -> berth_model::Timestamp {
            berth_model::Timestamp::from_micros(0)
        }
    }
    let engine = crate::PluginEngine::new(crate::EngineConfig {
        slots: 4,
        ..crate::EngineConfig::new(std::sync::Arc::new(Still))
    })
    .unwrap();
    for (feature, module) in [
        ("threads", "(memory 1 1 shared)"),
        ("atomics", "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))"),
        ("memory64", "(memory i64 1)"),
        ("multi-memory", "(memory 1) (memory 1)"),
        ("gc", "(type (struct (field i32)))"),
        ("function references", "(type $f (func)) (func (param (ref $f)))"),
        ("exceptions", "(tag)"),
        ("tail calls", "(func $f (return_call $f))"),
        (
            "relaxed simd",
            "(func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))",
        ),
        (
            "wide arithmetic",
            "(func (result i64 i64) (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))",
        ),
        ("custom page sizes", "(memory 1 (pagesize 1))"),
    ] {
        let bytes = wat::parse_str(component(&format!("(core module {module})"))).unwrap();

        let error = inspect(&bytes, &manifest(""), &Docs::default()).unwrap_err();

        assert_eq!(error.code(), "COMPONENT_FEATURE_REFUSED", "{feature}: {error}");
        assert!(
            wasmtime::component::Component::from_binary(&engine.inner.engine, &bytes).is_err(),
            "the engine takes {feature}"
        );
    }
    let maps = wat::parse_str(component(r#"(type (map string u32))"#)).unwrap();
    assert_eq!(
        inspect(&maps, &manifest(""), &Docs::default()).unwrap_err().code(),
        "COMPONENT_FEATURE_REFUSED",
        "map types are none that this version knows"
    );
    let asynchronous = wat::parse_str(component("(core func (canon task.cancel))")).unwrap();
    assert_eq!(
        inspect(&asynchronous, &manifest(""), &Docs::default()).unwrap_err().code(),
        "COMPONENT_FEATURE_REFUSED"
    );
}

#[test]
fn components_that_would_cost_too_much_to_compile_are_refused() {
    let nested = (0..20).fold(String::new(), |inner, _| format!("(component {inner})"));
    assert_eq!(inspect_text(&component(&nested), "").unwrap_err().code(), "COMPONENT_TOO_DEEP");

    let mut doubling = String::from(
        "(component $c0 (core module $m) (core instance (instantiate $m)) (core instance (instantiate $m)))",
    );
    for level in 1..20 {
        let inner = level - 1;
        doubling.push_str(&format!(
            "(component $c{level} (alias outer 1 $c{inner} (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))"
        ));
    }
    assert_eq!(inspect_text(&component(&doubling), "").unwrap_err().code(), "COMPONENT_TOO_COMPLEX");

    let many = "(core module)".repeat(300);
    assert_eq!(inspect_text(&component(&many), "").unwrap_err().code(), "COMPONENT_TOO_COMPLEX");
}

#[test]
fn an_unknown_import_is_named() {
    let error =
        inspect_text(&component(r#"(import "acme:magic/wand@1.0.0" (instance (export "wave" (func))))"#), "")
            .unwrap_err();

    assert_eq!(error, InstallError::ImportUnknown { import: "acme:magic/wand@1.0.0".to_owned() });
    let bare = inspect_text(&component(r#"(import "wave" (func))"#), "").unwrap_err();
    assert_eq!(bare, InstallError::ImportUnknown { import: "wave".to_owned() });
}

#[test]
fn an_import_of_types_only_is_no_unknown_import() {
    let text = component(
        r#"(import "acme:magic/types@1.0.0" (instance (type $t (enum "a")) (export "kind" (type (eq $t)))))"#,
    );

    let report = inspect_text(&text, "").unwrap();

    assert_eq!(report.imports[0].kind, "types");
}

#[test]
fn a_capability_must_be_asked_for_and_a_wish_must_be_used() {
    let endpoints =
        component(r#"(import "berth:plugin/endpoints@0.1.0" (instance (export "nothing" (func))))"#);
    let ask = "[[capability]]\nname = \"endpoint\"\n";

    let error = inspect_text(&endpoints, "").unwrap_err();
    assert_eq!(error.code(), "CAPABILITY_NOT_REQUESTED");
    assert!(error.to_string().contains("name = \"endpoint\""));
    assert_eq!(inspect_text(&endpoints, ask).unwrap().capabilities, ["endpoint"]);
    let warnings = inspect_text(&component(""), ask).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("asks for `endpoint`")), "{warnings:?}");
}

#[test]
fn sockets_install_behind_a_wall_and_the_report_says_so() {
    let import =
        |name: &str| format!(r#"(import "wasi:sockets/{name}@0.2.0" (instance (export "nothing" (func))))"#);

    let report = inspect_text(&component(&format!("{}{}", import("udp"), import("tcp"))), "").unwrap();

    assert!(report.imports.iter().all(|import| import.kind == "wall"));
    let said: Vec<_> = report.warnings.iter().filter(|warning| warning.contains("sockets")).collect();
    assert_eq!(said, ["it imports wasi:sockets (tcp, udp): every call of them is refused"]);
}

#[test]
fn a_function_becomes_a_tool_named_after_plugin_and_function() {
    let report = inspect_text(
        r#"(component
            (core module $m (func (export "run") (param i32)))
            (core instance $i (instantiate $m))
            (func (export "send-card") (param "card-id" u32) (canon lift (core func $i "run"))))"#,
        "[tool.send_card]\nrisk = \"external\"\ntitle = \"Send\"\n",
    )
    .unwrap();

    let tool = &report.tools[0];
    assert_eq!((tool.name.as_str(), tool.key().as_str()), ("test_send_card", "send-card"));
    assert_eq!((tool.risk.as_str(), tool.title.as_str()), ("external_write", "Send"));
    assert_eq!(tool.input_schema["required"], serde_json::json!(["card_id"]));
    assert!(report.warnings.iter().any(|warning| warning.contains("no doc comment")));
}

#[test]
fn what_a_language_runtime_exports_is_no_tool() {
    let text = r#"(component
        (core module $m (func (export "run")))
        (core instance $i (instantiate $m))
        (func $run (canon lift (core func $i "run")))
        (export "cabi-realloc-adapter" (func $run))
        (export "run" (func $run))
        (instance $python (export "init" (func $run)) (export "real" (func $run)))
        (export "exports" (instance $python))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))"#;

    let report = inspect_text(text, "").unwrap();

    let tools: Vec<String> = report.tools.iter().map(ToolDescription::key).collect();
    assert_eq!(tools, ["run", "exports#real"]);
    let skipped: Vec<&str> = report.skipped.iter().map(|skipped| skipped.export.as_str()).collect();
    assert_eq!(skipped, ["cabi-realloc-adapter", "exports#init", "wasi:cli/run@0.2.0"]);
}

#[test]
fn each_hint_of_the_manifest_is_in_the_tool() {
    let plain = &inspect_text(&component(""), "").unwrap().tools[0];
    assert_eq!((plain.risk.as_str(), plain.confirm, plain.idempotent), ("read", false, true));

    let hints = r#"
[tool.run]
name = "go"
title = "Go there"
description = "Goes."
risk = "destructive"
confirm = false
idempotent = true
timeout_ms = 1500
examples = [{ "to" = "Rome" }]
"#;
    let tool = &inspect_text(&component(""), hints).unwrap().tools[0];

    assert_eq!(
        (tool.name.as_str(), tool.title.as_str(), tool.description.as_str()),
        ("go", "Go there", "Goes.")
    );
    assert_eq!((tool.risk.as_str(), tool.confirm, tool.idempotent), ("destructive", false, true));
    assert_eq!(tool.timeout_ms, 1500);
    assert_eq!(tool.input_schema["examples"], serde_json::json!([{ "to": "Rome" }]));
    let asks = &inspect_text(&component(""), "[tool.run]\nrisk = \"destructive\"\n").unwrap().tools[0];
    assert!(
        asks.confirm && !asks.idempotent,
        "what destroys is confirmed and not repeated unless it is said"
    );
}

#[test]
fn a_tool_name_has_up_to_64_letters_digits_and_underscores() {
    let named = |name: &str| {
        let text = format!(
            r#"(component (core module $m (func (export "run"))) (core instance $i (instantiate $m))
                (func (export "{name}") (canon lift (core func $i "run"))))"#
        );
        inspect_text(&text, "").map(|report| report.tools[0].name.clone())
    };
    let fits = "a".repeat(64 - "test_".len());

    assert_eq!(named("send-Card-v2".to_lowercase().as_str()).unwrap(), "test_send_card_v2");
    assert_eq!(named(&fits).unwrap().len(), 64);
    assert_eq!(named(&format!("{fits}a")).unwrap_err().code(), "TOOL_NAME_INVALID");
    for bad in ["Run", "r un", "r-n", "ä", ""] {
        let hint = format!("[tool.run]\nname = \"{bad}\"\n");
        assert!(
            Manifest::parse(&format!("[plugin]\nid = \"test\"\nversion = \"0.1.0\"\n{hint}")).is_err()
                || inspect_text(&component(""), &hint).is_err(),
            "{bad:?}"
        );
    }
}

#[test]
fn comments_of_interface_function_and_field_are_what_a_model_reads() {
    let dir = tempfile::tempdir().unwrap();
    let wit = "package me:test;
/// Cards of the shop.
interface cards {
  /// A card.
  record card { /// What stands on it.
    title: string }
  /// Sends one.
  send: func(card: card);
  burn: func();
}
world w { export cards; }
";
    std::fs::write(dir.path().join("test.wit"), wit).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(dir.path()).unwrap();
    let world = resolve.select_world(&[package], Some("w")).unwrap();
    let mut module = wit_component::dummy_module(&resolve, world, wit_parser::ManglingAndAbi::Standard32);
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    let bytes = wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap();

    let bare = inspect(&bytes, &manifest(""), &Docs::default()).unwrap();
    let report = inspect(&bytes, &manifest(""), &Docs::from_folder(dir.path()).unwrap()).unwrap();

    assert_eq!(bare.tools[0].description, "", "a component keeps none of them");
    let send = &report.tools[0];
    assert_eq!(send.description, "Sends one.\n\nCards of the shop.");
    let title = &send.input_schema["properties"]["card"]["properties"]["title"];
    assert_eq!(title["description"], "What stands on it.");
    assert_eq!(report.tools[1].description, "Cards of the shop.");
    let warned: Vec<&String> = report.warnings.iter().filter(|one| one.contains("no doc comment")).collect();
    assert!(warned.len() == 1 && warned[0].contains("#burn"), "{warned:?}");
}

#[test]
fn names_that_do_not_fit_or_clash_are_refused_with_the_way_out() {
    let one = |name: &str| {
        format!(
            r#"(component (core module $m (func (export "run"))) (core instance $i (instantiate $m))
                (func (export "{name}") (canon lift (core func $i "run"))))"#
        )
    };
    let long = format!("a{}", "-very-long-name".repeat(5));
    assert_eq!(inspect_text(&one(&long), "").unwrap_err().code(), "TOOL_NAME_INVALID");
    let renamed = format!("[tool.{long}]\nname = \"short\"\n");
    assert_eq!(inspect_text(&one(&long), &renamed).unwrap().tools[0].name, "short");

    let two = format!(r#"(component {RUN} (func (export "walk") (canon lift (core func $i "run"))))"#);
    let same = "[tool.walk]\nname = \"test_run\"\n";
    assert_eq!(inspect_text(&two, same).unwrap_err().code(), "TOOL_NAME_CLASH");
    assert_eq!(inspect_text(&two, "[tool.fly]\n").unwrap_err().code(), "TOOL_HINT_UNKNOWN");
}

#[test]
fn functions_with_resources_are_no_tools() {
    let text = format!(
        r#"(component
            (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
            (alias export $poll "pollable" (type $pollable))
            {RUN}
            (core module $n (func (export "take") (param i32)))
            (core instance $j (instantiate $n))
            (func (export "take-thing") (param "thing" (borrow $pollable)) (canon lift (core func $j "take"))))"#
    );

    let report = inspect_text(&text, "").unwrap();

    assert_eq!(report.tools.len(), 1);
    assert_eq!(
        report.skipped,
        [Skipped { export: "take-thing".to_owned(), reason: "it uses a resource".to_owned() }]
    );
}

#[test]
fn docs_of_a_section_whose_world_is_gone_are_shown() {
    let mut bytes = wat::parse_str(component("")).unwrap();
    let json = br#"{"worlds":{"source-world":{"func_exports":{"run":{"docs":"Runs it."}}}}}"#;
    let mut data = vec![1];
    data.extend_from_slice(json);
    let section = wasm_encoder::CustomSection { name: "package-docs".into(), data: data.into() };
    wasm_encoder::ComponentSection::append_to_component(&section, &mut bytes);
    assert!(wit_parser::decoding::decode(&bytes).is_err(), "the plain decoder fails on it");

    let report = inspect(&bytes, &manifest(""), &Docs::default()).unwrap();

    assert_eq!(report.tools[0].description, "Runs it.");
    assert!(report.warnings.is_empty());
}

#[test]
fn docs_come_from_the_wit_folder_beside_a_bare_component() {
    let dir = tempfile::tempdir().unwrap();
    let wit = "package me:test;\nworld w {\n  /// Runs from the folder.\n  export run: func();\n}\n";
    std::fs::write(dir.path().join("test.wit"), wit).unwrap();
    let docs = Docs::from_folder(dir.path()).unwrap();

    let report = inspect(&wat::parse_str(component("")).unwrap(), &manifest(""), &docs).unwrap();

    assert_eq!(report.tools[0].description, "Runs from the folder.");
    assert!(Docs::from_folder(&dir.path().join("none")).is_err());
}

#[test]
fn a_folder_of_documentation_with_no_end_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = || Docs::from_folder(dir.path()).unwrap_err().to_string();
    let wit = dir.path().join("a.wit");

    std::os::unix::fs::symlink("/dev/null", &wit).unwrap();
    assert!(refusal().contains("a.wit cannot be read: it is neither a file nor a folder"), "{}", refusal());

    std::fs::remove_file(&wit).unwrap();
    std::fs::File::create(&wit).unwrap().set_len(1 << 40).unwrap();
    assert!(refusal().contains("more than 4194304 bytes"), "{}", refusal());

    std::fs::remove_file(&wit).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("deps")).unwrap();
    assert!(refusal().contains("cannot be read"), "{}", refusal());
}
