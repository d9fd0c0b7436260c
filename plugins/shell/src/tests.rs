#![allow(clippy::unwrap_used)]

use berth_plugin::process::Output;
use berth_plugin::testing;

use super::*;

fn programs_say(stdout: &str) {
    let stdout = stdout.as_bytes().to_vec();
    testing::host(|host| {
        host.on_program_run(move |_| {
            let output = Output {
                exit: 3,
                stdout: stdout.clone(),
                stderr: vec![0xff],
                truncated: true,
                meta: Vec::new(),
            };
            Ok(output)
        });
    });
}

fn run(program: &str, argv: &[&str]) -> Result<Ran, Error> {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Shell::run(program.into(), Some(argv), None, None, None, None)
}

#[test]
fn a_program_gets_its_arguments_word_by_word_and_its_answer_comes_whole() {
    programs_say("out");
    let argv = vec!["log".to_owned(), "$(id); rm -rf / | x > y\n*".to_owned(), String::new()];

    let ran =
        Shell::run("git".into(), Some(argv.clone()), Some("in".into()), Some("/files".into()), None, None)
            .unwrap();

    assert_eq!(
        (ran.exit, ran.stdout.as_str(), ran.stderr.as_str(), ran.truncated),
        (3, "out", "\u{fffd}", true)
    );
    let runs = testing::host(|host| host.program_runs.clone());
    assert_eq!((runs[0].argv.clone(), runs[0].folder.as_deref()), (argv, Some("/files")));
    assert_eq!(runs[0].stdin, b"in");
}

#[test]
fn who_waits_hears_what_is_run_and_what_it_says() {
    programs_say(&"x".repeat(PIECE_BYTES + 1));

    run("ls", &[]).unwrap();

    let (reports, pieces) = testing::host(|host| (host.reports.clone(), host.partials.clone()));
    assert_eq!(reports[0], (None, "running ls".to_owned()));
    assert_eq!(reports[1], (Some(1.0), "ls ended with 3".to_owned()));
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [PIECE_BYTES, 1]);
}

#[test]
fn a_path_or_a_command_line_never_reaches_the_host() {
    programs_say("");
    for program in
        ["/bin/sh", "../git", "git log", "sh -c id", "git;id", "git\nid", "$(id)", "`id`", "a|b", "", "é"]
    {
        assert_eq!(run(program, &[]).unwrap_err().code, "invalid_arguments", "{program:?}");
    }
    assert!(testing::host(|host| host.program_runs.is_empty()));

    let hint = run("git log -n 3", &[]).unwrap_err().message;
    assert!(hint.ends_with(r#"give program "git" and argv ["log","-n","3"]: no shell reads it"#), "{hint}");
}

#[test]
fn a_refusal_of_the_host_keeps_its_code_and_says_where_to_look() {
    let refused = run("rm", &["-rf", "/"]).unwrap_err();

    assert_eq!(refused.code, "COMMAND_REFUSED");
    assert!(
        refused.message.ends_with("`berth policy commands` lists what may be run"),
        "{}",
        refused.message
    );
}

#[test]
fn what_may_be_run_is_told_and_a_dry_run_runs_nothing() {
    testing::host(|host| {
        host.granted = vec!["process".into()];
        host.context.dry_run = true;
    });

    let told = Shell::allowed(vec!["git".into()]);
    run("git", &["status"]).unwrap();

    assert_eq!((told[0].program.as_str(), told[0].granted), ("git", true));
    assert!(testing::host(|host| host.program_runs.is_empty()));
}
