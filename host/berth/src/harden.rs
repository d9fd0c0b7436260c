//! What the host does to itself before it holds a secret.

/// Writes no core dump of this process, and lets no other process of the user read its memory: both would show secrets.
///
/// A system that cannot do it is told of in the log, and the host goes on.
#[cfg(target_os = "linux")]
pub fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let done =
        setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = done {
        tracing::warn!(%error, "core dumps of this process cannot be switched off: they would hold secrets");
    }
}

#[cfg(not(target_os = "linux"))]
pub fn keep_memory_private() {}
