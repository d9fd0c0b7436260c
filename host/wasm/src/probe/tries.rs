//! What is tried, and how a refusal looks.

use serde_json::Value;

/// What a function of the probe answers when nothing stopped it.
pub(super) const DONE: u64 = 1000;

/// One try: a function of the component.
pub(super) struct Try {
    pub name: &'static str,
    pub tool: &'static str,
    pub says: Says,
}

/// How a try shows that it was stopped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says {
    /// The call ends with this code.
    Code(&'static str),
    /// The guest is told no, which is this.
    No(&'static str),
    /// An error of `wasi:filesystem`.
    Files,
    /// An error of `wasi:sockets`.
    Sockets,
    /// Lines are dropped.
    CutLogs,
    /// A line is cut.
    CutLine,
}

impl Says {
    /// What the guest was refused with; nothing when it got through.
    pub fn refusal(self, answer: &Value) -> Option<&'static str> {
        let number = answer.as_u64().filter(|number| *number != DONE)?;
        match self {
            Self::No(by) => Some(by),
            Self::Files => FILE_ERRORS.get(usize::try_from(number).ok()?).copied(),
            Self::Sockets => SOCKET_ERRORS.get(usize::try_from(number).ok()?).copied(),
            Self::Code(_) | Self::CutLogs | Self::CutLine => None,
        }
    }
}

const fn code(name: &'static str, tool: &'static str, code: &'static str) -> Try {
    Try { name, tool, says: Says::Code(code) }
}

const fn told(name: &'static str, tool: &'static str, says: Says) -> Try {
    Try { name, tool, says }
}

pub(super) const TRIES: [Try; 33] = [
    code("spin", "spin", "PLUGIN_CPU_LIMIT"),
    code("spin-in-bulk-memory", "spin-in-bulk", "PLUGIN_CPU_LIMIT"),
    code("spin-in-host-calls", "spin-in-the-host", "PLUGIN_CPU_LIMIT"),
    told("memory", "grow-memory", Says::No("the memory limit")),
    told("tables", "table", Says::No("the table limit")),
    code("recursion", "recursion", "PLUGIN_STACK_LIMIT"),
    code("handles", "handles", "PLUGIN_HANDLE_LIMIT"),
    told("log-flood", "logs", Says::CutLogs),
    told("long-log-line", "long-line", Says::CutLine),
    code("answer-1-gib", "answer", "PLUGIN_HOSTCALL_LIMIT"),
    code("answer-2-mib", "answer", "PLUGIN_OUTPUT_TOO_LARGE"),
    code("host-call-data", "hostcall", "PLUGIN_HOSTCALL_LIMIT"),
    code("sleep-in-host-call", "sleep", "PLUGIN_TIMEOUT"),
    code("random-flood", "random", "PLUGIN_TRAP"),
    told("environment", "environment", Says::No("an empty environment")),
    told("arguments", "arguments", Says::No("no arguments")),
    told("standard-input", "input", Says::No("a closed stream")),
    code("exit", "exit", "PLUGIN_EXIT"),
    code("trap", "trap", "PLUGIN_TRAP"),
    told("socket-tcp", "tcp", Says::Sockets),
    told("socket-udp", "udp", Says::Sockets),
    told("name-lookup", "lookup", Says::Sockets),
    told("endpoint-without-grant", "endpoint", Says::No("PERMISSION_DENIED")),
    told("outside-preopen", "outside", Says::Files),
    told("absolute-path", "absolute", Says::Files),
    told("symlink-escape", "symlink", Says::Files),
    told("planted-symlink", "make-symlink", Says::Files),
    told("rename-out", "rename-out", Says::Files),
    told("hard-link-out", "hard-link-out", Says::Files),
    told("write-read-only", "write-read-only", Says::Files),
    told("make-in-read-only", "make-in-read-only", Says::Files),
    told("write-quota", "write-much", Says::Files),
    told("create-quota", "make-many", Says::Files),
];

const FILE_ERRORS: [&str; 37] = [
    "access",
    "would-block",
    "already",
    "bad-descriptor",
    "busy",
    "deadlock",
    "quota",
    "exist",
    "file-too-large",
    "illegal-byte-sequence",
    "in-progress",
    "interrupted",
    "invalid",
    "io",
    "is-directory",
    "loop",
    "too-many-links",
    "message-size",
    "name-too-long",
    "no-device",
    "no-entry",
    "no-lock",
    "insufficient-memory",
    "insufficient-space",
    "not-directory",
    "not-empty",
    "not-recoverable",
    "unsupported",
    "no-tty",
    "no-such-device",
    "overflow",
    "not-permitted",
    "pipe",
    "read-only",
    "invalid-seek",
    "text-file-busy",
    "cross-device",
];

const SOCKET_ERRORS: [&str; 3] = ["unknown", "access-denied", "not-supported"];
