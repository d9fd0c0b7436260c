//! Programs of the host by its policy: what is asked for goes on word by word, and nothing in between reads it.

use berth_plugin::process::{self, Limits};
use berth_plugin::{call, capabilities, export_typed, json, progress};

export_typed!(Shell: berth::shell::shell);

struct Shell;

/// So much of the output goes to whoever waits at once.
const PIECE_BYTES: usize = 16 * 1024;

impl Guest for Shell {
    fn run(
        program: String,
        argv: Option<Vec<String>>,
        stdin: Option<String>,
        folder: Option<String>,
        timeout_ms: Option<u32>,
        output_bytes: Option<u32>,
    ) -> Result<Ran, Error> {
        let argv = argv.unwrap_or_default();
        is_id(&program, &argv)?;
        let limits = Limits {
            timeout_ms: timeout_ms.unwrap_or(0),
            output_bytes: output_bytes.unwrap_or(0),
            folder: folder.filter(|folder| !folder.is_empty()),
            ..Limits::default()
        };
        if call::context().dry_run {
            return Ok(Ran { exit: 0, stdout: String::new(), stderr: String::new(), truncated: false });
        }
        progress::report(None, &format!("running {program}"));
        let stdin = stdin.unwrap_or_default();
        let output = process::run(&program, &argv, stdin.as_bytes(), &limits).map_err(told)?;
        for piece in output.stdout.chunks(PIECE_BYTES) {
            // Whoever waits sees it a moment earlier; the answer holds all of it in any case.
            if progress::partial(piece).is_err() {
                break;
            }
        }
        progress::report(Some(1.0), &format!("{program} ended with {}", output.exit));
        Ok(Ran {
            exit: output.exit,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            truncated: output.truncated,
        })
    }

    fn allowed(programs: Vec<String>) -> Vec<Permission> {
        let ask = |program: String| {
            let granted = capabilities::check("process", &json!({ "programs": [program] }));
            Permission { program, granted }
        };
        programs.into_iter().map(ask).collect()
    }
}

/// A model that thinks of a shell hears at once what it should write instead.
fn is_id(program: &str, argv: &[String]) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    if !program.is_empty() && program.chars().all(plain) {
        return Ok(());
    }
    let shown: String = program.chars().filter(|c| !c.is_control()).take(80).collect();
    let hint = match program.split_once(char::is_whitespace) {
        Some((first, rest)) if argv.is_empty() && first.chars().all(plain) => {
            let words: Vec<_> = rest.split_whitespace().collect();
            format!("give program {} and argv {}: no shell reads it", json!(first), json!(words))
        }
        _ => "give the id of a program such as `git`, no path and no command line".to_owned(),
    };
    let message = format!("`{shown}` is no id of a program: {hint}");
    Err(Error { code: "invalid_arguments".into(), message, retryable: false })
}

/// The host's refusals say what to do about them; only those of the policy do not know who reads them.
fn told(error: berth_plugin::Error) -> Error {
    let message = match error.code.as_str() {
        "COMMAND_REFUSED" => format!("{}. `berth policy commands` lists what may be run", error.message),
        _ => error.message,
    };
    Error { code: error.code, message, retryable: error.retryable }
}

#[cfg(test)]
mod tests;
