//! Programs that behave: what they get, what is kept of what they say.
#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use berth_process::{ProcessError, Request};
use support::{broker, folder, line, request, run, said, shell};
use tokio_util::sync::CancellationToken;

fn standard() -> berth_process::Broker {
    broker(berth_process::policy::DEFAULT)
}

#[tokio::test]
async fn the_programs_of_the_built_in_policy_run() {
    let broker = standard();
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("note.txt"), "one\ntwo\n").unwrap();
    let in_folder = |mut request: berth_process::Request| {
        request.folder = folder(place.path(), false);
        request
    };

    assert_eq!(said(&broker, request("uname", &["-s"])).await, (0, "Linux\n".to_owned()));
    let (exit, year) = said(&broker, request("date", &["-u", "+%Y"])).await;
    assert_eq!((exit, year.trim().len()), (0, 4));
    assert_eq!(said(&broker, in_folder(request("ls", &["-1"]))).await, (0, "note.txt\n".to_owned()));
    assert_eq!(said(&broker, in_folder(request("wc", &["-l", "note.txt"]))).await.1, "2 note.txt\n");
    let mut counted = request("wc", &["-c"]);
    counted.stdin = b"12345".to_vec();
    assert_eq!(said(&broker, counted).await, (0, "5\n".to_owned()));
}

#[tokio::test]
async fn git_reads_a_repository_and_runs_nothing_that_the_repository_names() {
    let broker = standard();
    let place = tempfile::tempdir().unwrap();
    let trap = place.path().join("trap.sh");
    let mark = place.path().join("trapped");
    std::fs::write(&trap, format!("#!/bin/sh\ntouch {}\n", mark.display())).unwrap();
    std::fs::set_permissions(&trap, std::fs::Permissions::from_mode(0o755)).unwrap();
    let git = |words: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main"]);
        assert!(
            command.args(words).current_dir(place.path()).output().unwrap().status.success(),
            "{words:?}"
        );
    };
    git(&["init", "-q"]);
    std::fs::write(place.path().join("a.txt"), "first\n").unwrap();
    git(&["add", "a.txt"]);
    git(&["commit", "-qm", "the first commit"]);
    std::fs::write(place.path().join("a.txt"), "second\n").unwrap();
    std::fs::write(place.path().join(".gitattributes"), "*.txt diff=evil filter=evil\n").unwrap();
    let trap = trap.to_str().unwrap();
    for key in [
        "core.fsmonitor",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "filter.evil.clean",
        "core.pager",
        "core.sshCommand",
        "gpg.program",
        "core.editor",
    ] {
        git(&["config", key, trap]);
    }
    let in_folder = |argv: &[&str]| {
        let mut request = request("git", argv);
        request.folder = folder(place.path(), true);
        request
    };

    let (exit, log) = said(&broker, in_folder(&["log", "--oneline", "-n", "1"])).await;
    assert_eq!(exit, 0, "{log}");
    assert!(log.contains("the first commit"), "{log}");
    for argv in [&["status", "--short"][..], &["diff"], &["show", "HEAD"], &["log", "-p"]] {
        run(&broker, in_folder(argv)).await.unwrap();
    }

    assert!(!mark.exists());
}

#[tokio::test]
async fn a_program_has_the_environment_of_its_rule_and_no_open_file_of_the_host() {
    let broker = broker(&shell("read = [\"/proc\"]"));
    let secret = std::fs::File::open("/etc/hostname").unwrap();

    let (_, env) = said(&broker, line("exec env")).await;
    let (_, files) = said(&broker, line("exec ls /proc/self/fd")).await;
    drop(secret);

    let mut names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert!(names.iter().all(|name| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)), "{names:?}");
    // Its own three, and the folder that it lists.
    assert_eq!(files.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn a_folder_is_written_only_when_the_rule_and_the_grant_say_so() {
    let place = tempfile::tempdir().unwrap();
    for (rule, grant, written) in
        [(false, false, false), (false, true, false), (true, false, false), (true, true, true)]
    {
        let broker = broker(&shell(&format!("write = {rule}")));
        let mut wish = line("read text < old; echo $text; echo x > new");
        std::fs::write(place.path().join("old"), "old text\n").unwrap();
        wish.folder = folder(place.path(), grant);

        let (_, said) = said(&broker, wish).await;

        assert!(said.contains("old text"), "{said}");
        assert_eq!(std::fs::remove_file(place.path().join("new")).is_ok(), written, "{rule} {grant}: {said}");
    }
}

#[tokio::test]
async fn lines_are_told_while_the_program_runs() {
    let broker = broker(&shell(""));
    let there = tempfile::tempdir().unwrap();
    let (told, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let hear = Arc::new(move |line: &str| told.send(line.to_owned()).unwrap());
    let heard_request = Request {
        folder: folder(there.path(), true),
        // Goes on when the line that it wrote was heard.
        ..line("echo first; while ! test -e go; do :; done; printf '\\n\\nsecond' >&2; printf last")
    };

    let cancel = CancellationToken::new();
    let running = broker.run_heard(heard_request, &cancel, hear);
    let goes = async {
        assert_eq!(lines.recv().await.unwrap(), "first");
        std::fs::write(there.path().join("go"), "").unwrap();
        let mut rest = [lines.recv().await.unwrap(), lines.recv().await.unwrap()];
        rest.sort();
        rest
    };
    let (output, rest) = tokio::join!(running, goes);

    assert_eq!(rest, ["last", "second"]);
    assert_eq!(output.unwrap().stdout, b"first\nlast");
}

#[tokio::test]
async fn exit_codes_signals_and_both_outputs_are_told() {
    let broker = broker(&shell(""));

    let output = run(&broker, line("echo out; echo err >&2; exit 7")).await.unwrap();
    assert_eq!(
        (output.exit, output.stdout.as_slice(), output.stderr.as_slice()),
        (7, &b"out\n"[..], &b"err\n"[..])
    );
    assert!(!output.truncated);
    assert_eq!(run(&broker, line("kill -9 $$")).await.unwrap().exit, 128 + 9);
}

#[tokio::test]
async fn what_cannot_run_is_said_before_anything_is_started() {
    let place = tempfile::tempdir().unwrap();
    let changeable = place.path().join("changeable");
    std::fs::copy("/bin/true", &changeable).unwrap();
    std::fs::set_permissions(&changeable, std::fs::Permissions::from_mode(0o777)).unwrap();
    let broker = broker(&format!(
        "{}[program.gone]\npath = \"/nonexistent/x\"\n[program.changeable]\npath = \"{}\"\n\
         [program.needs]\npath = \"/bin/true\"\nfolder = \"needed\"\n[program.none]\npath = \"/bin/true\"\n",
        shell(""),
        changeable.display()
    ));
    let with_folder = |program: &str, path: &std::path::Path| {
        let mut request = request(program, &[]);
        request.folder = folder(place.path(), false);
        if let Some(folder) = request.folder.as_mut() {
            folder.at = path.to_owned();
        }
        request
    };
    let mut fed = request("none", &[]);
    fed.stdin = b"x".to_vec();
    std::os::unix::fs::symlink("/etc", place.path().join("out")).unwrap();

    for (request, code) in [
        (request("sh", &["-c", "a\nb"]), "COMMAND_REFUSED"),
        (request("bash", &[]), "COMMAND_REFUSED"),
        (request("gone", &[]), "PROGRAM_NOT_INSTALLED"),
        (request("changeable", &[]), "PROGRAM_CHANGEABLE"),
        (request("needs", &[]), "PROGRAM_FOLDER_NEEDED"),
        (with_folder("none", place.path()), "PROGRAM_FOLDER_UNUSED"),
        (with_folder("needs", &place.path().join("out")), "PROGRAM_FOLDER"),
        (with_folder("needs", std::path::Path::new("/etc")), "PROGRAM_FOLDER"),
        (with_folder("needs", &place.path().join("nothing")), "PROGRAM_FOLDER"),
        (fed, "PROGRAM_INPUT_TOO_LARGE"),
    ] {
        assert_eq!(run(&broker, request.clone()).await.unwrap_err().code(), code, "{request:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_program_is_a_failure_of_the_start_and_not_an_exit() {
    let place = tempfile::tempdir().unwrap();
    let text = place.path().join("text");
    std::fs::write(&text, "no program").unwrap();
    std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o755)).unwrap();
    let broker = broker(&format!("[program.text]\npath = \"{}\"\n", text.display()));

    let failed = run(&broker, request("text", &[])).await.unwrap_err();

    assert_eq!(failed.code(), "PROGRAM_START");
    assert!(failed.to_string().contains("text"), "{failed}");
}

#[tokio::test]
async fn one_plugin_runs_two_programs_at_once_and_others_go_on() {
    let broker = broker(&shell(""));
    let stop = CancellationToken::new();
    let mark = format!("mark_busy_{}", std::process::id());
    let runs: Vec<_> = (0..2)
        .map(|_| {
            let (broker, stop, mark) = (broker.clone(), stop.clone(), mark.clone());
            tokio::spawn(
                async move { broker.run(line(&format!(": {mark}; while :; do :; done")), &stop).await },
            )
        })
        .collect();
    while support::alive(&mark).len() < 2 {
        tokio::task::yield_now().await;
    }

    let refused = run(&broker, line("exit 0")).await;

    assert_eq!(refused.unwrap_err().code(), "PROGRAM_BUSY");
    let mut other = line("exit 0");
    other.caller = "other".to_owned();
    assert_eq!(run(&broker, other).await.unwrap().exit, 0);
    stop.cancel();
    for run in runs {
        assert!(matches!(run.await.unwrap(), Err(ProcessError::Cancelled)));
    }
}

#[tokio::test]
async fn a_machine_that_lacks_a_layer_runs_nothing_unless_the_policy_says_so() {
    let refused = broker(&format!("[sandbox]\nbubblewrap = \"/nonexistent/bwrap\"\n{}", shell("")));
    let failed = run(&refused, line("exit 0")).await.unwrap_err();
    assert_eq!(failed.code(), "PROGRAM_SANDBOX_WEAKER");
    assert!(failed.to_string().contains("bubblewrap"), "{failed}");
    assert_eq!(refused.layers().bubblewrap, Some(false));

    let weaker =
        format!("[sandbox]\nbubblewrap = \"/nonexistent/bwrap\"\nallow_weaker = true\n{}", shell(""));
    assert_eq!(run(&broker(&weaker), line("exit 0")).await.unwrap().exit, 0);
}

#[tokio::test]
async fn bubblewrap_is_put_around_the_last_step_with_namespaces_and_the_folder() {
    let place = tempfile::tempdir().unwrap();
    let words = place.path().join("words");
    let wrapper = place.path().join("bwrap");
    // Stands in for bubblewrap: keeps its words, then runs what stands behind `--`.
    let script = format!(
        "#!/bin/sh\necho \"$*\" > {}\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n",
        words.display()
    );
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let policy = format!("[sandbox]\nbubblewrap = \"{}\"\n{}", wrapper.display(), shell("write = true"));
    let mut wish = line("echo x > made");
    wish.folder = folder(place.path(), true);

    let (exit, said) = said(&broker(&policy), wish).await;

    assert_eq!(exit, 0, "{said}");
    assert!(place.path().join("made").exists());
    let words = std::fs::read_to_string(words).unwrap();
    for wanted in ["--unshare-pid", "--unshare-net", "--die-with-parent", "--ro-bind / /"] {
        assert!(words.contains(wanted), "{words}");
    }
    assert!(
        words.contains(&format!("--bind {0} {0}", place.path().canonicalize().unwrap().display())),
        "{words}"
    );
}
