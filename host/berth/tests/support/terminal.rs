//! Commands as a person runs them: on a terminal, which has a width, and where somebody types.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use super::Output;
use super::process::Process;

/// Runs a command on a terminal of so many columns, where `typed` is typed, and then Ctrl-D.
///
/// What it prints on either stream is in `out`, as the terminal got it.
pub fn on_terminal(command: &Command, columns: u16, typed: &str) -> Output {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<String> = words.map(quoted).collect();
    // `script` makes the terminal. It is a part of every Debian.
    let line = format!("stty cols {columns} rows 50; exec {}", words.join(" "));
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]).env_clear();
    terminal.env("TERM", "xterm");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            terminal.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        terminal.current_dir(folder);
    }
    if typed.is_empty() {
        return Output::from(terminal.stdin(Stdio::null()).output().unwrap());
    }
    let mut process = Process::spawn(&mut terminal);
    process.write(typed);
    process.finish()
}

fn quoted(word: &OsStr) -> String {
    format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"))
}

/// The lines of a terminal without their colours, as wide as they are seen.
pub fn lines(output: &Output) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = output.out.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        plain.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).map_or(after.len(), |at| at + 1);
        rest = &after[end..];
    }
    plain.push_str(rest);
    plain.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}
