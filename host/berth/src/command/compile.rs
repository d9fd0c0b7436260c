//! `berth __compile`: the process that the host hands a component to. Not for people.

use std::process::ExitCode;

use berth_wasm::engine::compiler::job;

/// The arguments behind the word, when this process is to compile.
pub fn arguments() -> Option<impl Iterator<Item = String>> {
    let mut words = std::env::args_os().skip(1);
    let is_ours = words.next().is_some_and(|word| word == job::WORD);
    is_ours.then(|| words.filter_map(|word| word.into_string().ok()))
}

/// Compiles what comes on standard input.
pub fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    match job::main(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::output::note(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
