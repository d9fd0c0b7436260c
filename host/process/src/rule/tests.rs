use proptest::prelude::*;

use super::*;

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Rules as an operator might write them for programs with a bad name.
const OTHERS: &str = r#"
[program.curl]
path = "/usr/bin/curl"
flags = ["-s", "--silent", "-I"]
values = { "--max-time" = "number", "-m" = "number" }
denied = ["-o", "--output", "-K", "--config", "-d", "--data"]
positionals = { of = '/https:\/\/example\.com\/[a-z\/]*/', most = 1 }

[program.find]
path = "/usr/bin/find"
values = { "-name" = "text", "-type" = ["f", "d"], "-maxdepth" = "number" }
positionals = { of = "path", most = 1 }

[program.tar]
path = "/usr/bin/tar"
flags = ["-t", "--list"]
values = { "-f" = "path", "--file" = "path" }

[program.open]
path = "/usr/bin/open"
denied = ["--evil", "-e"]
positionals = { of = "text", most = 9 }
after_dashes = { of = "text", most = 9 }
flags = ["-x", "-e"]
"#;

fn policy() -> Policy {
    Policy::parse("commands.toml", &format!("{}\n{OTHERS}", crate::policy::DEFAULT)).unwrap()
}

#[test]
fn what_the_policy_names_is_run_with_its_fixed_arguments() {
    let policy = policy();
    for (program, given, run) in [
        ("date", vec!["-u", "+%Y-%m-%d"], vec!["-u", "+%Y-%m-%d"]),
        ("date", vec!["--iso-8601", "seconds"], vec!["--iso-8601=seconds"]),
        ("uname", vec!["-a"], vec!["-a"]),
        ("ls", vec!["-la", "src/main.rs"], vec!["-la", "src/main.rs"]),
        ("curl", vec!["-m", "5", "https://example.com/a"], vec!["-m5", "https://example.com/a"]),
        ("curl", vec!["-m5", "--max-time=7"], vec!["-m5", "--max-time=7"]),
        ("open", vec!["a", "--", "b"], vec!["a", "--", "b"]),
    ] {
        let allowed = policy.check(program, &argv(&given)).unwrap();

        assert_eq!(allowed.argv, run, "{program} {given:?}");
        assert!(!allowed.write);
    }
    let log =
        policy.check("git", &argv(&["log", "-n", "3", "--since", "1 week", "HEAD~2", "--", "src"])).unwrap();
    let tail: Vec<&str> = log.argv.iter().map(String::as_str).skip_while(|word| *word != "log").collect();
    assert_eq!(
        tail,
        [
            "log",
            "--no-ext-diff",
            "--no-textconv",
            "--no-show-signature",
            "-n3",
            "--since=1 week",
            "HEAD~2",
            "--",
            "src"
        ]
    );
    assert_eq!(log.argv[0], "--no-pager");
    assert!(log.line > log.program.line);
}

#[test]
fn ways_to_write_run_or_read_elsewhere_are_refused() {
    let policy = policy();
    for (program, given) in [
        // Options that write, configure or run.
        ("git", vec!["log", "--output=/tmp/x"]),
        ("git", vec!["diff", "--output", "/tmp/x"]),
        ("git", vec!["-c", "core.pager=sh", "log"]),
        ("git", vec!["log", "-c", "core.pager=sh"]),
        ("git", vec!["--git-dir=/tmp/evil", "log"]),
        ("git", vec!["-C", "/etc", "status"]),
        ("git", vec!["--exec-path=/tmp", "log"]),
        ("git", vec!["diff", "--ext-diff"]),
        ("git", vec!["diff", "--no-index", "a", "b"]),
        ("git", vec!["push"]),
        ("git", vec!["log", "--textconv"]),
        ("curl", vec!["-o/tmp/x"]),
        ("curl", vec!["-o", "/tmp/x"]),
        ("curl", vec!["--output=/tmp/x"]),
        ("curl", vec!["-K", "x"]),
        ("curl", vec!["--config", "x"]),
        ("curl", vec!["-d", "@/etc/passwd"]),
        ("curl", vec!["--data=@/etc/passwd"]),
        ("curl", vec!["file:///etc/passwd"]),
        ("curl", vec!["https://example.com.evil.example/"]),
        ("curl", vec!["https://example.com/", "https://example.com/"]),
        ("find", vec![".", "-exec", "sh", "-c", "x", ";"]),
        ("find", vec![".", "-delete"]),
        ("find", vec![".", "-fprintf", "x"]),
        ("tar", vec!["-t", "--to-command=sh"]),
        ("tar", vec!["--checkpoint-action=exec=sh"]),
        ("tar", vec!["-f", "host:archive", "-I", "sh"]),
        ("date", vec!["-s", "now"]),
        ("date", vec!["--set=now"]),
        ("date", vec!["-f", "/etc/passwd"]),
        // Combined letters, glued and abbreviated options.
        ("curl", vec!["-so/tmp/x"]),
        ("curl", vec!["-sI"]),
        ("tar", vec!["-tf"]),
        ("date", vec!["--se=now"]),
        ("git", vec!["log", "--outp=/tmp/x"]),
        ("ls", vec!["--al"]),
        ("date", vec!["-us"]),
        // `=` where there is none.
        ("ls", vec!["-l=x"]),
        ("ls", vec!["--all=x"]),
        ("git", vec!["status", "--short=--output"]),
        // Options behind `--`, and as values.
        ("git", vec!["log", "--", "--output=x"]),
        ("open", vec!["--", "-x"]),
        ("open", vec!["--", "--", "-x"]),
        ("git", vec!["log", "-n", "--output=x"]),
        ("git", vec!["log", "--author", "--output=x"]),
        ("git", vec!["log", "--author=@file"]),
        ("ls", vec!["--", "-l"]),
        // Files of arguments, line ends, NUL, other folders.
        ("open", vec!["@file"]),
        ("open", vec!["a\nb"]),
        ("open", vec!["a\0b"]),
        ("open", vec!["a\u{1b}[2J"]),
        ("ls", vec!["/etc"]),
        ("ls", vec!["../x"]),
        ("ls", vec!["a/../../x"]),
        ("ls", vec!["~root"]),
        ("git", vec!["log", "--", ":(top)x"]),
        ("ls", vec!["-"]),
        // Denied beats allowed.
        ("open", vec!["-e"]),
        ("open", vec!["-evil"]),
        ("open", vec!["--evil"]),
        ("open", vec!["--evil=1"]),
        // No such thing.
        ("/bin/sh", vec!["-c", "x"]),
        ("sh", vec![]),
        ("git", vec![]),
        ("uname", vec!["x"]),
        ("tar", vec!["-f"]),
        ("find", vec!["-type", "l"]),
    ] {
        let refused = policy.check(program, &argv(&given));

        assert!(refused.is_err(), "{program} {given:?}: {:?}", refused.map(|allowed| allowed.argv));
    }
}

#[test]
fn a_refusal_names_the_argument_the_reason_and_the_line_of_the_rule() {
    let policy = Policy::parse(
        "commands.toml",
        "[program.a]\npath = \"/a\"\n[program.a.command.b]\nvalues = { \"-n\" = \"number\" }\n",
    )
    .unwrap();

    let refused = policy.check("a", &argv(&["b", "-n", "x"])).unwrap_err();
    assert_eq!(refused.to_string(), "`x` of `-n` is not a number");
    assert_eq!((refused.argument, refused.line), (Some(2), Some(3)));
    let unknown = policy.check("b", &[]).unwrap_err();
    assert_eq!(unknown.to_string(), "`b` is no program of the policy: it has a");
    assert_eq!(unknown.line, None);
}

#[test]
fn arguments_are_bounded() {
    let policy = policy();
    let long = "x".repeat(ARGUMENT_BYTES + 1);

    assert!(policy.check("open", &[long]).is_err());
    assert!(policy.check("open", &vec!["a".to_owned(); MOST_ARGUMENTS + 1]).is_err());
    assert!(policy.check("open", &vec!["x".repeat(4000); 17]).is_err());
}

proptest! {
    /// Whatever a guest gives, the program gets no option that the rule does not name.
    #[test]
    fn no_argument_becomes_an_option_that_the_rule_does_not_name(
        words in prop::collection::vec("(-{0,2}[a-z=@/.:+]{0,6}|--|-n|--since|log|HEAD)", 0..8)
    ) {
        let policy = policy();
        let mut given = vec!["log".to_owned()];
        given.extend(words);
        if let Ok(allowed) = policy.check("git", &given) {
            let rule = &allowed.program.commands["log"];
            let from = allowed.argv.iter().position(|word| word == "log").unwrap() + 1 + rule.fixed.len();
            for word in &allowed.argv[from..] {
                let known = !word.starts_with('-')
                    || word == "--"
                    || rule.flags.contains(word)
                    || rule.values.keys().any(|name| word.starts_with(name.as_str()));
                prop_assert!(known, "{word} of {given:?}");
            }
        }
    }
}
