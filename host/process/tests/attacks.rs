//! Programs that want out: a shell tries, on real processes, what a plugin could make any program try.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use berth_process::{ProcessError, Request};
use support::{alive, broker, folder, line, request, run, said, shell};
use tokio_util::sync::CancellationToken;

/// Waits until nobody with `mark` is left. A story that waits for ever is stopped by its runner.
fn until_gone(mark: &str) {
    while !alive(mark).is_empty() {
        std::thread::yield_now();
    }
}

fn mark(name: &str) -> String {
    format!("mark_{name}_{}", std::process::id())
}

/// Children of this process that have ended and were not reaped.
fn zombies() -> usize {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let fields: Vec<&str> =
                stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
            fields.first() == Some(&"Z") && fields.get(1) == Some(&own.as_str())
        })
        .count()
}

#[tokio::test]
async fn a_program_that_may_start_none_starts_no_process() {
    let broker = broker(&shell(""));

    let (exit, said) = said(&broker, line("ls / && echo started")).await;

    assert_ne!(exit, 0);
    assert!(!said.contains("started"), "{said}");
}

#[tokio::test]
async fn a_program_that_may_start_others_is_nobody_at_a_host_that_is_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let broker = broker(&shell("processes = 16"));
    let there = tempfile::tempdir().unwrap();
    std::fs::write(there.path().join("private"), "of root").unwrap();
    std::fs::set_permissions(there.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(there.path().join("private"), closed).unwrap();

    let ids = "id -u; id -g; id -G";
    let (_, said_of) = said(&broker, line(ids)).await;
    let reads = Request { folder: folder(there.path(), false), ..line("cat private") };
    let (exit, refused) = said(&broker, reads).await;

    assert!(said_of.starts_with("65534\n65534\n65534\n"), "{said_of}");
    assert_ne!(exit, 0);
    assert!(refused.contains("Permission denied"), "{refused}");
}

#[tokio::test]
async fn a_program_has_no_more_processes_than_it_may() {
    let Some(perl) = perl() else { return };
    let broker = broker(&format!(
        "[program.perl]\npath = \"{}\"\nvalues = {{ \"-e\" = \"text\" }}\nprocesses = 8\n",
        perl.display()
    ));
    let code =
        "for (1..200) { my $p = fork; last unless defined $p; if (!$p) { while (1) {} } $n++ } print $n";

    // Others of the same user come and go while it counts, and may leave it no place at all at the first try.
    let mut started = String::new();
    for _ in 0..20 {
        (_, started) = said(&broker, request("perl", &["-e", code])).await;
        if !started.is_empty() {
            break;
        }
    }
    let started: u32 = started.parse().unwrap();
    assert!((1..=40).contains(&started), "{started}");
}

#[tokio::test]
async fn a_fork_bomb_is_ended_and_leaves_nobody() {
    let broker = broker(&shell("processes = 16").replace("timeout_ms = 60000", "timeout_ms = 500"));
    let mark = mark("bomb");

    let bombs = format!(": {mark}; bomb() {{ bomb | bomb & }}; bomb; while :; do :; done");
    let running = tokio::spawn({
        let broker = broker.clone();
        async move { run(&broker, line(&bombs)).await }
    });
    let mut most = 0;
    while !running.is_finished() {
        most = most.max(alive(&mark).len());
        tokio::task::yield_now().await;
    }
    let ended = running.await.unwrap();

    // The program, what it may start, the two before it; others of the same user end while they are counted.
    assert!(most <= 16 + 3 + 32, "{most}");
    assert!(matches!(ended, Err(ProcessError::Timeout { .. })) || ended.is_ok(), "{ended:?}");
    until_gone(&mark);
}

#[tokio::test]
async fn who_leaves_the_group_or_the_session_is_still_ended() {
    let broker = broker(&shell("processes = 16"));
    let mark = mark("setsid");

    for leave in ["setsid sh", "setsid -f sh", "nohup sh", "sh"] {
        let (_, said) = said(
            &broker,
            line(&format!("{leave} -c ': {mark}; while :; do :; done' >/dev/null 2>&1 & echo left")),
        )
        .await;
        assert_eq!(said, "left\n");
        until_gone(&mark);
    }
}

#[tokio::test]
async fn a_child_that_never_ends_is_ended_at_its_time_with_all_that_it_started() {
    let broker = broker(&shell("processes = 16").replace("timeout_ms = 60000", "timeout_ms = 300"));
    let mark = mark("never");

    let ended =
        run(&broker, line(&format!("sh -c ': {mark}; while :; do :; done' & while :; do :; done"))).await;

    assert!(matches!(ended, Err(ProcessError::Timeout { .. })), "{ended:?}");
    until_gone(&mark);
}

#[tokio::test]
async fn a_cancelled_and_a_forgotten_run_leave_nobody() {
    let broker = broker(&shell("processes = 16"));
    let mark = mark("cancel");
    let spin = line(&format!("sh -c ': {mark}; while :; do :; done' & while :; do :; done"));

    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (broker, spin, stop) = (broker.clone(), spin.clone(), stop.clone());
        async move { broker.run(spin, &stop).await }
    });
    while alive(&mark).len() < 2 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    assert!(matches!(running.await.unwrap(), Err(ProcessError::Cancelled)));
    until_gone(&mark);

    let running = tokio::spawn(async move { broker.run(spin, &CancellationToken::new()).await });
    while alive(&mark).len() < 2 {
        tokio::task::yield_now().await;
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    until_gone(&mark);
}

#[tokio::test]
async fn a_program_that_waits_for_more_input_gets_the_end_of_it() {
    let broker = broker(&shell("stdin_bytes = 1000\nprocesses = 4"));
    let mut wish = line("cat; echo ended");
    wish.stdin = b"all there is\n".to_vec();

    assert_eq!(said(&broker, wish).await, (0, "all there is\nended\n".to_owned()));
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_the_program_ends() {
    let broker = broker(&shell("output_bytes = 65536"));

    let output = run(&broker, line("while :; do echo flood; done")).await.unwrap();
    assert!(output.truncated);
    assert_eq!(output.stdout.len(), 65536);
    let output = run(&broker, line("while :; do echo flood >&2; done")).await.unwrap();
    assert!(output.truncated);
    assert_eq!(output.stderr.len(), 65536);
}

#[tokio::test]
async fn no_zombie_stays_behind() {
    let broker = broker(&shell("processes = 16"));

    for _ in 0..3 {
        said(&broker, line("sh -c 'sh -c : & sh -c : &' & exit 0")).await;
    }

    assert_eq!(zombies(), 0);
}

#[tokio::test]
async fn nothing_outside_the_granted_folder_is_written() {
    let broker = broker(&shell("write = true"));
    let place = tempfile::tempdir().unwrap();
    let inside = place.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let outside = place.path().join("outside");
    std::fs::write(&outside, "kept").unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();

    for attempt in [
        format!("echo gone > {}", outside.display()),
        "echo gone > link".to_owned(),
        "echo gone > ../outside".to_owned(),
        format!("rm -f {}", outside.display()),
        format!("mv {} .", outside.display()),
        format!("ln {} hard", outside.display()),
        format!("truncate -s 0 {}", outside.display()),
        format!("mkdir {}/made", place.path().display()),
        "echo x > /tmp/berth_was_here".to_owned(),
        "echo x > /dev/shm/berth_was_here".to_owned(),
        "mv . ../elsewhere".to_owned(),
    ] {
        let mut wish = line(&attempt);
        wish.folder = folder(&inside, true);
        let (exit, said) = said(&broker, wish).await;

        assert_ne!(exit, 0, "{attempt}: {said}");
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "kept", "{attempt}");
    }
    assert!(!Path::new("/tmp/berth_was_here").exists() && !Path::new("/dev/shm/berth_was_here").exists());
    assert!(!place.path().join("made").exists());
}

#[tokio::test]
async fn the_token_the_key_and_the_database_of_the_host_are_not_read() {
    let broker = broker(&shell(""));
    let data = tempfile::tempdir().unwrap();
    let files = data.path().join("files");
    std::fs::create_dir(&files).unwrap();
    for name in ["access-token", "secret.key", "berth.db"] {
        std::fs::write(data.path().join(name), "the secret of the host").unwrap();
    }
    std::os::unix::fs::symlink(data.path().join("berth.db"), files.join("db")).unwrap();
    let host = std::process::id();

    for attempt in [
        format!("cat {}/access-token", data.path().display()),
        format!("cat < {}/secret.key", data.path().display()),
        "cat db ../berth.db".to_owned(),
        format!("ls {}", data.path().display()),
        format!("cat /proc/{host}/environ /proc/{host}/cmdline"),
        format!("head -c 1 /proc/{host}/mem"),
        format!("ls /proc/{host}/fd /proc/{host}/root"),
        "cat /proc/self/environ".to_owned(),
        "cat /etc/shadow /etc/hostname /root/.ssh/id_rsa".to_owned(),
        "ls /home /root /var /tmp".to_owned(),
    ] {
        let mut wish = line(&attempt);
        wish.folder = folder(&files, false);
        let output = run(&broker, wish).await.unwrap();

        assert_ne!(output.exit, 0, "{attempt}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{attempt}");
    }
}

#[tokio::test]
async fn a_program_reaches_no_network_and_no_socket_of_the_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let place = tempfile::tempdir().unwrap();
    let local = UnixListener::bind(place.path().join("socket")).unwrap();
    local.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let Some(perl) = perl() else { return };
    let tcp = format!(
        "socket(S,PF_INET,SOCK_STREAM,0)||die 'no socket'; connect(S,sockaddr_in({port},inet_aton('127.0.0.1')))||die 'no way'; print 'in'"
    );
    let unix = "socket(S,PF_UNIX,SOCK_STREAM,0)||die 'no socket'; connect(S,sockaddr_un('socket'))||die 'no way'; print 'in'";
    let udp = "socket(S,PF_INET,SOCK_DGRAM,0)||die 'no socket'; print 'in'";
    let listen = "socket(S,PF_INET,SOCK_STREAM,0)||die 'no socket'; bind(S,sockaddr_in(0,INADDR_ANY))||die 'no way'; print 'in'";

    for (connect, code, way_in) in [
        ("[]".to_owned(), tcp.as_str(), false),
        ("[]".to_owned(), unix, false),
        ("[]".to_owned(), udp, false),
        ("[1]".to_owned(), tcp.as_str(), false),
        (format!("[{port}]"), tcp.as_str(), true),
        (format!("[{port}]"), unix, false),
        (format!("[{port}]"), udp, false),
        (format!("[{port}]"), listen, false),
    ] {
        let broker = broker(&format!(
            "[program.perl]\npath = \"{}\"\nfolder = \"optional\"\nflags = [\"-MSocket\"]\nvalues = {{ \"-e\" = \"text\" }}\nconnect = {connect}\n",
            perl.display()
        ));
        let mut wish = request("perl", &["-MSocket", "-e", code]);
        wish.folder = folder(place.path(), true);
        let (_, said) = said(&broker, wish).await;

        assert_eq!(said == "in", way_in, "{connect} {code}: {said}");
        assert_eq!(listener.accept().is_ok(), way_in, "{connect} {code}");
        assert!(local.accept().is_err());
    }
}

/// A language that every Debian has.
fn perl() -> Option<PathBuf> {
    let path = PathBuf::from("/usr/bin/perl");
    path.is_file().then_some(path)
}

#[tokio::test]
async fn calls_that_lead_out_of_the_sandbox_are_refused() {
    let Some(perl) = perl() else { return };
    let broker =
        broker(&format!("[program.perl]\npath = \"{}\"\nvalues = {{ \"-e\" = \"text\" }}\n", perl.display()));
    // Numbers of x86-64 and of arm64.
    let x86 = cfg!(target_arch = "x86_64");
    let number = |x86_64: i64, arm64: i64| if x86 { x86_64 } else { arm64 };
    let host = std::process::id();
    for (name, code) in [
        ("ptrace", format!("syscall({}, 16, {host}, 0, 0)", number(101, 117))),
        ("unshare", format!("syscall({}, 0x10000000)", number(272, 97))),
        ("setns", format!("syscall({}, 0, 0)", number(308, 268))),
        ("mount", format!("syscall({}, 0, 0, 0, 0, 0)", number(165, 40))),
        ("keyctl", format!("syscall({}, 0, -3, 1)", number(250, 219))),
        ("bpf", format!("syscall({}, 0, 0, 0)", number(321, 280))),
        ("userfaultfd", format!("syscall({}, 0)", number(323, 282))),
        ("io_uring_setup", format!("syscall({}, 1, 0)", number(425, 425))),
        ("perf_event_open", format!("syscall({}, 0, 0, -1, -1, 0)", number(298, 241))),
        ("setsid", format!("syscall({})", number(112, 157))),
        ("setpgid", format!("syscall({}, 0, 0)", number(109, 154))),
        ("clone into a user namespace", format!("syscall({}, 0x10000011, 0, 0, 0, 0)", number(56, 220))),
        ("no death signal", format!("syscall({}, 1, 0, 0, 0, 0)", number(157, 167))),
        ("limits of the host", format!("syscall({}, {host}, 7, 0, 0)", number(302, 261))),
        ("signal to the host", format!("kill(0, {host}) ? 0 : -1")),
        ("signal to the supervisor", "kill(0, getppid()) ? 0 : -1".to_owned()),
    ] {
        let code = format!("print 0 + ({code})");
        let (_, said) = said(&broker, request("perl", &["-e", &code])).await;

        assert_eq!(said, "-1", "{name}");
    }
    if x86 {
        // The second number of the same call.
        let code = format!("print 0 + syscall({})", 112 | 0x4000_0000);
        assert_eq!(said(&broker, request("perl", &["-e", &code])).await.1, "-1");
    }
}

#[tokio::test]
async fn what_was_not_named_is_not_executed() {
    let place = tempfile::tempdir().unwrap();
    std::fs::copy("/bin/echo", place.path().join("own")).unwrap();
    std::os::unix::fs::symlink("/bin/echo", place.path().join("link")).unwrap();
    let alone = broker(
        "[program.sh]\npath = \"/bin/sh\"\nfolder = \"optional\"\nflags = [\"-c\"]\npositionals = { of = \"text\", most = 1 }\nwrite = true\n",
    );

    for attempt in ["exec /usr/bin/id", "exec ./own here", "exec ./link here"] {
        let mut wish = line(attempt);
        wish.folder = folder(place.path(), true);
        let (exit, said) = said(&alone, wish).await;

        assert_ne!(exit, 0, "{attempt}: {said}");
        assert!(!said.contains("uid=") && !said.contains("here\n"), "{attempt}: {said}");
    }
}

#[tokio::test]
async fn memory_files_and_computing_time_have_limits() {
    let Some(perl) = perl() else { return };
    let place = tempfile::tempdir().unwrap();
    let broker = broker(&format!(
        "[program.perl]\npath = \"{}\"\nfolder = \"optional\"\nvalues = {{ \"-e\" = \"text\" }}\nwrite = true\n\
         memory_bytes = 134217728\nfile_bytes = 65536\ncpu_seconds = 1\ntimeout_ms = 60000\n",
        perl.display()
    ));
    let wish = |code: &str| {
        let mut wish = request("perl", &["-e", code]);
        wish.folder = folder(place.path(), true);
        wish
    };

    let output = run(&broker, wish("my $x = 'a' x (512 << 20); print 'got it'")).await.unwrap();
    assert_ne!(output.exit, 0);
    assert_eq!(output.stdout, b"");
    let output = run(&broker, wish("open(F, '>', 'big'); for (1..9999) { print F 'x' x 4096 } close(F)"))
        .await
        .unwrap();
    assert_ne!(output.exit, 0);
    assert!(std::fs::metadata(place.path().join("big")).unwrap().len() <= 65536);
    let output = run(&broker, wish("while (1) {}")).await.unwrap();
    assert!([128 + 9, 128 + 24].contains(&output.exit), "{}", output.exit);
}

/// Runs in a process of its own, which the next story kills: a host that runs a program that never ends.
#[test]
fn a_host_of_its_own() {
    let Ok(mark) = std::env::var("BERTH_STORY_MARK") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let broker_runs = async {
        let broker = broker(&shell("processes = 16"));
        let spin = format!("sh -c ': {mark}; while :; do :; done' & while :; do :; done");
        run(&broker, line(&spin)).await
    };
    panic!("the program came to an end: {:?}", runtime.block_on(broker_runs).map(|output| output.exit));
}

#[test]
fn a_host_that_is_killed_leaves_no_child() {
    let mark = mark("host");
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_host_of_its_own", "--nocapture"])
        .env("BERTH_STORY_MARK", &mark)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while alive(&mark).len() < 2 {
        if host.try_wait().unwrap().is_some() {
            let output = host.wait_with_output().unwrap();
            panic!("{}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::yield_now();
    }

    host.kill().unwrap();
    host.wait().unwrap();

    until_gone(&mark);
}
