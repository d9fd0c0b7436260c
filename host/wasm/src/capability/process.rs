//! Programs of the machine that a plugin may run: by an id of the operator's policy, in a granted folder or in none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::files::{self, Access};
use super::grants::GrantView;
use super::{Capability, CapabilityError, is_left_open};

/// Where a program works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkFolder {
    /// The folder of the grant.
    pub root: PathBuf,
    /// At or below it.
    pub at: PathBuf,
    pub access: Access,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub plugin: String,
    /// An id of the policy.
    pub program: String,
    pub argv: Vec<String>,
    pub stdin: Vec<u8>,
    pub folder: Option<WorkFolder>,
    pub timeout: Duration,
    /// Kept of each output.
    pub output_bytes: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// 128 and its number when a signal ended the program.
    pub exit: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Whether one of them was longer than what was kept.
    pub truncated: bool,
}

/// Hears each line of a running program.
pub type Hear = Arc<dyn Fn(&str) + Send + Sync>;

/// Runs programs of the machine.
#[async_trait]
pub trait ProgramRunner: Send + Sync {
    /// Runs a program to its end, and tells each line of its outputs to `hear` meanwhile. Cancel-safe: dropping this ends
    /// it, and so does `cancel`.
    async fn run(&self, run: Run, cancel: &CancellationToken, hear: Hear) -> Result<Ran, CapabilityError>;
}

/// No program may run.
#[derive(Debug, Clone, Copy)]
pub struct NoPrograms;

#[async_trait]
impl ProgramRunner for NoPrograms {
    async fn run(&self, run: Run, _: &CancellationToken, _: Hear) -> Result<Ran, CapabilityError> {
        Err(CapabilityError::new(
            "COMMAND_REFUSED",
            format!("this host runs no programs, `{}` neither", run.program),
        ))
    }
}

/// The scope that would have to be granted for a use.
pub fn wanted(program: &str, folder: Option<&str>) -> Value {
    match folder {
        None => json!({ "programs": [program] }),
        Some(folder) => json!({ "programs": [program], "folders": [folder] }),
    }
}

/// Whether a scope like `{"programs": ["git"], "folders": ["/notes"]}` covers a use.
///
/// `programs` must name the program. A folder is covered by one that it is or lies in; without `folders` every granted
/// folder is.
pub fn covers(scope: &Value, program: &str, folder: Option<&str>) -> bool {
    if is_left_open(scope) {
        return true;
    }
    let lists = |key: &str, fits: &dyn Fn(&str) -> bool| {
        scope
            .get(key)
            .and_then(Value::as_array)
            .is_some_and(|words| words.iter().filter_map(Value::as_str).any(fits))
    };
    let in_folder = match (folder, scope.get("folders")) {
        (None, _) | (_, None) => true,
        (Some(folder), Some(_)) => lists("folders", &|word| Path::new(folder).starts_with(word)),
    };
    lists("programs", &|word| word == program) && in_folder
}

/// Whether the grants cover every program and folder that `wanted` lists.
pub fn check(view: &GrantView, wanted: &Value) -> bool {
    let words = |key: &str| -> Option<Vec<&str>> {
        match wanted.get(key) {
            None => Some(Vec::new()),
            Some(list) => list.as_array()?.iter().map(Value::as_str).collect(),
        }
    };
    let (Some(programs), Some(folders)) = (words("programs"), words("folders")) else { return false };
    let allowed = |program: &str, folder: Option<&str>| {
        view.decide(Capability::Process, self::wanted(program, folder), |scope| {
            covers(scope, program, folder)
        })
        .is_ok()
    };
    !programs.is_empty()
        && programs.iter().all(|program| {
            allowed(program, None) && folders.iter().all(|folder| allowed(program, Some(folder)))
        })
}

/// Checks the scope of a manifest; an empty one leaves the programs to the operator.
pub fn check_request(scope: &Value) -> Result<(), String> {
    if is_left_open(scope) { Ok(()) } else { check_scope(scope) }
}

/// Checks the scope of a grant.
pub fn check_scope(scope: &Value) -> Result<(), String> {
    let object = scope.as_object().ok_or("the scope must be a table")?;
    if let Some(key) = object.keys().find(|key| !matches!(key.as_str(), "programs" | "folders")) {
        return Err(format!("`{key}` is no key of the scope of `process`: it has `programs`, `folders`"));
    }
    let words = |key: &str| {
        let list = object.get(key).and_then(Value::as_array);
        list.filter(|list| {
            !list.is_empty() && list.iter().all(|word| word.as_str().is_some_and(|word| !word.is_empty()))
        })
    };
    if words("programs").is_none() {
        return Err("`programs` must list ids of the policy of commands".to_owned());
    }
    if object.contains_key("folders") {
        let folders = words("folders").ok_or("`folders` must list folders of the plugin")?;
        if !folders.iter().filter_map(Value::as_str).all(is_plain) {
            return Err("each of `folders` must be an absolute path without `..`".to_owned());
        }
    }
    Ok(())
}

fn is_plain(path: &str) -> bool {
    path.starts_with('/') && !path.chars().any(char::is_control) && !path.split('/').any(|part| part == "..")
}

/// The folder of the machine that a guest means by `path`, as it was granted for files.
pub fn work_folder(view: &GrantView, path: &str) -> Result<WorkFolder, CapabilityError> {
    if !is_plain(path) {
        return Err(CapabilityError::new(
            "PROGRAM_FOLDER",
            "the folder must be an absolute path without `..`",
        ));
    }
    let folders = files::folders(view, &[]);
    // The closest one counts, as it does for files.
    let found = folders
        .into_iter()
        .filter(|folder| Path::new(path).starts_with(&folder.guest))
        .max_by_key(|folder| folder.guest.len());
    match found {
        Some(folder) => {
            let below = Path::new(path).strip_prefix(&folder.guest).unwrap_or_else(|_| Path::new(""));
            Ok(WorkFolder { at: folder.host.join(below), root: folder.host, access: folder.access })
        }
        None => {
            let wanted = json!({ "guest": path, "access": "ro" });
            match view.decide(Capability::Files, wanted, |_| false) {
                Err(denied) => Err(denied.into()),
                Ok(()) => Err(CapabilityError::new("PROGRAM_FOLDER", "the folder is not granted")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_programs_and_perhaps_folders() {
        for (scope, folder, fits) in [
            // What a manifest leaves open is within every grant.
            (json!({}), Some("/notes"), true),
            (json!({ "programs": ["git"] }), None, true),
            (json!({ "programs": ["git"] }), Some("/notes"), true),
            (json!({ "programs": ["ls"] }), None, false),
            (json!({ "programs": "git" }), None, false),
            (json!({ "programs": ["git"], "folders": ["/notes"] }), Some("/notes/a"), true),
            (json!({ "programs": ["git"], "folders": ["/notes"] }), Some("/notes2"), false),
            (json!({ "programs": ["git"], "folders": "/notes" }), Some("/notes"), false),
            (json!({ "programs": ["git"], "folders": ["/notes"] }), None, true),
        ] {
            assert_eq!(covers(&scope, "git", folder), fits, "{scope} {folder:?}");
        }
    }

    #[test]
    fn scopes_are_checked() {
        assert_eq!(check_scope(&json!({ "programs": ["git"], "folders": ["/a"] })), Ok(()));
        for bad in [
            json!([]),
            json!({}),
            json!({ "programs": [] }),
            json!({ "programs": [""] }),
            json!({ "programs": ["git"], "folders": ["a"] }),
            json!({ "programs": ["git"], "folders": ["/a/../b"] }),
            json!({ "programs": ["git"], "paths": ["/bin"] }),
        ] {
            assert!(check_scope(&bad).is_err(), "{bad}");
        }
    }
}
