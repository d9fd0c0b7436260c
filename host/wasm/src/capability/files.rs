//! Folders of the host that a plugin sees under a name of its own.

use std::path::{Path, PathBuf};

use berth_model::plugin::GrantMode;
use serde_json::{Value, json};

use super::Capability;
use super::grants::{GrantView, Permission, allows};

/// What a guest may do in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

impl Access {
    fn of(scope: &Value) -> Self {
        match scope.get("access").and_then(Value::as_str) {
            Some("rw") => Self::ReadWrite,
            _ => Self::ReadOnly,
        }
    }
}

/// A folder that a call gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The path in the guest.
    pub guest: String,
    /// The path of the operator's grant.
    pub host: PathBuf,
    pub access: Access,
}

impl Folder {
    /// Whether the folder comes from a grant of this scope.
    pub fn is_of(&self, scope: &Value) -> bool {
        scope.get("host").and_then(Value::as_str).map(Path::new) == Some(&self.host)
            && path(scope).is_none_or(|guest| guest == self.guest)
    }
}

/// Whether the limit of a manifest or grant with this scope bounds the folder.
pub fn bounds(folder: &Folder, scope: &Value) -> bool {
    match scope.get("host") {
        Some(_) => folder.is_of(scope),
        None => path(scope).is_none_or(|outer| is_within(&folder.guest, outer)),
    }
}

/// A folder that a grant would open for a call, when its use is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The scope of the grant.
    pub scope: Value,
    guest: String,
    access: Access,
}

impl Offer {
    /// The folder is only read.
    pub fn for_reading(&mut self) {
        self.access = Access::ReadOnly;
    }

    /// What a grant would have to cover.
    pub fn wanted(&self) -> Value {
        let access = if self.access == Access::ReadWrite { "rw" } else { "ro" };
        json!({ "guest": self.guest, "host": self.scope["host"], "access": access })
    }

    /// Whether a scope of the manifest or of a grant covers the folder.
    pub fn is_covered_by(&self, scope: &Value) -> bool {
        let same_host = scope.get("host").is_none_or(|host| *host == self.scope["host"]);
        let within = path(scope).is_none_or(|outer| is_within(&self.guest, outer));
        same_host && within && Access::of(scope) >= self.access
    }
}

/// The folders that live grants offer, those that need a yes too.
pub fn offers(view: &GrantView) -> Vec<Offer> {
    let grants = view.grants(Capability::Files).filter(|grant| grant.mode != GrantMode::Deny);
    let mut offers: Vec<Offer> = Vec::new();
    for grant in grants {
        let Some((guest, access)) = opened(view, &grant.scope) else { continue };
        let offer = Offer { scope: grant.scope.to_json(), guest: guest.to_owned(), access };
        if !offers.contains(&offer) && !is_closed(view, guest) {
            offers.push(offer);
        }
    }
    offers
}

/// Whether a refusal closes the folder.
fn is_closed(view: &GrantView, guest: &str) -> bool {
    view.grants(Capability::Files)
        .filter(|grant| grant.mode == GrantMode::Deny)
        .any(|grant| path(&grant.scope).is_none_or(|closed| is_within(guest, closed)))
}

/// Where a grant of this scope opens a folder, and the narrower access of grant, manifest and ceiling.
fn opened<'a>(view: &'a GrantView, scope: &'a Value) -> Option<(&'a str, Access)> {
    scope.get("host")?.as_str()?;
    let guest = guest_of(view, scope)?;
    let asked = view
        .requests(Capability::Files)
        .filter(|request| path(&request.scope).is_some_and(|asked| is_within(guest, asked)))
        .map(|request| Access::of(&request.scope))
        .max()?;
    let most = match view.ceiling(Capability::Files, true) {
        Permission::Denied => Access::ReadOnly,
        Permission::Asked | Permission::Allowed => Access::ReadWrite,
    };
    Some((guest, asked.min(Access::of(scope)).min(most)))
}

/// The granted folders at or below a path that the manifest asks for, with the narrower access of both.
///
/// Without an allowing grant, or one of `agreed`, whose use a person allowed, there is no folder; a grant with mode
/// `deny` takes it away again.
pub fn folders(view: &GrantView, agreed: &[Value]) -> Vec<Folder> {
    let mut folders: Vec<Folder> = Vec::new();
    if view.ceiling(Capability::Files, false) == Permission::Denied {
        return folders;
    }
    let grants = view.grants(Capability::Files).filter(|grant| {
        allows(grant.mode) || (grant.mode == GrantMode::Ask && agreed.contains(&grant.scope))
    });
    for grant in grants {
        let Some(host) = grant.scope.get("host").and_then(Value::as_str) else { continue };
        let Some((guest, access)) = opened(view, &grant.scope) else { continue };
        if is_closed(view, guest) {
            continue;
        }
        match folders.iter_mut().find(|folder| folder.guest == guest) {
            None => folders.push(Folder { guest: guest.to_owned(), host: PathBuf::from(host), access }),
            Some(folder) if access > folder.access => {
                folder.access = access;
                folder.host = PathBuf::from(host);
            }
            Some(_) => {}
        }
    }
    folders
}

/// The path of a grant in the guest: its own, or the first that the manifest asks for.
fn guest_of<'a>(view: &'a GrantView, scope: &'a Value) -> Option<&'a str> {
    path(scope).or_else(|| view.requests(Capability::Files).find_map(|request| path(&request.scope)))
}

fn path(scope: &Value) -> Option<&str> {
    scope.get("guest").and_then(Value::as_str)
}

fn is_within(path: &str, folder: &str) -> bool {
    Path::new(path).starts_with(folder)
}

/// Checks the scope of a request in a manifest: `{ guest = "/name", access = "ro" | "rw" }`.
pub fn check_request(scope: &Value) -> Result<(), String> {
    keys(scope, &["guest", "access"])?;
    guest(scope)?;
    access(scope)
}

/// Checks the scope of a grant: `{"host": "/folder", "guest": "/name", "access": "ro" | "rw"}`.
///
/// Without `guest` the folder appears where the manifest asks for it.
pub fn check_grant(scope: &Value) -> Result<(), String> {
    keys(scope, &["guest", "host", "access"])?;
    if scope.get("guest").is_some() {
        guest(scope)?;
    }
    access(scope)?;
    let host =
        scope.get("host").and_then(Value::as_str).ok_or("`host` must name a folder of this machine")?;
    if !Path::new(host).is_absolute() {
        return Err("`host` must be an absolute path".to_owned());
    }
    Ok(())
}

/// Whether `folder` would show a guest what is the host's own in the data folder `private`: its token, its database.
///
/// Of the data folder only `files/` is for guests. Both paths are without links.
pub fn shows_private(folder: &Path, private: &Path) -> bool {
    private.starts_with(folder) || (folder.starts_with(private) && !folder.starts_with(private.join("files")))
}

/// The first of `files` that `folder` would show: what the host keeps outside of its data folder. All paths are without
/// links.
pub fn shows_hidden<'a>(folder: &Path, files: &'a [PathBuf]) -> Option<&'a Path> {
    files.iter().map(PathBuf::as_path).find(|file| file.starts_with(folder))
}

fn keys(scope: &Value, known: &[&str]) -> Result<(), String> {
    let object = scope.as_object().ok_or("the scope must be a table")?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            Err(format!("`{key}` is no key of the scope of `files`: it has `{}`", known.join("`, `")))
        }
    }
}

fn guest(scope: &Value) -> Result<(), String> {
    let guest =
        scope.get("guest").and_then(Value::as_str).ok_or("`guest` must name the folder in the plugin")?;
    let plain = guest.starts_with('/')
        && guest.len() <= 255
        && !guest.chars().any(char::is_control)
        && !guest.split('/').any(|part| part == "..");
    if plain { Ok(()) } else { Err("`guest` must be an absolute path without `..`".to_owned()) }
}

fn access(scope: &Value) -> Result<(), String> {
    match scope.get("access") {
        None => Ok(()),
        Some(Value::String(word)) if word == "ro" || word == "rw" => Ok(()),
        Some(_) => Err("`access` must be \"ro\" or \"rw\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::grants::{Granted, Request};
    use super::*;

    fn view(request: Value, grants: Vec<(Value, GrantMode)>) -> GrantView {
        let request = Request::new(Capability::Files, request);
        let grants = grants
            .into_iter()
            .map(|(scope, mode)| Granted { capability: Capability::Files, scope: scope.into(), mode })
            .collect();
        GrantView::new(1, "notes", vec![request], grants)
    }

    #[test]
    fn the_narrower_access_of_manifest_and_grant_counts() {
        let grant = json!({ "guest": "/notes", "host": "/srv/notes", "access": "rw" });
        for (asked, access) in [("ro", Access::ReadOnly), ("rw", Access::ReadWrite)] {
            let request = json!({ "guest": "/notes", "access": asked });

            let folders = folders(&view(request, vec![(grant.clone(), GrantMode::Allow)]), &[]);

            assert_eq!(folders.len(), 1);
            assert_eq!(folders[0].access, access);
        }
    }

    #[test]
    fn without_a_grant_there_is_no_folder() {
        let request = json!({ "guest": "/notes", "access": "rw" });
        let other = json!({ "guest": "/other", "host": "/srv", "access": "rw" });
        let mine = json!({ "guest": "/notes", "host": "/srv", "access": "rw" });

        assert!(folders(&view(request.clone(), Vec::new()), &[]).is_empty());
        assert!(folders(&view(request.clone(), vec![(other, GrantMode::Allow)]), &[]).is_empty());
        assert!(folders(&view(request.clone(), vec![(mine.clone(), GrantMode::Ask)]), &[]).is_empty());
        let both = vec![(mine.clone(), GrantMode::Allow), (mine, GrantMode::Deny)];
        assert!(folders(&view(request, both), &[]).is_empty());
    }

    #[test]
    fn a_grant_below_the_asked_path_counts_and_one_beside_it_does_not() {
        let request = json!({ "guest": "/data", "access": "rw" });
        let below = json!({ "guest": "/data/notes", "host": "/srv/notes", "access": "rw" });
        let beside = json!({ "guest": "/database", "host": "/srv/db", "access": "rw" });
        let unnamed = json!({ "host": "/srv/all" });
        let grants = [below, beside, unnamed].map(|scope| (scope, GrantMode::Allow)).to_vec();

        let folders = folders(&view(request, grants), &[]);

        let guests: Vec<&str> = folders.iter().map(|folder| folder.guest.as_str()).collect();
        assert_eq!(guests, ["/data/notes", "/data"]);
        assert_eq!(folders[1].access, Access::ReadOnly);
    }

    #[test]
    fn of_the_data_folder_only_files_is_for_guests() {
        let shows = |folder: &str| shows_private(Path::new(folder), Path::new("/home/me/berth"));

        for folder in ["/", "/home/me", "/home/me/berth", "/home/me/berth/plugins", "/home/me/berth/files2"] {
            assert!(shows(folder), "{folder}");
        }
        for folder in ["/home/me/berth/files", "/home/me/berth/files/a", "/home/me/berth2", "/home/you"] {
            assert!(!shows(folder), "{folder}");
        }
    }

    #[test]
    fn what_the_host_keeps_elsewhere_is_shown_by_no_folder_around_it() {
        let files = [PathBuf::from("/etc/berth/key"), PathBuf::from("/srv/db/berth.db")];
        for folder in ["/", "/etc", "/etc/berth", "/etc/berth/key", "/srv/db"] {
            assert!(shows_hidden(Path::new(folder), &files).is_some(), "{folder}");
        }
        for folder in ["/etc/berth2", "/srv/notes", "/etc/berth/keys"] {
            assert_eq!(shows_hidden(Path::new(folder), &files), None, "{folder}");
        }
    }

    #[test]
    fn scopes_are_checked() {
        assert!(check_request(&json!({ "guest": "/a", "access": "rw" })).is_ok());
        assert!(check_request(&json!({ "guest": "a" })).is_err());
        assert!(check_request(&json!({ "guest": "/a/../b" })).is_err());
        assert!(check_request(&json!({ "guest": "/a", "host": "/etc" })).is_err());
        assert!(check_grant(&json!({ "guest": "/a", "host": "relative" })).is_err());
        assert!(check_grant(&json!({ "guest": "/a", "host": "/srv", "access": "x" })).is_err());
    }
}
