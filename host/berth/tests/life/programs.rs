//! Programs of the machine that plugins run, on a real host with its real launcher.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Host, Options, berth, fixture, run};

/// A policy with a shell: the hostile program of these stories.
const SHELL: &str = r#"
[program.sh]
path = "/bin/sh"
about = "Tries to get out."
folder = "optional"
flags = ["-c"]
positionals = { of = "text", most = 1 }
execute = ["/usr/bin", "/bin"]
env = { PATH = "/usr/bin:/bin" }
timeout_ms = 60000
processes = 8
"#;

const ASKS: &str = "[[capability]]\nname = \"process\"\nscope = { programs = [\"sh\", \"uname\", \"ls\", \"git\"] }\n\
                    [[capability]]\nname = \"files\"\nscope = { guest = \"/work\", access = \"rw\" }\n";

/// A host with the guest that runs what it is told; `policy` is its file of commands when it is not empty.
fn host(folder: &Path, policy: &str) -> Host {
    let data = folder.join("data");
    if !policy.is_empty() {
        std::fs::create_dir_all(data.join("policies")).unwrap();
        std::fs::write(data.join("policies/commands.toml"), policy).unwrap();
    }
    let host = Host::start(Options { data: Some(data), ..Options::default() });
    let package = package(&host);
    host.cli(&["plugin", "install", package.to_str().unwrap()]).ok();
    host
}

fn package(host: &Host) -> PathBuf {
    let folder = host.scratch().join("process");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(fixture("process"), folder.join("process.wasm")).unwrap();
    let manifest = format!("[plugin]\nid = \"process\"\nversion = \"0.1.0\"\n\n{ASKS}");
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    folder
}

fn grant(host: &Host, capability: &str, scope: &Value) {
    host.cli(&["plugin", "grant", "process", capability, "--scope", &scope.to_string()]).ok();
}

fn call(host: &Host, arguments: &Value) -> Value {
    host.cli(&["plugin", "call", "process_run", &arguments.to_string(), "--json"]).json()["result"].clone()
}

/// Processes whose command line holds `mark`.
fn alive(mark: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|words| {
            let words = String::from_utf8_lossy(words);
            // The command that asks for it has the same words.
            words.contains(mark) && !words.contains("process_run")
        })
        .count()
}

#[test]
fn a_plugin_runs_programs_of_the_policy_only_as_it_was_granted() {
    let place = tempfile::tempdir().unwrap();
    let host = host(place.path(), "");
    let uname = json!({ "program": "uname", "argv": ["-s"] });

    let denied = call(&host, &uname);
    assert_eq!(denied["code"], "PERMISSION_DENIED");
    assert!(denied["message"].as_str().unwrap().contains("berth plugin grant process process"), "{denied}");

    grant(&host, "process", &json!({ "programs": ["uname", "ls"] }));
    assert_eq!(
        call(&host, &uname),
        json!({ "exit": 0, "stdout": "Linux\n", "stderr": "", "truncated": false })
    );
    let refused = call(&host, &json!({ "program": "uname", "argv": ["--version"] }));
    assert_eq!(refused["code"], "COMMAND_REFUSED", "{refused}");
    for program in ["date", "/bin/sh", "../sh", ""] {
        assert_eq!(call(&host, &json!({ "program": program }))["code"], "PERMISSION_DENIED", "{program}");
    }

    let work = place.path().join("work");
    std::fs::create_dir(&work).unwrap();
    std::fs::write(work.join("note.txt"), "x").unwrap();
    let list = json!({ "program": "ls", "folder": "/work" });
    assert_eq!(call(&host, &list)["code"], "PERMISSION_DENIED");
    grant(&host, "files", &json!({ "guest": "/work", "host": work, "access": "ro" }));
    assert_eq!(call(&host, &list)["stdout"], "note.txt\n");
    assert_eq!(call(&host, &json!({ "program": "ls" }))["code"], "PROGRAM_FOLDER_NEEDED");
    assert_eq!(call(&host, &json!({ "program": "ls", "folder": "/work/../.." }))["code"], "PROGRAM_FOLDER");
    assert_eq!(
        call(&host, &json!({ "program": "uname", "folder": "/work" }))["code"],
        "PROGRAM_FOLDER_UNUSED"
    );
    let cut = call(&host, &json!({ "program": "ls", "folder": "/work", "output_bytes": 4 }));
    assert_eq!((&cut["stdout"], &cut["truncated"]), (&json!("note"), &json!(true)));
}

#[test]
fn a_program_reads_nothing_of_the_host_and_outlives_neither_its_time_nor_the_host() {
    let place = tempfile::tempdir().unwrap();
    let mut host = host(place.path(), SHELL);
    grant(&host, "process", &json!({ "programs": ["sh"] }));
    let data = host.data().to_owned();
    let line = |line: &str| json!({ "program": "sh", "argv": ["-c", line] });

    for name in ["access-token", "berth.db", "policies/commands.toml", "berth.toml"] {
        let read = call(&host, &line(&format!("cat {}", data.join(name).display())));
        assert_ne!(read["exit"], 0, "{read}");
        assert_eq!(read["stdout"], "", "{read}");
    }
    let peek = call(&host, &line(&format!("cat /proc/{0}/environ; kill -9 {0} && echo killed", host.pid())));
    assert_eq!(peek["stdout"], "", "{peek}");
    let token = host.token();
    let env = call(&host, &line("env"));
    assert!(!env.to_string().contains(&token), "{env}");

    let mark = format!("mark_host_{}", std::process::id());
    let spin = line(&format!("sh -c ': {mark}; while :; do :; done' & while :; do :; done"));
    let mut timed = spin.clone();
    timed["timeout_ms"] = json!(300);
    assert_eq!(call(&host, &timed)["code"], "PROGRAM_TIMEOUT");
    while alive(&mark) > 0 {
        std::thread::yield_now();
    }
    let asking = host.spawn(&["plugin", "call", "process_run", &spin.to_string()]);
    while alive(&mark) < 2 {
        std::thread::yield_now();
    }
    // Others go on meanwhile.
    assert_eq!(host.cli(&["plugin", "call", "process_hello", "{}", "--json"]).json()["result"], "hello");
    host.kill9();
    drop(asking);
    while alive(&mark) > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_policy_that_is_not_right_stops_the_start_with_its_line() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    std::fs::create_dir_all(data.join("policies")).unwrap();
    std::fs::write(data.join("policies/commands.toml"), "[program.sh]\npath = \"sh\"\n").unwrap();

    let said =
        run(berth(place.path()).args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data)).failed(1);

    assert!(said.contains("commands.toml:1: [program.sh]: `sh` must be an absolute path"), "{said}");
}

#[test]
fn the_policy_says_what_it_allows_and_by_which_line() {
    let place = tempfile::tempdir().unwrap();
    let policy = |words: &[&str]| run(berth(place.path()).args(["policy"]).args(words));

    let said = policy(&["check-command", "uname", "-s"]).ok();
    assert!(said.contains("allowed by the built-in policy:"), "{said}");
    let allowed = policy(&["--json", "check-command", "git", "log", "-n", "3"]).json();
    assert_eq!(allowed["allowed"], true);
    assert!(allowed["argv"].as_array().unwrap().contains(&json!("-n3")), "{allowed}");
    let said = policy(&["check-command", "git", "log", "--output=/tmp/x"]).failed(1);
    assert!(said.contains("`--output` is not allowed"), "{said}");
    let refused = policy(&["--json", "check-command", "git", "log", "--output=/tmp/x"]);
    assert_eq!(refused.code, 1);
    let refused: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!((&refused["allowed"], &refused["argument"]), (&json!(false), &json!(2)));
    assert!(refused["line"].as_u64().unwrap() > 1);
    let listed = policy(&["commands"]).ok();
    assert!(listed.contains("git") && listed.contains("uname"), "{listed}");
}

#[test]
fn the_doctor_says_which_walls_this_machine_has_around_programs() {
    let place = tempfile::tempdir().unwrap();
    let host = host(place.path(), SHELL);

    let checks = host.cli(&["doctor", "--json"]).json();

    let commands =
        checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == "commands").unwrap();
    let detail = commands["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("1 programs; ") && detail.contains("landlock") && detail.contains("seccomp"),
        "{detail}"
    );
}
