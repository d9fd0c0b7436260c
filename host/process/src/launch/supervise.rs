//! The supervisor: starts the last step, and ends everything that came of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{
    Pid, Signal, WaitIdOptions, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper,
    setsid, wait, waitid,
};

use super::{LAST, ORDER, Order, Report, WORD, receive, send};

/// Runs one order that comes on standard input, and tells there how it ended.
pub fn run() -> io::Result<()> {
    let mut host = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // No Ctrl-C for the host reaches this group, and no terminal is near.
    setsid()?;
    // What the program leaves behind comes to this process, which ends it.
    set_child_subreaper(Some(getpid()))?;
    let order: Order = serde_json::from_slice(&receive(&mut host)?).map_err(io::Error::other)?;
    let input = receive(&mut host)?;
    let report = match start(&order) {
        Ok(child) => supervise(child, input, &host)?,
        Err(error) => Report::Failed(error.to_string()),
    };
    send(&mut host, &serde_json::to_vec(&report).map_err(io::Error::other)?)
}

fn start(order: &Order) -> io::Result<Child> {
    let this = std::env::current_exe()?;
    let text = serde_json::to_string(order).map_err(io::Error::other)?;
    let mut command = match &order.bubblewrap {
        None => Command::new(&this),
        Some(bubblewrap) => wrapped(bubblewrap, order, &this),
    };
    command
        .args([WORD, LAST])
        .env_clear()
        .env(ORDER, text)
        .current_dir(&order.folder)
        .process_group(0)
        .stdin(Stdio::piped());
    command.spawn()
}

/// Namespaces of its own for everything that follows; the system as it is, for reading.
fn wrapped(bubblewrap: &PathBuf, order: &Order, this: &PathBuf) -> Command {
    let mut command = Command::new(bubblewrap);
    command.args(["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]);
    if order.connect.is_empty() {
        command.arg("--unshare-net");
    }
    command.args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]);
    for path in &order.write {
        command.arg("--bind").args([path, path]);
    }
    command.arg("--chdir").arg(&order.folder).arg("--").arg(this);
    command
}

/// Waits for the end of the program, of the host's patience, or of the host.
fn supervise(mut child: Child, input: Vec<u8>, host: &UnixStream) -> io::Result<Report> {
    let group = Pid::from_child(&child);
    feed(&mut child, input);
    watch(host.try_clone()?, group);
    // The number of the program stays taken until it is reaped, so the group is still the one that was made.
    while let Err(error) =
        waitid(rustix::process::WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
    {
        if error != rustix::io::Errno::INTR {
            return Err(error.into());
        }
    }
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait()?;
    end_the_rest();
    use std::os::unix::process::ExitStatusExt as _;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Report::Exited(code),
        (None, Some(signal)) => Report::Signalled(signal),
        (None, None) => Report::Failed("the program ended in no known way".to_owned()),
    })
}

/// Gives the program its input, and then the end of it.
fn feed(child: &mut Child, input: Vec<u8>) {
    if let Some(mut stdin) = child.stdin.take() {
        std::thread::spawn(move || {
            // A program that does not read its input is free not to.
            let _ = stdin.write_all(&input);
        });
    }
}

/// Ends the group when the host says anything more, or nothing ever again.
fn watch(mut host: UnixStream, group: Pid) {
    std::thread::spawn(move || {
        let _ = host.read(&mut [0]);
        let _ = kill_process_group(group, Signal::KILL);
    });
}

/// Every process that this one sees, with its parent.
fn processes() -> BTreeMap<i32, i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name before them may hold anything, spaces and brackets too.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
            Some((id, fields.next()?.parse().ok()?))
        })
        .collect()
}

/// Ends and reaps whatever came to this process as an orphan, until nothing is left.
fn end_the_rest() {
    let own = getpid().as_raw_nonzero().get();
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(rustix::io::Errno::INTR) => continue,
            // Nobody is left.
            Err(_) => return,
        }
        for (id, _) in processes().into_iter().filter(|(_, parent)| *parent == own) {
            if let Some(id) = Pid::from_raw(id) {
                let _ = kill_process(id, Signal::KILL);
            }
        }
        // Blocks until one of them has ended.
        let _ = wait(WaitOptions::empty());
    }
}
