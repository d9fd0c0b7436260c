//! Beyond the granted folders.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::arena::{Arena, Ended, LIMITS, assert_table, said};

/// A host whose attacker has `/rw` and `/ro`, beside a file that is not for it.
fn arena() -> Arena {
    let arena = Arena::start();
    let root = arena.folder("house");
    for folder in ["rw", "ro", "rw/below", "neighbour"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("outside.txt"), "not for guests").unwrap();
    fs::write(root.join("neighbour/secret.txt"), "not for guests").unwrap();
    fs::write(root.join("rw/mine.txt"), "mine").unwrap();
    fs::write(root.join("ro/kept.txt"), "kept").unwrap();
    // What an operator has lying around, or somebody else put there.
    symlink("/etc", root.join("rw/etc")).unwrap();
    symlink("../outside.txt", root.join("rw/out")).unwrap();
    symlink("loop", root.join("rw/loop")).unwrap();
    symlink("/dev/zero", root.join("rw/zero")).unwrap();
    symlink(arena.host.data(), root.join("rw/data")).unwrap();
    let more = "[[capability]]\nname = \"files\"\nscope = { guest = \"/rw\", access = \"rw\" }\n\
                [[capability]]\nname = \"files\"\nscope = { guest = \"/ro\", access = \"rw\" }\n";
    arena.install_attacker(&format!("{more}{}", LIMITS.replace("cpu_ms = 200", "cpu_ms = 5000")));
    arena.grant_folder("/rw", &root.join("rw"), "rw");
    arena.grant_folder("/ro", &root.join("ro"), "ro");
    arena
}

fn on(attack: &str, path: &str) -> Value {
    json!({ "attack": attack, "path": path })
}

fn error(kind: &str) -> super::arena::Ended {
    said(json!({ "error": kind }))
}

#[test]
fn no_path_leads_out_of_a_granted_folder() {
    let arena = arena();
    let data = arena.host.data().join("access-token");

    // Below no folder of the guest: its C library asks nobody, and each has a word of its own for that.
    for attack in [
        on("read", "../outside.txt"),
        on("read", "/etc/passwd"),
        on("read", data.to_str().unwrap()),
        on("list", "/"),
        on("read", "/proc/self/environ"),
        on("read", "/dev/random"),
    ] {
        let ended = arena.attack(attack.clone());
        assert!([error("NotFound"), error("Uncategorized")].contains(&ended), "{attack}: {ended:?}");
    }
    assert_table(
        &arena,
        vec![
            (on("read", "/rw/mine.txt"), said(json!({ "read": "mine" }))),
            (on("read", "/rw/../outside.txt"), error("PermissionDenied")),
            (on("read", "/rw/below/../../outside.txt"), error("PermissionDenied")),
            (on("read", "/rw/../neighbour/secret.txt"), error("PermissionDenied")),
            (on("read", "/rw/data/access-token"), error("PermissionDenied")),
            (on("read", "/rw//etc/passwd"), error("PermissionDenied")),
            (on("read", "/rw/etc/passwd"), error("PermissionDenied")),
            (on("list", "/rw/etc"), error("PermissionDenied")),
            (on("list", "/rw/etc/"), error("PermissionDenied")),
            (on("list", "/rw/.."), error("PermissionDenied")),
            (on("stat", "/rw/out"), error("PermissionDenied")),
            (on("read", "/rw/out"), error("PermissionDenied")),
            (on("read", "/rw/out/"), error("PermissionDenied")),
            (on("write", "/rw/out"), error("PermissionDenied")),
            (on("read", "/rw/loop"), error("FilesystemLoop")),
            (on("read", "/rw/zero"), error("PermissionDenied")),
            (on("read", "/rw/mine.txt/"), error("NotADirectory")),
            (on("read", &format!("/rw/{}", "n".repeat(300))), error("InvalidFilename")),
            (on("read", &format!("/rw/{}", "n".repeat(1 << 20))), error("InvalidFilename")),
            (on("read", "/rw/a\0b"), error("InvalidInput")),
            (on("write", "/rw/../planted.txt"), error("PermissionDenied")),
            (on("make_folder", "/rw/../planted"), error("PermissionDenied")),
            (on("remove", "/rw/../outside.txt"), error("PermissionDenied")),
            (on("remove_folder", "/rw/../neighbour"), error("PermissionDenied")),
            (on("link", "/etc/passwd"), error("PermissionDenied")),
            (on("link", "../outside.txt"), error("PermissionDenied")),
            (
                json!({ "attack": "link", "path": "..", "then": "/rw/planted/outside.txt" }),
                error("PermissionDenied"),
            ),
            (on("read_link", "/rw/etc"), error("PermissionDenied")),
            (on("hard_link", "/rw/out"), error("PermissionDenied")),
            (on("hard_link", "/rw/../outside.txt"), error("PermissionDenied")),
            (
                json!({ "attack": "rename", "path": "/rw/mine.txt", "to": "/rw/../mine.txt" }),
                error("PermissionDenied"),
            ),
            (
                json!({ "attack": "rename", "path": "/rw/../outside.txt", "to": "/rw/got.txt" }),
                error("PermissionDenied"),
            ),
            (on("copy", "/rw/../outside.txt"), error("PermissionDenied")),
        ],
    );
    let house = arena.folder("house");
    assert_eq!(fs::read_to_string(house.join("outside.txt")).unwrap(), "not for guests");
    assert_eq!(fs::read_to_string(house.join("rw/mine.txt")).unwrap(), "mine");
    assert!(!house.join("planted.txt").exists() && !house.join("planted").exists());
}

#[test]
fn a_folder_that_is_granted_for_reading_is_never_changed() {
    let arena = arena();

    assert_table(
        &arena,
        vec![
            (on("read", "/ro/kept.txt"), said(json!({ "read": "kept" }))),
            (on("write", "/ro/kept.txt"), error("PermissionDenied")),
            (on("write", "/ro/new.txt"), error("PermissionDenied")),
            (on("append", "/ro/kept.txt"), error("PermissionDenied")),
            (on("truncate", "/ro/kept.txt"), error("PermissionDenied")),
            (on("resize", "/ro/kept.txt"), error("PermissionDenied")),
            (on("set_times", "/ro/kept.txt"), error("PermissionDenied")),
            (on("make_folder", "/ro/new"), error("PermissionDenied")),
            (on("remove", "/ro/kept.txt"), error("PermissionDenied")),
            (on("remove_all", "/ro"), error("PermissionDenied")),
            (on("hard_link", "/ro/kept.txt"), error("PermissionDenied")),
            (on("hard_link_and_write", "/ro/kept.txt"), error("PermissionDenied")),
            (
                json!({ "attack": "rename", "path": "/ro/kept.txt", "to": "/rw/kept.txt" }),
                error("PermissionDenied"),
            ),
            (
                json!({ "attack": "rename", "path": "/rw/mine.txt", "to": "/ro/mine.txt" }),
                error("PermissionDenied"),
            ),
        ],
    );
    let house = arena.folder("house");
    assert_eq!(fs::read_to_string(house.join("ro/kept.txt")).unwrap(), "kept");
    assert_eq!(fs::read_dir(house.join("ro")).unwrap().count(), 1);
    let changed = fs::metadata(house.join("ro/kept.txt")).unwrap().modified().unwrap();
    assert!(changed.elapsed().is_ok(), "its time is not in the future");
}

#[test]
fn what_one_call_writes_and_makes_ends_at_its_quota() {
    let arena = arena();
    let attack = |name: &str| json!({ "attack": name });

    assert_table(
        &arena,
        vec![
            (attack("grow_file"), error("QuotaExceeded")),
            (attack("many_files"), said(json!({ "done": 40, "error": "QuotaExceeded" }))),
            (attack("many_folders"), said(json!({ "done": 40, "error": "QuotaExceeded" }))),
            (attack("many_links"), said(json!({ "done": 40, "error": "QuotaExceeded" }))),
            (attack("deep_folders"), said(json!({ "done": 40, "error": "QuotaExceeded" }))),
        ],
    );
    // The C library of some guests has room for fewer files than the host.
    let many = arena.attack(attack("many_open"));
    let full = said(json!({ "done": 123, "error": "OutOfMemory" }));
    assert!([super::arena::code("PLUGIN_HANDLE_LIMIT"), full].contains(&many), "{many:?}");
    for name in ["fill", "fill_again"] {
        let Ended::Said(ended) = arena.attack(attack(name)) else { panic!("{name} answers") };
        assert_eq!(ended["done"], 4, "{name}: a quota of 1 MiB is four blocks");
        // The C library has no name for it where a file is written as a stream.
        assert!(["QuotaExceeded", "Uncategorized"].contains(&ended["error"].as_str().unwrap()), "{ended}");
    }
    let filled = fs::metadata(arena.folder("house").join("rw/fill")).unwrap().len();
    assert_eq!(filled, 1 << 20);
}
