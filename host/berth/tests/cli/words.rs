//! What is said when something was mistyped, forgotten or is not there: it names the thing and the way out.

use crate::support::{Host, Options, berth, plugin, run};

#[test]
fn a_plugin_that_is_not_there_is_told_with_the_command_that_was_meant() {
    let host = Host::start(Options::bundled());
    let says = |words: &[&str]| host.cli(&[&["plugin"], words].concat()).failed(1);

    for (words, meant) in [
        (&["show", "fils"][..], "berth plugin show files"),
        (&["logs", "clok"], "berth plugin logs clock"),
        (&["disable", "clok"], "berth plugin disable clock"),
        (&["doctor", "clok"], "berth plugin doctor clock"),
        (&["upgrade", "clok", "--accept"], "berth plugin upgrade clock --accept"),
        // Lists of nothing would say that all is well.
        (&["audit", "clok"], "berth plugin audit clock"),
        (&["suggest", "clok"], "berth plugin suggest clock"),
        (&["deliveries", "clok"], "berth plugin deliveries clock"),
        (&["events", "clok"], "berth plugin events clock"),
        (&["channel", "clok"], "berth plugin channel clock"),
    ] {
        let said = says(words);
        let wanted = format!("error: no plugin `{}` is installed\n  try: berth", words[1]);
        assert!(said.starts_with(&wanted), "{said}");
        // Between them stands where the host of this story is.
        assert!(said.trim_end().ends_with(meant.trim_start_matches("berth ")), "{said}");
    }
    assert!(says(&["show", "weather"]).ends_with("try: berth plugin list\n"));
    let told = host.cli(&["plugin", "show", "clok", "--json"]).failed(1);
    assert!(told.contains("\"hint\":\"berth ") && told.contains("plugin show clock"), "{told}");
    // A grant may come before its plugin; that it does is said.
    let folder = host.scratch().join("notes");
    std::fs::create_dir(&folder).unwrap();
    let ahead = host.cli(&["plugin", "grant", "fils", "files", "--folder", folder.to_str().unwrap()]);
    assert_eq!(ahead.err, "no plugin fils is installed yet: the grant counts when it is\n");
}

#[test]
fn a_tool_that_is_not_there_and_arguments_that_do_not_fit_are_told_with_what_would() {
    let host = Host::start(Options::bundled());
    let call = |tool: &str, arguments: &str| host.cli(&["plugin", "call", tool, arguments]).failed(1);

    let slip = call("clock_nwo", "{}");
    let unknown = call("weather", "{}");
    let missing = call("clock_add", "{}");
    let kind = call("clock_add", "{\"start\": 5, \"duration\": \"1h\"}");
    let other = call("clock_add", "{\"start\": \"now\", \"duration\": \"1h\", \"tz\": \"UTC\"}");
    host.cli(&["plugin", "disable", "clock"]).ok();
    let off = call("clock_now", "{}");

    let takes = "\n  try: clock_add(start: string, duration: string, zone?: string)\n";
    assert!(slip.contains("clock_nwo") && slip.ends_with("plugin call clock_now '{}'\n"), "{slip}");
    assert!(unknown.ends_with("  try: berth plugin list\n"), "{unknown}");
    assert_eq!(missing, format!("error: the arguments do not fit clock_add: /start: is required{takes}"));
    assert_eq!(
        kind,
        format!("error: the arguments do not fit clock_add: /start: must be a string, not a number{takes}")
    );
    assert!(other.contains("clock_add: /tz: ") && other.ends_with(takes), "{other}");
    assert!(off.ends_with("  try: berth plugin show clock\n"), "{off}");
}

#[test]
fn what_a_plugin_asks_for_is_shown_with_a_command_that_fits_its_scope() {
    let host = Host::start(Options::default());
    let folder = host.scratch().join("echo");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(plugin("echo").join("echo.wasm"), folder.join("echo.wasm")).unwrap();
    let wish = |name: &str, scope: &str| {
        format!("[[capability]]\nname = \"{name}\"\nrequired = false\nreason = \"to try\"\n{scope}\n")
    };
    let manifest = [
        "[plugin]\nid = \"echo\"\nversion = \"0.1.0\"\n".to_owned(),
        wish("files", "scope = { guest = \"/in it's\", access = \"ro\" }"),
        wish("http", "scope = { hosts = [\"https://a.example\"], methods = [\"GET\"] }"),
        wish(
            "secret",
            "scope = { id = \"key\", audience = [\"https://a.example\"], place = [\"json:/key\"] }",
        ),
        wish("keyvalue", "scope = { access = \"rw\" }"),
        wish("endpoint", "scope = { tools = [\"rpi.gpio.read\", \"rpi.*\"], endpoints = [\"pi\"] }"),
        wish("process", ""),
    ];
    std::fs::write(folder.join("plugin.toml"), manifest.concat()).unwrap();
    host.cli(&["plugin", "install", folder.to_str().unwrap()]).ok();

    let shown = host.cli(&["plugin", "show", "echo"]).ok();

    let commands: Vec<_> =
        shown.lines().filter_map(|line| line.strip_prefix("    berth plugin grant echo ")).collect();
    assert_eq!(
        commands,
        [
            r"files --folder DIR --as '/in it'\''s'",
            r#"http --scope '{"hosts":["https://a.example"],"methods":["GET"]}'"#,
            r#"secret --scope '{"audience":["https://a.example"],"id":"key","place":["json:/key"]}'"#,
            r#"keyvalue --scope '{"access":"rw"}'"#,
            "endpoint --tool rpi.gpio.read --tool 'rpi.*' --endpoint pi",
            r#"process --scope '{"programs": ["ID"]}'"#,
        ]
    );
    // Each is a command as it stands, but for what only the operator can know.
    for command in commands {
        let notes = host.scratch().to_str().unwrap();
        let words = command.replace("DIR", &format!("{notes}/echo")).replace("ID", "git");
        let mut shell = std::process::Command::new("sh");
        let line = format!("exec \"$BERTH\" --data \"$DATA\" plugin grant echo {words}");
        shell.args(["-c", &line]).env("BERTH", env!("CARGO_BIN_EXE_berth")).env("DATA", host.data());
        let granted = run(&mut shell);
        assert_eq!(granted.code, 0, "{command}: {}", granted.err);
    }
}

#[test]
fn files_and_folders_that_are_no_plugins_are_named_with_the_way_to_one() {
    let host = Host::start(Options::default());
    let scratch = host.scratch();
    std::fs::create_dir(scratch.join("empty")).unwrap();
    std::fs::write(scratch.join("notes.txt"), "not a plugin").unwrap();
    std::fs::write(scratch.join("notes.berth"), "not a plugin").unwrap();
    std::fs::create_dir(scratch.join("unbuilt")).unwrap();
    std::fs::write(scratch.join("unbuilt/plugin.toml"), "[plugin]\nid = \"unbuilt\"\nversion = \"0.1.0\"\n")
        .unwrap();
    let says = |words: &[&str], code: i32| host.cli(&[&["plugin"], words].concat()).failed(code);

    for (words, code, said) in [
        (&["install", "none"][..], 2, &["none does not exist", "a .berth file"][..]),
        (&["install", "empty"], 1, &["empty has no plugin.toml", "docs/plugin-guide.md"]),
        (&["install", "notes.txt"], 1, &["notes.txt: ", "no WebAssembly component"]),
        (&["install", "notes.berth"], 1, &["notes.berth: ", "damaged", "Get it again"]),
        (&["install", "unbuilt"], 1, &["unbuilt.wasm cannot be read", "try: berth plugin build "]),
        (&["upgrade", "echo", "none"], 2, &["none does not exist"]),
        (&["build", "none"], 2, &["there is no folder none"]),
        (&["build", "empty"], 2, &["empty has no plugin.toml", "`berth plugin new`"]),
        (&["pack", "none"], 2, &["there is no folder none"]),
        (&["pack", "empty"], 2, &["empty has no plugin.toml", "`berth plugin new`"]),
        (&["test", "none"], 2, &["there is no folder none"]),
        (&["verify", "none.berth"], 2, &["none.berth does not exist", "`berth plugin pack`"]),
        (&["verify", "notes.txt"], 2, &["notes.txt is no .berth file", "`berth plugin pack`"]),
        (&["verify", "notes.berth"], 1, &["damaged"]),
        (&["push", "notes.txt", "a.example/b:1"], 2, &["notes.txt is no .berth file"]),
        (&["key", "show", "notes.txt"], 1, &["notes.txt is no signing key", "`berth plugin key new`"]),
        (&["pull", ":::"], 2, &["`:::` names no place", "registry.example/acme/tally:0.1.0"]),
        (&["new", "1x", "--lang", "rust"], 2, &["`1x` is no name for a plugin", "a letter first"]),
        (&["new", "x", "--lang", "cobol"], 2, &["`cobol`", "rust, js, python, c"]),
        (&["revoke", "abc"], 1, &["abc", "try: berth plugin show ID"]),
    ] {
        let all = says(words, code);
        for piece in said {
            assert!(all.contains(piece), "{words:?} lacks {piece:?}: {all}");
        }
        assert!(all.starts_with("error: ") && !all.contains("os error 2)\n\n"), "{words:?}: {all}");
    }
}

#[test]
fn what_a_plugin_cannot_do_now_is_told_with_where_to_look() {
    let host = Host::start(Options::bundled());
    let says = |words: &[&str]| host.cli(&[&["plugin"], words].concat()).failed(1);

    for (words, way) in [
        (&["upgrade", "clock", "--accept"][..], "berth plugin generations clock"),
        (&["rollback", "clock"], "berth plugin generations clock"),
        (&["rollback", "clock", "--to", "7"], "berth plugin generations clock"),
        (&["resume", "clock"], "berth plugin show clock"),
        (&["channel", "clock"], "berth plugin show clock"),
        (&["events", "clock", "retry", "e"], "berth plugin events clock"),
        (&["deliveries", "clock", "edit", "d", "text"], "berth plugin deliveries clock"),
    ] {
        let said = says(words);
        assert!(said.ends_with(&format!("\n  try: {way}\n")), "{words:?}: {said}");
    }
}

#[test]
fn a_registry_that_does_not_answer_and_a_host_that_is_not_there_are_named() {
    let home = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let registry =
        run(berth(home.path()).args(["plugin", "pull", &format!("{free}/acme/tally:1")])).failed(1);
    let host = run(berth(home.path()).args(["plugin", "list", "--url", &format!("http://{free}")])).failed(3);

    assert_eq!(
        registry,
        format!("error: no registry answers at {free}: look at the name, and whether one runs there\n")
    );
    assert!(host.contains(&format!("no host answers at http://{free}")), "{host}");
    assert!(host.contains("`berth serve`") && host.contains("--url"), "{host}");
}
