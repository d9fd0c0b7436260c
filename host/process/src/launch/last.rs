//! The last step: limits around this process, then it becomes the program.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};

use super::{FAILED, ORDER, Order, calls, paths, sys};

/// Comes back only when something failed; the answer is the exit code.
pub fn run() -> i32 {
    let Some(order) = std::env::var(ORDER).ok().and_then(|text| serde_json::from_str::<Order>(&text).ok())
    else {
        return FAILED;
    };
    let error = launch(&order);
    // The mark tells the host that this is not the program that speaks.
    let _ = writeln!(io::stderr(), "{}{error}", order.mark);
    FAILED
}

/// Becomes the program, or says why not.
fn launch(order: &Order) -> String {
    match prepare(order) {
        Ok(mut program) => format!("{}: {}", order.path.display(), program.exec()),
        Err(error) => error,
    }
}

fn prepare(order: &Order) -> Result<Command, String> {
    // Before the signal of the parent's death, which a change of user takes back.
    if let Some(user) = order.user {
        sys::become_user(user).map_err(|error| format!("user {user}: {error}"))?;
    }
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| format!("prctl: {error}"))?;
    if getppid() != parent {
        return Err("the supervisor is gone".to_owned());
    }
    sys::close_others().map_err(|error| format!("close_range: {error}"))?;
    sys::drop_capabilities().map_err(|error| format!("capabilities: {error}"))?;
    sys::no_new_privileges().map_err(|error| format!("no_new_privs: {error}"))?;
    let mut program = Command::new(&order.path);
    program.args(&order.argv).env_clear().envs(&order.env);
    // Made before memory is short.
    let filters = if order.seccomp {
        calls::filters(&calls::Wanted {
            processes: order.processes > 0,
            connect: !order.connect.is_empty(),
            landlock: if order.landlock { crate::layers::landlock_version() } else { 0 },
        })
        .map_err(|error| format!("seccomp: {error}"))?
    } else {
        Vec::new()
    };
    if order.landlock {
        paths::restrict(order).map_err(|error| format!("landlock: {error}"))?;
    }
    let mut limits = vec![(Resource::Core, 0)];
    if order.processes > 0 {
        // The kernel counts threads of the same user, wherever they run.
        limits.push((Resource::Nproc, tasks_of_user() + u64::from(order.processes)));
    }
    limits.extend([
        (Resource::Cpu, order.cpu_seconds),
        (Resource::Fsize, order.file_bytes),
        (Resource::Nofile, order.open_files),
        (Resource::Memlock, 64 << 10),
        (Resource::Msgqueue, 0),
        (Resource::As, order.memory_bytes),
    ]);
    for (resource, limit) in limits {
        let both = Rlimit { current: Some(limit), maximum: Some(limit) };
        setrlimit(resource, both).map_err(|error| format!("rlimit {resource:?}: {error}"))?;
    }
    for filter in &filters {
        seccompiler::apply_filter(filter).map_err(|error| format!("seccomp: {error}"))?;
    }
    Ok(program)
}

/// Tasks of the user of this process, this one among them.
fn tasks_of_user() -> u64 {
    let own = rustix::process::getuid().as_raw().to_string();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
            let field = |name: &str| {
                status
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.split_whitespace().next().map(str::to_owned))
            };
            if field("Uid:")? != own { None } else { field("Threads:")?.parse::<u64>().ok() }
        })
        .sum::<u64>()
        .max(1)
}
