//! What bounds every grant: the operator's ceiling, for all plugins or one, a workspace, or who started the work.

use berth_model::{Origin, WorkspaceId};

use crate::capability::Capability;

/// How far a use may go, from nothing to all; the smaller of two counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    Denied,
    /// After a person has agreed.
    Asked,
    Allowed,
}

/// Uses that a ceiling is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uses {
    All,
    /// Those that change something.
    Writes,
}

/// No use that it is over goes further than `most`, whatever is granted.
#[derive(Debug, Clone, PartialEq)]
pub struct Ceiling {
    /// Every capability when `None`; so with the next three.
    pub capability: Option<Capability>,
    pub plugin: Option<String>,
    pub workspace: Option<WorkspaceId>,
    pub origin: Option<Origin>,
    pub uses: Uses,
    pub most: Permission,
}

impl Ceiling {
    /// A ceiling over everything.
    pub fn over_all(most: Permission) -> Self {
        Self { capability: None, plugin: None, workspace: None, origin: None, uses: Uses::All, most }
    }

    /// Whether it is over what `plugin` does in `workspace` for `origin`.
    pub fn is_over(&self, plugin: &str, workspace: &WorkspaceId, origin: Origin) -> bool {
        self.plugin.as_deref().is_none_or(|only| only == plugin)
            && self.workspace.as_ref().is_none_or(|only| only == workspace)
            && self.origin.is_none_or(|only| only == origin)
    }

    /// Whether it is over this use.
    pub fn concerns(&self, capability: Capability, is_write: bool) -> bool {
        self.capability.is_none_or(|only| only == capability) && (is_write || self.uses == Uses::All)
    }
}

/// The ceilings that hold when the operator sets none: a stranger runs no program, and what he would have a plugin
/// change needs a yes.
pub fn standard() -> Vec<Ceiling> {
    let stranger = |most| Ceiling { origin: Some(Origin::Stranger), ..Ceiling::over_all(most) };
    vec![
        Ceiling { capability: Some(Capability::Process), ..stranger(Permission::Denied) },
        Ceiling { uses: Uses::Writes, ..stranger(Permission::Asked) },
    ]
}
