//! Failures as the model reads them: a stable code, and what to do about it.

use std::io;

use crate::Error;
use crate::place::Place;

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Access {
    Read,
    Write,
}

pub fn failure(code: &str, message: String) -> Error {
    Error { code: code.into(), message }
}

/// The failure of `access` to `place`.
pub fn io_failure(access: Access, place: &Place, error: &io::Error) -> Error {
    use io::ErrorKind as Kind;
    let path = &place.path;
    match error.kind() {
        _ if is_denied(error) => denied(access, place),
        // Without any grant some systems say that nothing is there, down from `/`.
        Kind::NotFound if !place.is_granted() => denied(access, place),
        Kind::NotFound => match place.foreign_folder() {
            Some(folder) if access == Access::Read => {
                let hint = grant_hint(&folder, "ro");
                failure("denied", format!("no granted folder holds `{path}`: there is no `{folder}`. {hint}"))
            }
            _ => failure("not_found", format!("there is no `{path}`")),
        },
        Kind::AlreadyExists => failure("exists", format!("`{path}` is there already")),
        Kind::NotADirectory => {
            failure("not_a_folder", format!("`{path}` is no folder, or lies below a file"))
        }
        Kind::IsADirectory => failure("is_a_folder", format!("`{path}` is a folder")),
        Kind::StorageFull => failure("disk_full", format!("no space left for `{path}`")),
        Kind::QuotaExceeded => failure(
            "quota",
            format!(
                "`{path}`: this call has written or made as much as one call may; go on with another one"
            ),
        ),
        Kind::DirectoryNotEmpty => failure("not_empty", format!("`{path}` is a folder that holds something")),
        _ => failure("io", format!("`{path}`: {error}")),
    }
}

fn denied(access: Access, place: &Place) -> Error {
    let path = &place.path;
    let (verb, scope) = match access {
        Access::Read => ("read", "ro"),
        Access::Write => ("write", "rw"),
    };
    let hint = grant_hint("/", scope);
    failure(
        "denied",
        format!("the plugin may not {verb} `{path}`: the capability `files` is not granted for it. {hint}"),
    )
}

/// How the operator lets the plugin into a folder of the host, under the name `guest`.
pub fn grant_hint(guest: &str, access: &str) -> String {
    format!(
        "The operator can allow it, with the folder of the host in place of FOLDER: berth plugin grant files files \
         --scope '{{\"guest\":\"{guest}\",\"host\":\"FOLDER\",\"access\":\"{access}\"}}'"
    )
}

fn is_denied(error: &io::Error) -> bool {
    /// What WASI answers for a path that no granted folder holds.
    const NOT_CAPABLE: i32 = 76;
    let outside = cfg!(target_os = "wasi") && error.raw_os_error() == Some(NOT_CAPABLE);
    // The standard library has no kind for "below no granted folder", only these words.
    let ungranted = cfg!(target_os = "wasi")
        && error.raw_os_error().is_none()
        && error.to_string().contains("pre-opened file descriptor");
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
        || outside
        || ungranted
}
