//! Components without any library: what they ask of the host is exactly what stands here.

use serde_json::json;

use super::arena::{Arena, Ended, LIMITS, Wrong, code, said};

/// Makes a component of a core module and the WIT that it imports and exports.
pub fn component(wit: &str, module: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("attack.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    encode(&resolve, world, module)
}

/// A component with dynamic tools: the bodies of both functions, and bytes from address 1024 on.
pub fn dynamic(describe: &str, invoke: &str, data: &[u8]) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], Some("dynamic-tool")).unwrap();
    let escaped: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let pages = 2 + data.len() / 65536;
    let module = format!(
        r#"(module
            (memory (export "memory") {pages})
            (data (i32.const 1024) "{escaped}")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 512))
            (func (export "berth:plugin/tools@0.1.0#describe") (result i32) {describe})
            (func (export "berth:plugin/tools@0.1.0#invoke") (param i32 i32 i32 i32 i32 i32) (result i32) {invoke}))"#
    );
    encode(&resolve, world, &module)
}

/// A body of `describe` that answers with the bytes at 1024.
pub fn answers(length: usize) -> String {
    format!(
        "(i32.store (i32.const 16) (i32.const 1024)) (i32.store (i32.const 20) (i32.const {length})) (i32.const 16)"
    )
}

fn encode(resolve: &wit_parser::Resolve, world: wit_parser::WorldId, module: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, resolve, world, encoding).unwrap();
    wit_component::ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// A component that exports `run`, whose core is `module`.
fn runs(body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            (core module $m {body})
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    ))
    .unwrap()
}

const SOCKETS: &str = r"
package test:sockets;
package wasi:sockets@0.2.0 {
    interface network {
        resource network;
        enum error-code {
            unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout, concurrency-conflict,
            not-in-progress, would-block, invalid-state, new-socket-limit, address-not-bindable, address-in-use,
            remote-unreachable, connection-refused, connection-reset, connection-aborted, datagram-too-large,
            name-unresolvable, temporary-resolver-failure, permanent-resolver-failure,
        }
        enum ip-address-family { ipv4, ipv6 }
    }
    interface instance-network {
        use network.{network};
        instance-network: func() -> network;
    }
    interface tcp { resource tcp-socket; }
    interface tcp-create-socket {
        use network.{error-code, ip-address-family};
        use tcp.{tcp-socket};
        create-tcp-socket: func(family: ip-address-family) -> result<tcp-socket, error-code>;
    }
    interface udp { resource udp-socket; }
    interface udp-create-socket {
        use network.{error-code, ip-address-family};
        use udp.{udp-socket};
        create-udp-socket: func(family: ip-address-family) -> result<udp-socket, error-code>;
    }
    interface ip-name-lookup {
        use network.{network, error-code};
        resource resolve-address-stream;
        resolve-addresses: func(network: borrow<network>, name: string) -> result<resolve-address-stream, error-code>;
    }
}
world attack {
    import wasi:sockets/instance-network@0.2.0;
    import wasi:sockets/tcp-create-socket@0.2.0;
    import wasi:sockets/udp-create-socket@0.2.0;
    import wasi:sockets/ip-name-lookup@0.2.0;
    /// 1000 for a socket, else the number of the error.
    export tcp: func(family: u32) -> u32;
    export udp: func(family: u32) -> u32;
    export lookup: func() -> u32;
}";

#[test]
fn every_door_of_wasi_sockets_is_a_wall() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    let result = "(if (result i32) (i32.load8_u (i32.const 64)) (then (i32.load8_u (i32.const 68))) (else (i32.const 1000)))";
    let module = format!(
        r#"(module
            (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $tcp (param i32 i32)))
            (import "wasi:sockets/udp-create-socket@0.2.0" "create-udp-socket" (func $udp (param i32 i32)))
            (import "wasi:sockets/instance-network@0.2.0" "instance-network" (func $network (result i32)))
            (import "wasi:sockets/ip-name-lookup@0.2.0" "resolve-addresses" (func $lookup (param i32 i32 i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 128) "localhost")
            (func (export "tcp") (param i32) (result i32) (call $tcp (local.get 0) (i32.const 64)) {result})
            (func (export "udp") (param i32) (result i32) (call $udp (local.get 0) (i32.const 64)) {result})
            (func (export "lookup") (result i32)
                (call $lookup (call $network) (i32.const 128) (i32.const 9) (i32.const 64)) {result}))"#
    );
    assert_eq!(arena.install("sockets", &component(SOCKETS, &module), LIMITS), said(json!("installed")));

    // 1 is access-denied, 2 not-supported.
    for (tool, arguments) in [
        ("sockets_tcp", json!({ "family": 0 })),
        ("sockets_tcp", json!({ "family": 1 })),
        ("sockets_udp", json!({ "family": 0 })),
        ("sockets_udp", json!({ "family": 1 })),
        ("sockets_lookup", json!({})),
    ] {
        wrong.check(tool, &arena.call(tool, arguments), &said(json!(1)));
    }
    wrong.assert_none();
}

const CLOCKS: &str = r"
package test:clocks;
package wasi:io@0.2.0 {
    interface poll {
        resource pollable { block: func(); }
        poll: func(in: list<borrow<pollable>>) -> list<u32>;
    }
}
package wasi:clocks@0.2.0 {
    interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        subscribe-duration: func(when: u64) -> pollable;
        subscribe-instant: func(when: u64) -> pollable;
    }
}
package wasi:random@0.2.0 {
    interface random { get-random-bytes: func(len: u64) -> list<u8>; }
}
world attack {
    import wasi:io/poll@0.2.0;
    import wasi:clocks/monotonic-clock@0.2.0;
    import wasi:random/random@0.2.0;
    export block: func(when: u64);
    export block-busily: func();
    export wait-for: func(count: u32, when: u64);
    export keep: func(count: u32);
    export random: func(count: u64) -> u32;
    export random-flood: func();
}";

#[test]
fn waits_handles_and_random_bytes_have_their_bounds() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    let module = r#"(module
        (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
        (import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop (param i32)))
        (import "wasi:io/poll@0.2.0" "poll" (func $poll (param i32 i32 i32)))
        (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $wait (param i64) (result i32)))
        (import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))
        (memory (export "memory") 200)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
        (func (export "block") (param i64) (call $block (call $wait (local.get 0))))
        (func (export "block-busily") (local i32)
            (loop
                (local.set 0 (call $wait (i64.const 0)))
                (call $block (local.get 0)) (call $drop (local.get 0)) (br 0)))
        (func $keep (export "keep") (param i32)
            (loop
                (i32.store (i32.mul (local.get 0) (i32.const 4)) (call $wait (i64.const 3600000000000)))
                (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                (br_if 0 (local.get 0))))
        (func (export "wait-for") (param i32 i64)
            (call $keep (local.get 0))
            (call $poll (i32.const 4) (local.get 0) (i32.const 32768)))
        (func (export "random") (param i64) (result i32)
            (call $random (local.get 0) (i32.const 16)) (i32.load (i32.const 20)))
        (func (export "random-flood") (loop (call $random (i64.const 65536) (i32.const 16)) (br 0))))"#;
    assert_eq!(arena.install("clocks", &component(CLOCKS, module), LIMITS), said(json!("installed")));

    for (tool, arguments, ended) in [
        ("clocks_block", json!({ "when": 1 }), said(json!(null))),
        ("clocks_block", json!({ "when": u64::MAX.to_string() }), code("PLUGIN_TIMEOUT")),
        ("clocks_block", json!({ "when": "3600000000000" }), code("PLUGIN_TIMEOUT")),
        ("clocks_block_busily", json!({}), code("PLUGIN_CPU_LIMIT")),
        ("clocks_wait_for", json!({ "count": 200, "when": 1 }), code("PLUGIN_TIMEOUT")),
        ("clocks_wait_for", json!({ "count": 700, "when": 1 }), code("PLUGIN_HANDLE_LIMIT")),
        ("clocks_keep", json!({ "count": 200 }), said(json!(null))),
        ("clocks_keep", json!({ "count": 5000 }), code("PLUGIN_HANDLE_LIMIT")),
        ("clocks_random", json!({ "count": 1_048_576 }), said(json!(1_048_576))),
        ("clocks_random", json!({ "count": 1_048_577 }), code("PLUGIN_TRAP")),
        ("clocks_random", json!({ "count": u64::MAX.to_string() }), code("PLUGIN_TRAP")),
        ("clocks_random_flood", json!({}), code("PLUGIN_CPU_LIMIT")),
    ] {
        wrong.check(tool, &arena.call(tool, arguments.clone()), &ended);
    }
    wrong.assert_none();
}

#[test]
fn what_a_core_module_alone_can_do_ends_at_the_limits() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    let table = r#"(table 1 funcref) (func (export "run")
        (loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 999)) (i32.const -1)))) unreachable)"#;
    let bulk = r#"(memory 200) (func (export "run")
        (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 13000000)) (br 0)))"#;
    let copy = r#"(memory 200) (func (export "run")
        (loop (memory.copy (i32.const 1) (i32.const 0) (i32.const 13000000)) (br 0)))"#;
    let pages = r#"(memory 1) (func (export "run")
        (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable)"#;
    let null = r#"(table 1 funcref) (type $t (func)) (func (export "run")
        (call_indirect (type $t) (i32.const 0)))"#;
    let beyond = r#"(table 1 funcref) (type $t (func)) (func (export "run")
        (call_indirect (type $t) (i32.const 7)))"#;
    let other = r#"(table funcref (elem $g)) (type $t (func)) (func $g (param i32))
        (func (export "run") (call_indirect (type $t) (i32.const 0)))"#;
    for (id, body, ended) in [
        ("loops", r#"(func (export "run") (loop br 0))"#, "PLUGIN_CPU_LIMIT"),
        ("starts", r#"(func $s (loop br 0)) (start $s) (func (export "run"))"#, "PLUGIN_CPU_LIMIT"),
        ("traps", r#"(func $s unreachable) (start $s) (func (export "run"))"#, "PLUGIN_TRAP"),
        ("table", table, "PLUGIN_TABLE_LIMIT"),
        ("wide", r#"(table 30000 funcref) (func (export "run"))"#, "PLUGIN_TABLE_LIMIT"),
        ("bulk", bulk, "PLUGIN_CPU_LIMIT"),
        ("copy", copy, "PLUGIN_CPU_LIMIT"),
        ("pages", pages, "PLUGIN_MEMORY_LIMIT"),
        ("vast", r#"(memory 1000) (func (export "run"))"#, "PLUGIN_MEMORY_LIMIT"),
        ("recurse", r#"(func $f (export "run") (call $f))"#, "PLUGIN_STACK_LIMIT"),
        ("pingpong", r#"(func $f (export "run") (call $g)) (func $g (call $f))"#, "PLUGIN_STACK_LIMIT"),
        ("null", null, "PLUGIN_TRAP"),
        ("beyond", beyond, "PLUGIN_TRAP"),
        ("other", other, "PLUGIN_TRAP"),
        ("divide", r#"(func (export "run") (drop (i32.div_s (i32.const 1) (i32.const 0))))"#, "PLUGIN_TRAP"),
        (
            "least",
            r#"(func (export "run") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))"#,
            "PLUGIN_TRAP",
        ),
        ("nan", r#"(func (export "run") (drop (i32.trunc_f32_s (f32.const nan))))"#, "PLUGIN_TRAP"),
        ("far", r#"(memory 1) (func (export "run") (drop (i64.load (i32.const 65533))))"#, "PLUGIN_TRAP"),
        ("data", r#"(memory 1) (data (i32.const 65530) "too long") (func (export "run"))"#, "PLUGIN_TRAP"),
    ] {
        wrong.check(id, &arena.install(id, &runs(body), LIMITS), &said(json!("installed")));
        wrong.check(id, &arena.call(&format!("{id}_run"), json!({})), &code(ended));
    }
    wrong.assert_none();
}

/// Takes a text; what `realloc` does is up to the attack.
fn takes_text(realloc: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "run") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "run") (param "text" string)
                (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
    ))
    .unwrap()
}

/// Answers a value of `ty` whose core form begins at address 0, with these words in memory.
fn answers_value(ty: &str, words: &[u32], bytes: &str) -> Vec<u8> {
    let stores: String = words
        .iter()
        .enumerate()
        .map(|(at, word)| format!("(i32.store (i32.const {}) (i32.const {word}))", at * 4))
        .collect();
    wat::parse_str(format!(
        r#"(component
            (core module $m
                (memory (export "memory") 200)
                (data (i32.const 4096) "{bytes}")
                (func (export "run") (result i32) {stores} (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "run") (result {ty})
                (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#
    ))
    .unwrap()
}

#[test]
fn values_that_lie_about_themselves_end_the_call_alone() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    // Two thousand texts that are all the same megabyte.
    let aliased: Vec<u32> =
        [8_u32, 2000].into_iter().chain((0..2000).flat_map(|_| [4096, 1 << 20])).collect();
    for (id, component, arguments, ended) in [
        ("spins", takes_text("(loop br 0) unreachable"), json!({ "text": "a" }), code("PLUGIN_CPU_LIMIT")),
        ("outside", takes_text("(i32.const -16)"), json!({ "text": "a" }), code("PLUGIN_TRAP")),
        ("odd", takes_text("unreachable"), json!({ "text": "a" }), code("PLUGIN_TRAP")),
        (
            "recurses",
            takes_text("(call 0 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"),
            json!({ "text": "a" }),
            code("PLUGIN_STACK_LIMIT"),
        ),
        ("long", answers_value("string", &[4096, u32::MAX], ""), json!({}), code("PLUGIN_TRAP")),
        ("gigabyte", answers_value("string", &[4096, 1 << 30], ""), json!({}), code("PLUGIN_TRAP")),
        ("aliased", answers_value("(list string)", &aliased, ""), json!({}), code("PLUGIN_HOSTCALL_LIMIT")),
        (
            "many",
            answers_value("(list u32)", &[4096, 3_000_000], ""),
            json!({}),
            code("PLUGIN_HOSTCALL_LIMIT"),
        ),
        ("utf8", answers_value("string", &[4096, 4], r"\ff\fe\80\c0"), json!({}), code("PLUGIN_TRAP")),
        ("surrogate", answers_value("string", &[4096, 3], r"\ed\a0\80"), json!({}), code("PLUGIN_TRAP")),
        ("nul", answers_value("string", &[4096, 3], r"a\00b"), json!({}), said(json!("a\0b"))),
        (
            "character",
            answers_value("(tuple char char)", &[0x11_0000, 0], ""),
            json!({}),
            code("PLUGIN_TRAP"),
        ),
        ("half", answers_value("(tuple char char)", &[0xd800, 0], ""), json!({}), code("PLUGIN_TRAP")),
        ("case", answers_value("(tuple (option u8) u32)", &[7, 0], ""), json!({}), code("PLUGIN_TRAP")),
        ("flags", answers_value("(tuple bool u32)", &[0xff, 1], ""), json!({}), said(json!([true, 1]))),
        (
            "nan",
            answers_value("(tuple f32 f32)", &[0x7fc0_0001, 0xff80_0000], ""),
            json!({}),
            said(json!(["nan", "-inf"])),
        ),
        ("crooked", answers_value("(list u32)", &[4097, 2], ""), json!({}), code("PLUGIN_TRAP")),
    ] {
        wrong.check(id, &arena.install(id, &component, LIMITS), &said(json!("installed")));
        wrong.check(id, &arena.call(&format!("{id}_run"), arguments), &ended);
    }
    wrong.assert_none();
}

#[test]
fn resources_of_its_own_and_many_instances_are_bounded_too() {
    let arena = Arena::start();
    let mut wrong = Wrong::default();
    let leak = wat::parse_str(
        r#"(component
            (type $thing (resource (rep i32)))
            (core func $new (canon resource.new $thing))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (func (export "run") (loop (drop (call $new (i32.const 1))) (br 0))))
            (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    )
    .unwrap();
    let memories = wat::parse_str(
        r#"(component
            (core module $m (memory 100) (func (export "run")))
            (core instance (instantiate $m)) (core instance (instantiate $m)) (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    )
    .unwrap();
    let instances = wat::parse_str(format!(
        r#"(component (core module $m (func (export "run"))) {} (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#,
        "(core instance (instantiate $m))".repeat(70)
    ))
    .unwrap();
    for (id, component, ended) in
        [("leak", leak, "PLUGIN_HANDLE_LIMIT"), ("memories", memories, "PLUGIN_MEMORY_LIMIT")]
    {
        wrong.check(id, &arena.install(id, &component, LIMITS), &said(json!("installed")));
        wrong.check(id, &arena.call(&format!("{id}_run"), json!({})), &code(ended));
    }
    match arena.install("instances", &instances, LIMITS) {
        Ended::Code(refused) => assert_eq!(refused, "COMPONENT_TOO_COMPLEX"),
        _ => assert_eq!(arena.call("instances_run", json!({})), code("PLUGIN_INSTANCE_LIMIT")),
    }
    wrong.assert_none();
}
