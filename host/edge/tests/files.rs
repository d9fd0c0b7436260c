//! File tools of an edge, called as Core would call them, on a real folder.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use berth_edge::roots::RootSpec;
use berth_edge::{Access, Limits, Roots, tools};
use berth_provider::{CallError, Tools};
use serde_json::{Value, json};

/// A folder `docs` to read and a folder `notes` to write, beside something that is nobody's business.
struct Edge {
    dir: tempfile::TempDir,
    tools: Tools,
}

impl Edge {
    fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    fn with_limits(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = |name: &str, access| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            RootSpec { name: name.to_owned(), path, access }
        };
        let specs = [root("docs", Access::ReadOnly), root("notes", Access::ReadWrite)];
        fs::write(dir.path().join("secret"), "hush").unwrap();
        Self { tools: tools(Roots::open(&specs, limits).unwrap()), dir }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn has(&self, path: &str, content: &str) {
        fs::write(self.path(path), content).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.tools.call(tool, arguments).await.unwrap()
    }

    async fn refusal(&self, tool: &str, arguments: Value) -> CallError {
        self.tools.call(tool, arguments).await.unwrap_err()
    }
}

#[tokio::test]
async fn a_file_is_read_with_its_size_and_its_name() {
    let edge = Edge::new();
    edge.has("docs/a.txt", "grüße");

    let answer = edge.call("file.read", json!({ "path": "docs/a.txt" })).await;

    assert_eq!(
        answer,
        json!({ "summary": "Read docs/a.txt (7 bytes)", "path": "docs/a.txt", "content": "grüße",
                "truncated": false, "size_bytes": 7, "encoding": "utf-8" })
    );
}

#[tokio::test]
async fn a_long_file_is_cut_between_characters_and_says_so() {
    let edge = Edge::with_limits(Limits { max_read_bytes: 10, ..Limits::default() });
    edge.has("docs/long", &"é".repeat(50));

    let three = edge.call("file.read", json!({ "path": "docs/long", "max_chars": 3 })).await;
    let most = edge.call("file.read", json!({ "path": "docs/long" })).await;
    let too_many = edge.refusal("file.read", json!({ "path": "docs/long", "max_chars": 11 })).await;

    assert_eq!((&three["content"], &three["truncated"]), (&json!("ééé"), &json!(true)));
    assert_eq!(most["content"], "ééééé");
    assert_eq!(too_many.message, "`max_chars` must be 1 to 10");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_read_as_base64() {
    let edge = Edge::new();
    fs::write(edge.path("docs/raw"), [0xff, 0x00]).unwrap();

    let refusal = edge.refusal("file.read", json!({ "path": "docs/raw" })).await;
    let answer = edge.call("file.read", json!({ "path": "docs/raw", "encoding": "base64" })).await;

    assert_eq!(refusal.code, "not_text");
    assert_eq!(answer["content"], "/wA=");
}

#[tokio::test]
async fn no_link_leads_out_of_a_root() {
    let edge = Edge::new();
    symlink(edge.path("secret"), edge.path("docs/absolute")).unwrap();
    symlink("../secret", edge.path("docs/relative")).unwrap();
    symlink("..", edge.path("notes/up")).unwrap();

    let out = [
        edge.refusal("file.read", json!({ "path": "docs/absolute" })).await,
        edge.refusal("file.read", json!({ "path": "docs/relative" })).await,
        edge.refusal("file.read", json!({ "path": "notes/up/secret" })).await,
        edge.refusal("file.list", json!({ "path": "notes/up" })).await,
        edge.refusal("file.write", json!({ "path": "notes/up/secret", "content": "x" })).await,
    ];

    for refusal in &out {
        assert_eq!(refusal.code, "path_not_allowed", "{}", refusal.message);
        assert!(refusal.message.contains("leads out of the root `"), "{}", refusal.message);
    }
    assert_eq!(edge.text("secret"), "hush");
}

#[tokio::test]
async fn a_link_inside_of_its_root_is_followed() {
    let edge = Edge::new();
    edge.has("docs/a", "here");
    symlink("a", edge.path("docs/b")).unwrap();

    assert_eq!(edge.call("file.read", json!({ "path": "docs/b" })).await["content"], "here");
}

#[tokio::test]
async fn what_is_no_file_is_not_read() {
    let edge = Edge::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        edge.path("docs/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();

    let pipe = edge.refusal("file.read", json!({ "path": "docs/pipe" })).await;
    let root = edge.refusal("file.read", json!({ "path": "docs" })).await;
    let missing = edge.refusal("file.read", json!({ "path": "docs/none/at/all" })).await;

    assert_eq!((pipe.code, pipe.message.as_str()), ("file_not_found", "`docs/pipe` is no file"));
    assert_eq!(root.code, "file_not_found");
    assert_eq!(missing.message, "`docs/none/at/all` does not exist");
}

#[tokio::test]
async fn a_write_replaces_the_whole_file_and_keeps_its_mode() {
    let edge = Edge::new();
    edge.has("notes/a", "old and long");
    fs::set_permissions(edge.path("notes/a"), fs::Permissions::from_mode(0o600)).unwrap();

    let answer = edge.call("file.write", json!({ "path": "notes/a", "content": "new" })).await;

    assert_eq!(
        answer,
        json!({ "summary": "Wrote 3 bytes to notes/a", "path": "notes/a", "mode": "overwrite", "bytes_written": 3 })
    );
    assert_eq!(edge.text("notes/a"), "new");
    assert_eq!(fs::metadata(edge.path("notes/a")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(edge.path("notes")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writes_at_the_same_time_one_stays_whole() {
    let edge = Edge::new();
    let content = |number: usize| number.to_string().repeat(20_000);

    let writes = (0..20).map(|number| {
        let tools = edge.tools.clone();
        let arguments = json!({ "path": "notes/a", "content": content(number % 10) });
        tokio::spawn(async move { tools.call("file.write", arguments).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }

    let text = edge.text("notes/a");
    assert!((0..10).any(|number| text == content(number)), "{:.40}", text);
    assert_eq!(fs::read_dir(edge.path("notes")).unwrap().count(), 1);
}

#[tokio::test]
async fn of_a_huge_file_only_the_start_is_read() {
    let edge = Edge::new();
    let huge = fs::File::create(edge.path("docs/huge")).unwrap();
    huge.set_len(1 << 40).unwrap();

    let start =
        edge.call("file.read", json!({ "path": "docs/huge", "encoding": "base64", "max_chars": 3 })).await;

    assert_eq!((&start["content"], &start["truncated"]), (&json!("AAAA"), &json!(true)));
    assert_eq!(start["size_bytes"], 1_u64 << 40);
}

#[tokio::test]
async fn a_file_that_is_too_large_to_add_to_is_left_as_it_is() {
    let edge = Edge::new();
    let huge = fs::File::create(edge.path("notes/huge")).unwrap();
    huge.set_len(1 << 40).unwrap();

    let refusal =
        edge.refusal("file.write", json!({ "path": "notes/huge", "content": "x", "mode": "append" })).await;

    assert_eq!(refusal.code, "file_too_large");
    assert_eq!(fs::metadata(edge.path("notes/huge")).unwrap().len(), 1 << 40);
}

#[tokio::test]
async fn a_folder_that_turns_into_a_link_still_leads_nowhere() {
    let edge = Edge::new();
    fs::create_dir(edge.path("notes/sub")).unwrap();
    edge.call("file.write", json!({ "path": "notes/sub/a", "content": "in" })).await;

    fs::rename(edge.path("notes/sub"), edge.path("notes/old")).unwrap();
    symlink(edge.path("."), edge.path("notes/sub")).unwrap();
    let write = edge.refusal("file.write", json!({ "path": "notes/sub/secret", "content": "x" })).await;
    let new = edge.refusal("file.write", json!({ "path": "notes/sub/new", "content": "x" })).await;

    assert_eq!((write.code, new.code), ("path_not_allowed", "path_not_allowed"));
    assert_eq!(edge.text("secret"), "hush");
    assert!(!edge.path("new").exists());
}

#[tokio::test]
async fn appending_adds_and_creating_never_replaces() {
    let edge = Edge::new();
    let write = |mode: &str| json!({ "path": "notes/a", "content": "x", "mode": mode });

    edge.call("file.write", write("create_if_missing")).await;
    edge.call("file.write", write("append")).await;
    let refusal = edge.refusal("file.write", write("create_if_missing")).await;

    assert_eq!(refusal.code, "already_exists");
    assert_eq!(edge.text("notes/a"), "xx");
    assert_eq!(fs::read_dir(edge.path("notes")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_link_at_the_place_of_a_write_is_replaced_and_its_target_left_alone() {
    let edge = Edge::new();
    symlink(edge.path("secret"), edge.path("notes/a")).unwrap();

    edge.call("file.write", json!({ "path": "notes/a", "content": "mine" })).await;

    assert_eq!((edge.text("notes/a").as_str(), edge.text("secret").as_str()), ("mine", "hush"));
}

#[tokio::test]
async fn a_write_that_is_too_large_changes_nothing() {
    let edge = Edge::with_limits(Limits { max_write_bytes: 4, ..Limits::default() });
    edge.has("notes/a", "abc");

    let over = edge.refusal("file.write", json!({ "path": "notes/a", "content": "12345" })).await;
    let grown =
        edge.refusal("file.write", json!({ "path": "notes/a", "content": "de", "mode": "append" })).await;

    assert_eq!((over.code, grown.code), ("file_too_large", "file_too_large"));
    assert_eq!(grown.message, "`notes/a` would have 5 bytes, 4 is the limit");
    assert_eq!(edge.text("notes/a"), "abc");
}

#[tokio::test]
async fn a_write_goes_only_where_it_may() {
    let edge = Edge::new();
    fs::create_dir(edge.path("notes/sub")).unwrap();

    for (path, code) in [
        ("docs/a", "path_not_allowed"),
        ("notes/none/a", "directory_not_found"),
        ("notes/sub", "file_not_found"),
        ("notes", "path_required"),
        ("", "path_required"),
    ] {
        let refusal = edge.refusal("file.write", json!({ "path": path, "content": "x" })).await;
        assert_eq!(refusal.code, code, "{path}: {}", refusal.message);
    }
}

#[tokio::test]
async fn a_list_is_sorted_bounded_and_one_level_deep() {
    let edge = Edge::new();
    fs::create_dir(edge.path("docs/b")).unwrap();
    edge.has("docs/b/deep", "");
    edge.has("docs/c", "four");
    symlink("c", edge.path("docs/a")).unwrap();

    let all = edge.call("file.list", json!({ "path": "docs" })).await;
    let two = edge.call("file.list", json!({ "path": "docs/", "max_entries": 2 })).await;

    assert_eq!(
        all["entries"],
        json!([{ "name": "a", "kind": "link" }, { "name": "b", "kind": "directory" },
               { "name": "c", "kind": "file", "size_bytes": 4 }])
    );
    assert_eq!((all["truncated"].clone(), two["truncated"].clone()), (json!(false), json!(true)));
    assert_eq!(two["entries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_list_without_a_path_names_the_roots() {
    let edge = Edge::new();

    let roots = edge.call("file.list", json!({})).await;
    let file = edge.refusal("file.list", json!({ "path": "docs/none" })).await;

    assert_eq!(roots["entries"][0], json!({ "name": "docs", "kind": "directory", "writable": false }));
    assert_eq!(roots["entries"][1], json!({ "name": "notes", "kind": "directory", "writable": true }));
    assert_eq!(file.code, "directory_not_found");
}

#[tokio::test]
async fn an_edge_offers_only_what_its_roots_allow() {
    let dir = tempfile::tempdir().unwrap();
    let open = |specs: &[RootSpec]| tools(Roots::open(specs, Limits::default()).unwrap());
    let read_only: RootSpec = format!("docs={}", dir.path().display()).parse().unwrap();

    let keys = |tools: &Tools| tools.keys().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(keys(&open(&[])), ["math.add", "math.divide", "utility.echo"]);
    assert_eq!(
        keys(&open(&[read_only])),
        ["file.list", "file.read", "math.add", "math.divide", "utility.echo"]
    );
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_refused_by_name() {
    let edge = Edge::new();

    let odd = edge.refusal("file.read", json!({ "path": "docs/a", "mode": "x" })).await;
    let kind = edge.refusal("file.write", json!({ "path": "notes/a", "content": 7 })).await;
    let mode = edge.refusal("file.write", json!({ "path": "notes/a", "mode": "truncate" })).await;

    assert_eq!(
        (odd.code, kind.code, mode.code),
        ("invalid_arguments", "invalid_arguments", "invalid_arguments")
    );
    assert!(odd.message.contains("`mode`") && kind.message.contains("`content`"), "{odd} {kind}");
    assert!(mode.message.contains("`mode`"), "{mode}");
}
