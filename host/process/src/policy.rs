//! `commands.toml`: which programs may run, with which arguments, within which limits.

mod file;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use crate::rule::{Pattern, Positionals, Rule};

/// The policy of a host that has no `commands.toml`.
pub const DEFAULT: &str = include_str!("policy/default.toml");

/// The longest `commands.toml`, in bytes.
pub const FILE_BYTES: u64 = 1 << 20;

/// The longest that a rule may let a program run.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(600);
/// The most that a rule may keep of each output.
pub const MAX_OUTPUT_BYTES: usize = 4 << 20;
/// The most that a rule may let a program read of its input.
pub const MAX_STDIN_BYTES: usize = 4 << 20;

/// The user who owns nothing.
const NOBODY: u32 = 65534;

/// A policy that is not right, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct PolicyError {
    /// The file, as errors call it.
    pub name: String,
    pub message: String,
    /// Bytes of the source that are meant.
    pub span: Option<Range<usize>>,
    /// Counted from 1.
    pub line: Option<usize>,
}

/// What may run, and how it is kept in.
#[derive(Debug, Clone)]
pub struct Policy {
    pub sandbox: Sandbox,
    programs: BTreeMap<String, Program>,
}

/// What is around every program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether programs run on a machine that lacks a layer.
    pub allow_weaker: bool,
    /// Put around the other layers when it is set.
    pub bubblewrap: Option<PathBuf>,
    /// Whom programs that may start others run as on a host that root runs, as the kernel limits everybody but root.
    pub user: u32,
    /// Programs beside each other, of all plugins.
    pub concurrent: usize,
    /// Programs beside each other, of one plugin.
    pub concurrent_per_plugin: usize,
}

/// Whether a program works in a granted folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderRule {
    /// It sees none.
    None,
    /// It may be given one.
    Optional,
    /// It runs in one only.
    Needed,
}

/// What one run may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub timeout: Duration,
    /// Of the program and of each process that it starts, in whole seconds.
    pub cpu: Duration,
    /// Address space of each process.
    pub memory_bytes: u64,
    /// The largest file that it may write.
    pub file_bytes: u64,
    pub open_files: u64,
    /// Processes that it may have beside itself; 0 takes the means away.
    pub processes: u32,
    pub stdin_bytes: usize,
    /// What is kept of each of the two outputs.
    pub output_bytes: usize,
}

/// A program that may run.
#[derive(Debug, Clone)]
pub struct Program {
    pub id: String,
    /// The first of them that is there is run.
    pub paths: Vec<PathBuf>,
    pub about: String,
    pub folder: FolderRule,
    /// All of its environment.
    pub env: BTreeMap<String, String>,
    /// Names that it gets from the environment of the host.
    pub env_from_host: Vec<String>,
    /// Files and folders beyond the system's that it may read.
    pub read: Vec<PathBuf>,
    /// Files and folders that it may execute, beside itself and the loader.
    pub execute: Vec<PathBuf>,
    /// TCP ports that it may connect to.
    pub connect: Vec<u16>,
    pub limits: Limits,
    /// Counted from 1.
    pub line: usize,
    pub(crate) rule: Rule,
    /// Rules of its commands; with any, the first argument must name one.
    pub(crate) commands: BTreeMap<String, Rule>,
}

impl Policy {
    /// The policy of a host that has no file of its own.
    pub fn standard() -> Result<Self, PolicyError> {
        Self::parse("the built-in policy", DEFAULT)
    }

    /// Reads `path`, or the built-in policy when there is no such file.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let name = path.display().to_string();
        let failed = |message: String| PolicyError { name: name.clone(), message, span: None, line: None };
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::standard(),
            Err(error) => return Err(failed(format!("it cannot be read: {error}"))),
            Ok(metadata) if metadata.len() > FILE_BYTES => {
                return Err(failed(format!("it has more than {FILE_BYTES} bytes")));
            }
            Ok(_) => {}
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| failed(format!("it cannot be read: {error}")))?;
        Self::parse(&name, &text)
    }

    /// Reads the text of a `commands.toml` that errors call `name`.
    pub fn parse(name: &str, source: &str) -> Result<Self, PolicyError> {
        let reader = Reader { name, source };
        let file: file::File =
            toml::from_str(source).map_err(|error| reader.error(error.span(), error.message()))?;
        let mut programs = BTreeMap::new();
        for (id, program) in file.program {
            programs.insert(id.clone(), reader.program(id, program)?);
        }
        Ok(Self { sandbox: reader.sandbox(file.sandbox)?, programs })
    }

    pub fn lookup(&self, id: &str) -> Option<&Program> {
        self.programs.get(id)
    }

    /// Every program, by id.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        self.programs.values()
    }
}

impl Program {
    /// The file that is run: the first that is there.
    pub fn file(&self) -> Option<&Path> {
        self.paths.iter().map(PathBuf::as_path).find(|path| path.is_file())
    }
}

struct Reader<'a> {
    name: &'a str,
    source: &'a str,
}

impl Reader<'_> {
    fn error(&self, span: Option<Range<usize>>, message: impl Into<String>) -> PolicyError {
        let line = span.as_ref().map(|span| self.line(span.start));
        PolicyError { name: self.name.to_owned(), message: message.into(), span, line }
    }

    fn line(&self, start: usize) -> usize {
        let end = start.min(self.source.len());
        self.source.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn sandbox(&self, sandbox: file::Sandbox) -> Result<Sandbox, PolicyError> {
        let count = |value: Option<Spanned<usize>>, default: usize, most: usize| match value {
            None => Ok(default),
            Some(value) if (1..=most).contains(value.get_ref()) => Ok(*value.get_ref()),
            Some(value) => Err(self.error(Some(value.span()), format!("it must be from 1 to {most}"))),
        };
        let bubblewrap = match sandbox.bubblewrap {
            None => None,
            Some(path) if path.get_ref().is_absolute() => Some(path.into_inner()),
            Some(path) => return Err(self.error(Some(path.span()), "`bubblewrap` must be an absolute path")),
        };
        Ok(Sandbox {
            allow_weaker: sandbox.allow_weaker,
            bubblewrap,
            user: match sandbox.user {
                None => NOBODY,
                Some(user) if *user.get_ref() != 0 => *user.get_ref(),
                Some(user) => return Err(self.error(Some(user.span()), "`user` must not be root")),
            },
            concurrent: count(sandbox.concurrent, 8, 256)?,
            concurrent_per_plugin: count(sandbox.concurrent_per_plugin, 2, 64)?,
        })
    }

    fn program(&self, id: String, program: Spanned<file::Program>) -> Result<Program, PolicyError> {
        let span = program.span();
        let bad = |message: String| self.error(Some(span.clone()), format!("[program.{id}]: {message}"));
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
        };
        if id.is_empty() || id.len() > 64 || !id.bytes().all(plain) {
            return Err(bad("an id has 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`".to_owned()));
        }
        let line = self.line(span.start);
        let raw = program.into_inner();
        let limits = limits(&raw).map_err(&bad)?;
        environment(&raw).map_err(&bad)?;
        let paths = match raw.path {
            file::Paths::One(path) => vec![path],
            file::Paths::Several(paths) => paths,
        };
        if paths.is_empty() {
            return Err(bad("`path` names no file".to_owned()));
        }
        for path in paths.iter().chain(&raw.read).chain(&raw.execute) {
            if !path.is_absolute() || path.components().any(|part| part == std::path::Component::ParentDir) {
                return Err(bad(format!("`{}` must be an absolute path without `..`", path.display())));
            }
        }
        let own = file::Arguments {
            fixed: raw.fixed,
            flags: raw.flags,
            values: raw.values,
            denied: raw.denied,
            positionals: raw.positionals,
            after_dashes: raw.after_dashes,
            write: Some(raw.write),
        };
        let own = rule(own, false, line).map_err(&bad)?;
        let mut commands = BTreeMap::new();
        for (name, arguments) in raw.command {
            let line = self.line(arguments.span().start);
            let at = arguments.span();
            if name.is_empty() || name.starts_with('-') {
                return Err(self.error(Some(at), format!("`{name}` is no name of a command")));
            }
            let rule = rule(arguments.into_inner(), raw.write, line).map_err(|message| {
                self.error(Some(at), format!("[program.{id}.command.{name}]: {message}"))
            })?;
            commands.insert(name, rule);
        }
        Ok(Program {
            id,
            paths,
            about: raw.about,
            folder: match raw.folder {
                file::Folder::None => FolderRule::None,
                file::Folder::Optional => FolderRule::Optional,
                file::Folder::Needed => FolderRule::Needed,
            },
            env: raw.env,
            env_from_host: raw.env_from_host,
            read: raw.read,
            execute: raw.execute,
            connect: raw.connect,
            limits,
            line,
            rule: own,
            commands,
        })
    }
}

/// Checks what a program gets as its environment.
fn environment(raw: &file::Program) -> Result<(), String> {
    let texts = raw.env.iter().flat_map(|(name, value)| [name, value]).chain(&raw.env_from_host);
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err("`env` holds no NUL".to_owned());
    }
    for name in env_names(raw) {
        if name.is_empty() || name.contains('=') {
            return Err(format!("`{name}` is no name of a variable"));
        }
        if is_loader(name) {
            return Err(format!("`{name}` would let the environment choose what code is loaded"));
        }
    }
    Ok(())
}

fn env_names(raw: &file::Program) -> impl Iterator<Item = &String> {
    raw.env.keys().chain(&raw.env_from_host)
}

/// Variables by which a dynamic loader takes code from elsewhere.
fn is_loader(name: &str) -> bool {
    name.starts_with("LD_") || name.starts_with("DYLD_") || name == "GCONV_PATH"
}

fn limits(raw: &file::Program) -> Result<Limits, String> {
    let timeout = Duration::from_millis(raw.timeout_ms.unwrap_or(10_000));
    let cpu = Duration::from_secs(raw.cpu_seconds.unwrap_or(10));
    let output_bytes = raw.output_bytes.unwrap_or(256 << 10);
    let stdin_bytes = raw.stdin_bytes.unwrap_or(0);
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        return Err(format!("`timeout_ms` must be from 1 to {}", MAX_TIMEOUT.as_millis()));
    }
    if cpu.is_zero() {
        return Err("`cpu_seconds` must be above 0".to_owned());
    }
    if output_bytes == 0 || output_bytes > MAX_OUTPUT_BYTES {
        return Err(format!("`output_bytes` must be from 1 to {MAX_OUTPUT_BYTES}"));
    }
    if stdin_bytes > MAX_STDIN_BYTES {
        return Err(format!("`stdin_bytes` must be at most {MAX_STDIN_BYTES}"));
    }
    Ok(Limits {
        timeout,
        cpu,
        memory_bytes: raw.memory_bytes.unwrap_or(1 << 30).max(16 << 20),
        file_bytes: raw.file_bytes.unwrap_or(64 << 20),
        open_files: raw.open_files.unwrap_or(64).clamp(8, 4096),
        processes: raw.processes.unwrap_or(0),
        stdin_bytes,
        output_bytes,
    })
}

fn rule(raw: file::Arguments, program_writes: bool, line: usize) -> Result<Rule, String> {
    for flag in raw.flags.iter().chain(raw.values.keys()).chain(&raw.denied) {
        if !flag.starts_with('-') || flag == "-" || flag == "--" || flag.contains(char::is_whitespace) {
            return Err(format!("`{flag}` is no option"));
        }
    }
    if let Some(name) = raw.values.keys().find(|name| name.contains('=') || raw.flags.contains(name)) {
        return Err(format!("`{name}` takes a value, so it has no `=` and is no flag"));
    }
    if raw.fixed.iter().any(|text| text.contains('\0')) {
        return Err("an argument holds no NUL".to_owned());
    }
    let values = raw
        .values
        .into_iter()
        .map(|(name, of)| Ok((name, pattern(of)?)))
        .collect::<Result<BTreeMap<_, _>, String>>()?;
    Ok(Rule {
        fixed: raw.fixed,
        flags: raw.flags.into_iter().collect(),
        values,
        denied: raw.denied,
        positionals: positionals(raw.positionals)?,
        after_dashes: positionals(raw.after_dashes)?,
        write: raw.write.unwrap_or(program_writes),
        line,
    })
}

fn positionals(raw: Option<file::Positionals>) -> Result<Option<Positionals>, String> {
    raw.map(|raw| Ok(Positionals { of: pattern(raw.of)?, most: raw.most })).transpose()
}

fn pattern(raw: file::Pattern) -> Result<Pattern, String> {
    match raw {
        file::Pattern::Choice(words) => Ok(Pattern::Choice(words)),
        file::Pattern::Word(word) => Pattern::parse(&word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Policy::parse("commands.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_policy_only_reads() {
        let policy = Policy::standard().unwrap();

        let ids: Vec<&str> = policy.programs().map(|program| program.id.as_str()).collect();
        assert_eq!(ids, ["date", "git", "ls", "uname", "wc"]);
        assert!(!policy.sandbox.allow_weaker);
        for program in policy.programs() {
            assert!(
                !program.rule.write && program.commands.values().all(|rule| !rule.write),
                "{}",
                program.id
            );
            assert_eq!(program.limits.processes, 0, "{}", program.id);
            assert!(program.connect.is_empty() && program.execute.is_empty(), "{}", program.id);
            assert!(program.file().is_some(), "{}", program.id);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, said) in [
            ("[program.a]\npath = \"/bin/a\"\nflag = []\n", "commands.toml:3: unknown field `flag`"),
            ("\n[program.a]\npath = \"a\"\n", "commands.toml:2: [program.a]: `a` must be an absolute path"),
            ("[program.\"A b\"]\npath = \"/a\"\n", "commands.toml:1: [program.A b]: an id has"),
            ("[program.a]\npath = \"/a\"\nflags = [\"x\"]\n", "`x` is no option"),
            ("[program.a]\npath = \"/a\"\nvalues = { \"-x\" = \"nonsense\" }\n", "`nonsense` is no pattern"),
            ("[program.a]\npath = \"/a\"\nvalues = { \"-x\" = \"/(/\" }\n", "`/(/` is no pattern"),
            ("[program.a]\npath = \"/a\"\nenv = { LD_PRELOAD = \"x\" }\n", "`LD_PRELOAD` would let"),
            ("[program.a]\npath = \"/a\"\ntimeout_ms = 0\n", "`timeout_ms` must be"),
            ("[program.a]\npath = []\n", "`path` names no file"),
            ("[program.a]\npath = \"/a\"\n[program.a.command.-x]\n", "`-x` is no name of a command"),
            ("[sandbox]\nconcurrent = 0\n", "commands.toml:2: it must be from 1"),
            ("[sandbox]\nbubblewrap = \"bwrap\"\n", "`bubblewrap` must be an absolute path"),
        ] {
            let message = refused(text);
            assert!(message.contains(said), "{message}\n{text}");
        }
    }

    #[test]
    fn a_host_without_a_file_has_the_built_in_policy_and_a_bad_file_is_no_policy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("commands.toml");

        assert!(Policy::load(&path).unwrap().lookup("git").is_some());
        std::fs::write(&path, "[program.only]\npath = \"/bin/only\"\n").unwrap();
        assert!(Policy::load(&path).unwrap().lookup("git").is_none());
        std::fs::write(&path, "[program").unwrap();
        assert!(Policy::load(&path).unwrap_err().to_string().contains("commands.toml:1"));
    }
}
