//! `berth __launch`: the process between the host and a program of the machine. Not for people.

use std::process::ExitCode;

use berth_process::launch;

/// The arguments behind the word, when this process is to launch a program.
pub fn arguments() -> Option<impl Iterator<Item = String>> {
    let mut words = std::env::args_os().skip(1);
    let is_ours = words.next().is_some_and(|word| word == launch::WORD);
    is_ours.then(|| words.filter_map(|word| word.into_string().ok()))
}

/// Launches what comes on standard input.
pub fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    u8::try_from(launch::main(arguments)).map_or(ExitCode::FAILURE, ExitCode::from)
}
