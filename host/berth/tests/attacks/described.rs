//! Descriptions that dynamic tools should not give.

use serde_json::{Value, json};

use super::arena::{Arena, Ended, LIMITS, Wrong, code, said};
use super::raw::{answers, dynamic};

/// A component that describes its tools with these bytes.
fn describing(description: &[u8]) -> Vec<u8> {
    dynamic(&answers(description.len()), "unreachable", description)
}

fn tool(name: &str) -> Value {
    json!({ "name": name, "description": "A tool.", "input_schema": { "type": "object" } })
}

#[test]
fn a_description_that_lies_floods_or_never_comes_is_not_installed() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    let many: Vec<Value> = (0..10_000).map(|number| tool(&format!("tool-{number}"))).collect();
    let deep = format!("[{{\"name\":\"a\",\"input_schema\":{}1{}}}]", "[".repeat(5000), "]".repeat(5000));
    let text = |value: Value| value.to_string().into_bytes();
    let descriptions: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", Vec::new(), "PLUGIN_DESCRIBE_INVALID"),
        ("text", b"tools".to_vec(), "PLUGIN_DESCRIBE_INVALID"),
        ("object", text(json!({ "name": "a" })), "PLUGIN_DESCRIBE_INVALID"),
        ("number", text(json!([7])), "PLUGIN_DESCRIBE_INVALID"),
        ("nameless", text(json!([{ "description": "A tool." }])), "PLUGIN_DESCRIBE_INVALID"),
        ("bytes", vec![0xff, 0xfe, 0x80], "PLUGIN_OUTPUT_INVALID"),
        ("deep", deep.into_bytes(), "PLUGIN_DESCRIBE_INVALID"),
        ("escape", text(json!([tool("\u{1b}[2Jowned")])), "MANIFEST_INVALID"),
        ("blank", text(json!([tool("")])), "PLUGIN_DESCRIBE_INVALID"),
        ("long", text(json!([tool(&"n".repeat(200))])), "PLUGIN_DESCRIBE_INVALID"),
        ("twice", text(json!([tool("same"), tool("same")])), "TOOL_NAME_CLASH"),
        ("many", text(json!(many)), "PLUGIN_DESCRIBE_INVALID"),
        ("flood", vec![b' '; 2 << 20], "PLUGIN_OUTPUT_TOO_LARGE"),
    ];
    for (id, description, refused) in descriptions {
        wrong.check(id, &arena.install(id, &describing(&description), LIMITS), &code(refused));
    }
    for (id, body, refused) in [
        ("spins", "(loop br 0) unreachable", "PLUGIN_CPU_LIMIT"),
        ("traps", "unreachable", "PLUGIN_TRAP"),
        ("outside", "(i32.const -4)", "PLUGIN_TRAP"),
    ] {
        wrong.check(id, &arena.install(id, &dynamic(body, "unreachable", b""), LIMITS), &code(refused));
    }
    wrong.assert_none();
    let (_, plugins) = arena.request("GET", "/operator/plugins", None);
    assert_eq!(plugins.as_array().unwrap().len(), 1, "only the neighbour is there: {plugins}");
}

#[test]
fn odd_names_become_plain_ones_of_the_plugin_itself() {
    let arena = Arena::start();
    for (id, name) in
        [("path", "../../core.local"), ("wide", "\u{ff45}\u{ff43}\u{ff48}\u{ff4f}"), ("spaces", " say say ")]
    {
        let described = json!([tool(name)]).to_string();
        assert_eq!(
            arena.install(id, &describing(described.as_bytes()), LIMITS),
            said(json!("installed")),
            "{id}"
        );

        let (_, plugin) = arena.request("GET", &format!("/operator/plugins/{id}"), None);
        let shown = plugin["tools"][0]["name"].as_str().unwrap();

        assert!(shown.starts_with(&format!("{id}_")), "{shown}");
        assert!(shown.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{shown}");
    }
}

#[test]
fn a_plugin_cannot_take_the_place_of_another_ones_tool() {
    let arena = Arena::start();
    let named = |name: &str| format!("{LIMITS}[tool.say]\nname = \"{name}\"\n");

    let taken =
        arena.install("thief", &describing(json!([tool("say")]).to_string().as_bytes()), &named("echo_say"));

    assert_eq!(taken, code("TOOL_NAME_TAKEN"));
    let taken = arena.install("ech", &describing(json!([tool("o_say")]).to_string().as_bytes()), LIMITS);
    assert_eq!(taken, Ended::Said(json!("installed")), "`ech_o_say` is another name");
}

#[test]
fn what_a_description_says_is_shown_without_drawing_on_the_terminal() {
    let arena = Arena::start();
    let odd = "\u{1b}[2J\u{1b}]0;owned\u{7}harmless\u{9b}31m";
    let described = json!([{
        "name": "odd", "title": odd, "description": odd, "risk": odd, "input_schema": { "type": "object" },
    }]);

    let installed = arena.install("odd", &describing(described.to_string().as_bytes()), LIMITS);

    assert_eq!(installed, said(json!("installed")));
    let shown = arena.host.cli(&["plugin", "show", "odd"]).ok();
    let odd: Vec<char> = shown.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert!(shown.contains("harmless") && odd.is_empty(), "{shown:?}");
    let (_, plugin) = arena.request("GET", "/operator/plugins/odd", None);
    assert_eq!(plugin["tools"][0]["risk"], "destructive", "a risk that nobody knows is the worst: {plugin}");
}

#[test]
fn an_invocation_that_lies_ends_alone() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    let description = json!([tool("go")]).to_string();
    // An output record: content, is-error, meta; all of it past the end.
    let lies = "(i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const -8))
                (i32.store (i32.const 8) (i32.const 1073741824)) (i32.const 0)";
    let nothing = "(i32.store (i32.const 0) (i32.const 9)) (i32.const 0)";
    let no_json = "(i32.store8 (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 1030))
                (i32.store (i32.const 8) (i32.const 3)) (i32.store8 (i32.const 12) (i32.const 0))
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 0)) (i32.const 0)";
    for (id, invoke, ended) in [
        ("lies", lies, "PLUGIN_TRAP"),
        ("case", nothing, "PLUGIN_TRAP"),
        ("nojson", no_json, "PLUGIN_OUTPUT_INVALID"),
        ("loops", "(loop br 0) unreachable", "PLUGIN_CPU_LIMIT"),
    ] {
        let component = dynamic(&answers(description.len()), invoke, description.as_bytes());
        wrong.check(id, &arena.install(id, &component, LIMITS), &said(json!("installed")));
        wrong.check(id, &arena.call(&format!("{id}_go"), json!({})), &code(ended));
    }
    wrong.assert_none();
}
