//! Plugins in each language, from nothing to a called tool, with the commands that an author types.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Host, Options, Output, example, run, tool, tools};

/// Somebody who writes a plugin, in an empty folder of his own.
pub struct Author {
    pub host: Host,
    pub folder: PathBuf,
}

impl Author {
    pub fn new() -> Self {
        let host = Host::start(Options::default());
        let folder = host.scratch().join("author");
        std::fs::create_dir(&folder).unwrap();
        Self { host, folder }
    }

    /// A command of his, with the tool chains of this machine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.host.command(arguments);
        tools(&mut command);
        command.current_dir(&self.folder);
        command
    }

    pub fn berth(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// Has `berth plugin new` make a plugin, whose crates are those that are here already.
    pub fn begin(&self, name: &str, language: &str) {
        let made = self.berth(&["plugin", "new", name, "--lang", language]).ok();
        assert!(made.contains(&format!("made {name}")), "{made}");
        if language == "rust" {
            let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
            std::fs::copy(lock, self.folder.join(name).join("Cargo.lock")).unwrap();
        }
    }
}

/// New, build, test, pack, install, grant and call: each command once, as the readme of the new plugin has them.
fn from_an_empty_folder_to_a_called_tool(language: &str) {
    let author = Author::new();
    let name = format!("hello-{language}");
    let tool = format!("hello_{language}_welcome");

    author.begin(&name, language);
    let built = author.berth(&["plugin", "build", &name]).ok();
    let tested = author.berth(&["plugin", "test", &name]).ok();
    author.berth(&["plugin", "pack", &name]).ok();
    author.berth(&["plugin", "install", &format!("{name}-0.1.0.berth")]).ok();
    let denied = author.berth(&["plugin", "call", &tool, r#"{"name": "Ada"}"#]).failed(1);
    let scope = r#"{"store": "default", "access": "rw"}"#;
    author.berth(&["plugin", "grant", &name, "keyvalue", "--scope", scope]).ok();
    let called = author.berth(&["plugin", "call", &tool, r#"{"name": "Ada"}"#]).ok();

    assert!(built.contains(&format!("{tool}(name: string) -> string")), "{built}");
    assert!(built.contains("Says hello, and how many times it has done so."), "{built}");
    assert!(tested.contains(": 3 passed"), "{tested}");
    assert!(denied.contains("not-counted"), "{denied}");
    assert_eq!(called.trim(), r#""Hello, Ada! Visit 1.""#);
}

#[test]
fn a_plugin_in_rust_is_begun_built_packed_installed_granted_and_called() {
    from_an_empty_folder_to_a_called_tool("rust");
}

#[test]
fn a_plugin_in_javascript_is_begun_built_packed_installed_granted_and_called() {
    from_an_empty_folder_to_a_called_tool("js");
}

#[test]
fn a_plugin_in_python_is_begun_built_packed_installed_granted_and_called() {
    from_an_empty_folder_to_a_called_tool("python");
}

#[test]
fn a_plugin_in_c_is_begun_built_packed_installed_granted_and_called() {
    from_an_empty_folder_to_a_called_tool("c");
}

#[test]
fn a_plugin_is_begun_only_by_a_good_name_in_a_known_language_and_an_empty_place() {
    let author = Author::new();
    std::fs::create_dir_all(author.folder.join("taken/x")).unwrap();
    let new = |arguments: &[&str]| {
        let mut words = vec!["plugin", "new"];
        words.extend(arguments);
        author.berth(&words)
    };

    let bad = new(&["Hello World", "--lang", "rust"]).failed(2);
    let reserved = new(&["type", "--lang", "rust"]).failed(2);
    let language = new(&["hello", "--lang", "cobol"]).failed(2);
    let taken = new(&["taken", "--lang", "c", "--json"]).failed(1);

    assert!(bad.contains("is no name for a plugin"), "{bad}");
    assert!(reserved.contains("has a meaning in WIT"), "{reserved}");
    assert!(language.contains("rust, js, python, c"), "{language}");
    let taken: Value = serde_json::from_str(&taken).unwrap();
    assert_eq!(taken["error"]["code"], "folder_exists");
    let elsewhere = new(&["taken", "--lang", "c", "--dir", "other", "--json"]).json();
    assert_eq!(elsewhere["plugin_id"], "taken");
    assert!(author.folder.join("other/src/plugin.c").is_file());
}

#[test]
fn a_build_that_fails_says_what_the_compiler_says_and_leaves_the_component_alone() {
    let author = Author::new();
    author.begin("broken", "c");
    author.berth(&["plugin", "build", "broken"]).ok();
    let component = author.folder.join("broken/broken.wasm");
    let before = std::fs::read(&component).unwrap();
    std::fs::write(author.folder.join("broken/src/words.c"), "not C at all").unwrap();

    let failed = author.berth(&["plugin", "build", "broken"]).failed(1);
    let json = author.berth(&["plugin", "build", "broken", "--json"]).failed(1);

    assert!(failed.contains("words.c"), "{failed}");
    assert!(json.contains("\"BUILD_FAILED\""), "{json}");
    assert_eq!(std::fs::read(&component).unwrap(), before);
}

#[test]
fn a_missing_tool_chain_is_one_line_that_names_the_fix() {
    let author = Author::new();
    for language in ["rust", "js", "python", "c"] {
        author.begin(&format!("lacking-{language}"), language);
    }
    let nothing = author.folder.join("nothing");
    std::fs::create_dir(&nothing).unwrap();

    for (language, fix) in [
        ("rust", "https://rustup.rs"),
        ("js", "apt-get install nodejs npm"),
        ("python", "apt-get install python3 python3-pip"),
        ("c", "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32"),
    ] {
        let mut build = author.command(&["plugin", "build", &format!("lacking-{language}"), "--json"]);
        let refused = run(build.env("PATH", &nothing).env("BERTH_CACHE", &nothing)).failed(1);

        let error: Value = serde_json::from_str(refused.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["code"], "BUILD_TOOL_MISSING", "{refused}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(fix) && message.lines().count() == 1, "{message}");
    }
}

/// A program that is another one by another name, or does something else first.
fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_plugin_in_c_is_built_by_the_sdk_that_is_named_and_by_no_other() {
    let author = Author::new();
    author.begin("hello", "c");
    // The parts of Debian, laid out as the WASI SDK lays out its own.
    let sdk = author.folder.join("sdk");
    script(&sdk.join("bin/clang"), "exec clang \"$@\"");
    for place in ["lib", "include"] {
        let to = sdk.join("share/wasi-sysroot").join(place);
        std::fs::create_dir_all(&to).unwrap();
        std::os::unix::fs::symlink(Path::new("/usr").join(place).join("wasm32-wasi"), to.join("wasm32-wasi"))
            .unwrap();
    }

    let build = |sdk: &Path| run(author.command(&["plugin", "build", "hello"]).env("WASI_SDK_PATH", sdk));
    let built = build(&sdk);
    let absent = build(&author.folder.join("no-sdk")).failed(1);

    assert!(built.err.contains(&format!("with {}", sdk.join("bin/clang").display())), "{}", built.err);
    assert!(built.ok().contains("built hello 0.1.0"));
    assert!(absent.contains("WASI_SDK_PATH is ") && absent.contains("is not there"), "{absent}");
}

#[test]
fn packages_of_a_plugin_in_python_come_by_pip_and_by_uv_where_there_is_no_pip() {
    let author = Author::new();
    author.begin("hello", "python");
    let folder = author.folder.join("hello");
    let python = Python::of(&author);
    // Packages of our own, so that nothing is fetched.
    python.wheels("[('lilt', 'lilt.py'), ('fast', 'fast/_core.so')]");
    let words = std::fs::read_to_string(folder.join("words.py")).unwrap();
    std::fs::write(folder.join("words.py"), format!("import lilt\n{words}")).unwrap();
    let wanted = folder.join("requirements.txt");

    std::fs::write(&wanted, "lilt\n").unwrap();
    let by_pip = python.build("hello", By::Pip);
    std::fs::write(&wanted, "# again\nlilt\n").unwrap();
    let by_uv = python.build("hello", By::Uv);
    std::fs::write(&wanted, "lilt\nfast\n").unwrap();
    let compiled = [By::Pip, By::Uv].map(|by| python.build("hello", by).failed(1));

    assert!(by_pip.ok().contains("built hello 0.1.0"));
    assert!(by_uv.ok().contains("built hello 0.1.0"));
    for said in compiled {
        assert!(said.contains("fast/_core.so, which is not Python alone"), "{said}");
    }
}

/// Whose packages a build takes.
#[derive(Clone, Copy)]
enum By {
    Pip,
    Uv,
}

/// The Python of this machine, as it is and without pip.
struct Python<'a> {
    author: &'a Author,
    folder: PathBuf,
}

impl<'a> Python<'a> {
    fn of(author: &'a Author) -> Self {
        let folder = author.folder.join("python");
        let asked =
            Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        let program = String::from_utf8(asked.stdout).unwrap();
        let refusing = format!("case \"$*\" in \"-m pip\"*) exit 1;; esac\nexec {} \"$@\"", program.trim());
        script(&folder.join("bin/python3"), &refusing);
        std::os::unix::fs::symlink(tool("uv/bin/uv"), folder.join("bin/uv")).unwrap();
        std::fs::create_dir(folder.join("wheels")).unwrap();
        Self { author, folder }
    }

    /// Makes packages, each with one file.
    fn wheels(&self, list: &str) {
        let text = format!(
            r#"
import sys, zipfile
for name, module in {list}:
    info = f"{{name}}-1.0.dist-info/"
    with zipfile.ZipFile(f"{{sys.argv[1]}}/{{name}}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(module, "WORD = 'Salut'\n")
        wheel.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {{name}}\nVersion: 1.0\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", f"{{module}},,\n{{info}}METADATA,,\n{{info}}WHEEL,,\n{{info}}RECORD,,\n")
"#
        );
        run(Command::new("python3").args(["-c", &text]).arg(self.folder.join("wheels"))).ok();
    }

    fn build(&self, plugin: &str, by: By) -> Output {
        let mut command = self.author.command(&["plugin", "build", plugin]);
        let wheels = self.folder.join("wheels");
        command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", &wheels);
        command
            .env("UV_OFFLINE", "1")
            .env("UV_FIND_LINKS", &wheels)
            .env("UV_CACHE_DIR", self.folder.join("cache"));
        if let By::Uv = by {
            let path = std::env::var_os("PATH").unwrap();
            let path = std::iter::once(self.folder.join("bin")).chain(std::env::split_paths(&path));
            command.env("PATH", std::env::join_paths(path).unwrap());
        }
        run(&mut command)
    }
}

#[test]
fn a_component_that_uses_more_than_its_manifest_asks_for_is_refused_by_its_build() {
    let author = Author::new();
    author.begin("greedy", "c");
    let manifest = author.folder.join("greedy/plugin.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let (before, rest) = text.split_once("[[capability]]").unwrap();
    let (_, after) = rest.split_once("[tool.greet]").unwrap();
    std::fs::write(&manifest, format!("{before}[tool.greet]{after}")).unwrap();

    let refused = author.berth(&["plugin", "build", "greedy", "--json"]).failed(1);

    assert!(refused.contains("CAPABILITY_NOT_REQUESTED"), "{refused}");
}

/// Installs an example and calls its tools.
fn example_answers(name: &str, calls: &[(&str, Value, Value)]) {
    let host = Host::start(Options::default());
    host.cli(&["plugin", "install", example(name).to_str().unwrap()]).ok();
    for (tool, arguments, wanted) in calls {
        let answer = host.cli(&["plugin", "call", tool, &arguments.to_string(), "--json"]).json();
        assert_eq!(&answer["result"], wanted, "{tool} {arguments}");
    }
}

#[test]
fn the_example_in_javascript_finds_replaces_and_splits() {
    example_answers(
        "regex",
        &[
            (
                "regex_find",
                json!({ "pattern": "(?<key>\\w+)=(\\d)", "text": "x\none=1", "options": { "ignore_case": true } }),
                json!({
                    "found": [{ "text": "one=1", "at": 2, "line": 2, "groups": [{ "name": "key", "text": "one" }] }],
                    "more": false,
                }),
            ),
            (
                "regex_replace",
                json!({ "pattern": "(\\w+) (\\w+)", "text": "one two", "replacement": "$2 $1" }),
                json!("two one"),
            ),
            ("regex_split", json!({ "pattern": ",", "text": "a,b" }), json!(["a", "b"])),
        ],
    );
}

#[test]
fn the_example_in_python_describes_groups_and_sorts() {
    let numbers = json!({ "min": 1.0, "max": 3.0, "sum": 4.0, "mean": 2.0, "median": 2.0, "deviation": 2.0_f64.sqrt() });
    example_answers(
        "tables",
        &[
            (
                "tables_group",
                json!({ "csv": "kind,price\na,1\nb,\na,3\n", "by": "kind", "column": "price" }),
                json!([
                    { "value": "a", "rows": 2, "numbers": numbers },
                    { "value": "b", "rows": 1, "numbers": null },
                ]),
            ),
            (
                "tables_rows",
                json!({ "csv": "n\n9\n10\n", "column": "n", "order": "descending", "limit": 1 }),
                json!("n\n10\n"),
            ),
        ],
    );
}

#[test]
fn the_example_in_c_makes_and_compares_checksums() {
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    example_answers(
        "checksum",
        &[
            ("checksum_text", json!({ "algorithm": "sha256", "text": "abc" }), json!(sha256)),
            ("checksum_data", json!({ "algorithm": "crc32", "data": "YWJj" }), json!("352441c2")),
            (
                "checksum_verify",
                json!({ "data": "YWJj", "checksum": sha256 }),
                json!({ "fits": true, "algorithm": "sha256", "actual": sha256 }),
            ),
        ],
    );
}
