//! The few calls of the kernel that no safe library of ours has.

use std::io;

/// Lets no open file but the standard three go on into the program.
pub fn close_others() -> io::Result<()> {
    #[expect(unsafe_code, reason = "flags descriptors; none is closed while somebody here uses it")]
    // SAFETY: the call takes numbers only and touches no memory of this process.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Becomes `user` for good, with the group of the same number and no other.
pub fn become_user(user: u32) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "the safe calls of this are for programs that are started, not for this one"
    )]
    // SAFETY: the calls take numbers, and a null list of no groups; this process has one thread.
    let done = unsafe {
        libc::setgroups(0, std::ptr::null()) == 0
            && libc::setresgid(user, user, user) == 0
            && libc::setresuid(user, user, user) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives up every capability for good: a program of root gets none back.
pub fn drop_capabilities() -> io::Result<()> {
    for capability in 0..64 {
        #[expect(unsafe_code, reason = "the kernel has no safe door to this")]
        // SAFETY: the call takes numbers only and touches no memory of this process.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if dropped != 0 {
            // EINVAL is the end of the list; who may not drop has none to lose.
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINVAL | libc::EPERM) => break,
                _ => return Err(error),
            }
        }
    }
    // Version 3, this process; three sets of two words, all empty.
    let header: [u32; 2] = [0x2008_0522, 0];
    let nothing: [u32; 6] = [0; 6];
    #[expect(unsafe_code, reason = "the kernel has no safe door to this")]
    // SAFETY: both pointers are to arrays of the size that version 3 reads, which outlive the call.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), nothing.as_ptr()) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets no program that is run from here on gain anything by its file's mode.
pub fn no_new_privileges() -> io::Result<()> {
    #[expect(unsafe_code, reason = "the kernel has no safe door to this")]
    // SAFETY: the call takes numbers only and touches no memory of this process.
    let set = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The version of Landlock that the kernel offers, 0 when it offers none.
pub fn landlock_version() -> i32 {
    const TELL_THE_VERSION: u32 = 1;
    #[expect(unsafe_code, reason = "the kernel has no safe door to this")]
    // SAFETY: with this flag the call reads no memory; the pointer is null as it asks for.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            TELL_THE_VERSION,
        )
    };
    i32::try_from(version).unwrap_or(0).max(0)
}
