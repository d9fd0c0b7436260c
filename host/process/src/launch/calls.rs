//! Seccomp: which calls of the kernel a program may make.
//!
//! Everything but what is named here, as programs need hundreds of calls and these are those that lead out of the
//! other walls. Each filter has one answer; the strictest of all counts.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// What a rule lets a program do.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Whether it may start processes.
    pub processes: bool,
    /// Whether it may connect anywhere.
    pub connect: bool,
    /// The version of Landlock around it; what an old one leaves open is closed here.
    pub landlock: i32,
}

/// Whether this code knows the calls of the machine.
pub fn is_known_machine() -> bool {
    TargetArch::try_from(std::env::consts::ARCH).is_ok()
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Result<T> = std::result::Result<T, seccompiler::BackendError>;

/// The filters, to be applied one after another.
pub fn filters(wanted: &Wanted) -> Result<Vec<BpfProgram>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut made = Vec::new();
    for (rules, errno) in [
        (forbidden(wanted)?, libc::EPERM),
        (network(wanted)?, libc::EACCES),
        (processes(wanted)?, libc::EAGAIN),
        // The flags of this one are in memory, where no filter sees them: libraries fall back to the older call.
        (always([libc::SYS_clone3]), libc::ENOSYS),
    ] {
        if rules.is_empty() {
            continue;
        }
        let answer = SeccompAction::Errno(u32::try_from(errno).unwrap_or(1));
        let rules = doubled(rules);
        made.push(BpfProgram::try_from(SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?)?);
    }
    Ok(made)
}

fn always(calls: impl IntoIterator<Item = i64>) -> Rules {
    calls.into_iter().map(|call| (call, Vec::new())).collect()
}

fn condition(argument: u8, op: Op, value: u64) -> Result<SeccompCondition> {
    SeccompCondition::new(argument, Len::Dword, op, value)
}

fn when(conditions: Vec<SeccompCondition>) -> Result<SeccompRule> {
    SeccompRule::new(conditions)
}

/// Calls that reach other processes, the kernel itself, or out of the group and of the namespaces.
fn forbidden(wanted: &Wanted) -> Result<Rules> {
    let mut rules = always([
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_kcmp,
        libc::SYS_pidfd_getfd,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_setsid,
        libc::SYS_setpgid,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_kexec_load,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_adjtimex,
        libc::SYS_clock_adjtime,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_syslog,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_lookup_dcookie,
        libc::SYS_nfsservctl,
        libc::SYS_fanotify_init,
        libc::SYS_personality,
        libc::SYS_memfd_secret,
    ]);
    #[cfg(target_arch = "x86_64")]
    rules.extend(always([
        libc::SYS_kexec_file_load,
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_modify_ldt,
        libc::SYS_uselib,
        libc::SYS__sysctl,
    ]));
    // New namespaces by the older call.
    let namespaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let mut clone = Vec::new();
    for flag in namespaces {
        let flag = u64::try_from(flag).unwrap_or(0);
        clone.push(when(vec![condition(0, Op::MaskedEq(flag), flag)?])?);
    }
    rules.insert(libc::SYS_clone, clone);
    // The signal of the supervisor's death, and taking over orphans.
    let prctl = [libc::PR_SET_PDEATHSIG, libc::PR_SET_CHILD_SUBREAPER, libc::PR_SET_PTRACER]
        .into_iter()
        .map(|word| when(vec![condition(0, Op::Eq, u64::try_from(word).unwrap_or(0))?]))
        .collect::<Result<Vec<_>>>()?;
    rules.insert(libc::SYS_prctl, prctl);
    // Limits of others.
    rules.insert(libc::SYS_prlimit64, vec![when(vec![condition(0, Op::Ne, 0)?])?]);
    // Words into the terminal of others.
    let ioctl = [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSCTTY]
        .into_iter()
        .map(|word| when(vec![condition(1, Op::Eq, word)?]))
        .collect::<Result<Vec<_>>>()?;
    rules.insert(libc::SYS_ioctl, ioctl);
    if wanted.landlock < 3 {
        rules.extend(always([libc::SYS_truncate]));
    }
    if wanted.landlock < 6 {
        rules.extend(always([
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_rt_tgsigqueueinfo,
            libc::SYS_pidfd_send_signal,
        ]));
        let own = u64::from(std::process::id());
        rules.insert(libc::SYS_tgkill, vec![when(vec![condition(0, Op::Ne, own)?])?]);
    }
    Ok(rules)
}

/// No socket at all, or TCP to where Landlock lets it.
fn network(wanted: &Wanted) -> Result<Rules> {
    let mut rules = always([libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4]);
    if !wanted.connect || wanted.landlock < 4 {
        rules.extend(always([libc::SYS_socket, libc::SYS_connect]));
        return Ok(rules);
    }
    let number = |word: i32| u64::try_from(word).unwrap_or(0);
    // Any family but the two of IP, and any kind but a stream; the flags beside the kind do not count.
    let family =
        vec![condition(0, Op::Ne, number(libc::AF_INET))?, condition(0, Op::Ne, number(libc::AF_INET6))?];
    let kinds = [libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP];
    let mut socket = vec![when(family)?];
    for kind in kinds {
        socket.push(when(vec![condition(1, Op::MaskedEq(0xf), number(kind))?])?);
    }
    // A stream may be of another protocol than TCP, which Landlock does not know.
    socket.push(when(vec![condition(2, Op::Ne, 0)?, condition(2, Op::Ne, number(libc::IPPROTO_TCP))?])?);
    rules.insert(libc::SYS_socket, socket);
    // Sends the first bytes of a connection without the call that Landlock looks at.
    let fast_open = number(libc::MSG_FASTOPEN);
    rules.insert(libc::SYS_sendto, vec![when(vec![condition(3, Op::MaskedEq(fast_open), fast_open)?])?]);
    rules.insert(libc::SYS_sendmsg, vec![when(vec![condition(2, Op::MaskedEq(fast_open), fast_open)?])?]);
    rules.insert(libc::SYS_sendmmsg, vec![when(vec![condition(3, Op::MaskedEq(fast_open), fast_open)?])?]);
    Ok(rules)
}

/// Threads are always allowed; processes when the rule says so.
fn processes(wanted: &Wanted) -> Result<Rules> {
    if wanted.processes {
        return Ok(Rules::new());
    }
    let thread = u64::try_from(libc::CLONE_THREAD).unwrap_or(0);
    let clone = vec![when(vec![condition(0, Op::MaskedEq(thread), 0)?])?];
    #[cfg(target_arch = "x86_64")]
    let mut rules = always([libc::SYS_fork, libc::SYS_vfork]);
    #[cfg(not(target_arch = "x86_64"))]
    let mut rules = Rules::new();
    rules.insert(libc::SYS_clone, clone);
    Ok(rules)
}

/// On x86-64 some kernels take every call under a second number.
#[cfg(target_arch = "x86_64")]
fn doubled(rules: Rules) -> Rules {
    const SECOND: i64 = 0x4000_0000;
    let mut doubled = rules.clone();
    doubled.extend(rules.into_iter().map(|(call, rules)| (call | SECOND, rules)));
    // Those that have a third one there.
    doubled.extend((512..=547).map(|call| (call | SECOND, Vec::new())));
    doubled
}

#[cfg(not(target_arch = "x86_64"))]
fn doubled(rules: Rules) -> Rules {
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_makes_filters_that_the_kernel_can_take() {
        for processes in [false, true] {
            for connect in [false, true] {
                for landlock in [0, 2, 4, 7] {
                    let filters = filters(&Wanted { processes, connect, landlock }).unwrap();

                    assert_eq!(filters.len(), if processes { 3 } else { 4 });
                    // The most that the kernel takes.
                    assert!(filters.iter().all(|filter| filter.len() <= 4096));
                }
            }
        }
    }
}
