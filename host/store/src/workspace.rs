//! Workspaces and actors.

use async_trait::async_trait;
use berth_core::port::store::{StoreError, WorkspaceRepo};
use berth_model::workspace::{Governance, Workspace};
use berth_model::{ActorId, Timestamp, WorkspaceId};
use serde_json::{Value, json};
use sqlx::any::AnyRow;

use crate::row::{Row, object_text};
use crate::sql::{SqlTx, execute, lookup, number, select, sql, update};

const COLUMNS: &str = "workspace_id, title, description, status, base_mode, prompt_overlay, default_target, \
                       governance, metadata, created_at, updated_at";

fn read(row: &AnyRow) -> Result<Workspace, StoreError> {
    let row = Row::new("workspace", row);
    let bad = |column| StoreError::Inconsistent { table: "workspace", column, row: String::new() };
    Ok(Workspace {
        id: row.parsed("workspace_id")?,
        title: row.text("title")?,
        description: row.text("description")?,
        status: row.parsed("status")?,
        base_mode: row.text("base_mode")?,
        prompt_overlay: row.text("prompt_overlay")?,
        default_target: row.parsed("default_target")?,
        governance: read_governance(&row.json("governance")?).ok_or_else(|| bad("governance"))?,
        metadata: row.object("metadata")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn write_governance(governance: &Governance) -> String {
    let texts = |items: &mut dyn Iterator<Item = String>| items.map(Value::String).collect::<Vec<_>>();
    json!({
        "tool_policy": governance.tool_policy.as_str(),
        "allowed_tools": texts(&mut governance.allowed_tools.iter().map(ToString::to_string)),
        "preferred_endpoints": texts(&mut governance.preferred_endpoints.iter().map(ToString::to_string)),
        "preferred_providers": governance.preferred_providers,
        "preferred_source_profiles": governance.preferred_source_profiles,
        "routing": governance.routing.as_str(),
    })
    .to_string()
}

fn read_governance(value: &Value) -> Option<Governance> {
    fn texts<T: std::str::FromStr>(value: &Value) -> Option<Vec<T>> {
        value.as_array()?.iter().map(|item| item.as_str()?.parse().ok()).collect()
    }
    Some(Governance {
        tool_policy: value["tool_policy"].as_str()?.parse().ok()?,
        allowed_tools: texts(&value["allowed_tools"])?,
        preferred_endpoints: texts(&value["preferred_endpoints"])?,
        preferred_providers: texts(&value["preferred_providers"])?,
        preferred_source_profiles: texts(&value["preferred_source_profiles"])?,
        routing: value["routing"].as_str()?.parse().ok()?,
    })
}

impl SqlTx {
    /// See [`berth_core::port::store::Store::caller`].
    pub(crate) async fn lookup_caller(
        &mut self,
        workspace: &WorkspaceId,
        actor: &ActorId,
    ) -> Result<(Option<Workspace>, bool), StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            ", (SELECT COUNT(*) FROM actor WHERE actor_id = $2) AS actors FROM workspace WHERE workspace_id = $1"
        );
        let both = |row: &AnyRow| Ok((read(row)?, Row::new("actor", row).number("actors")? > 0));
        let found = lookup!(self, both, sql, workspace.to_string(), actor.to_string())?;
        Ok(found.map_or((None, false), |(workspace, is_known)| (Some(workspace), is_known)))
    }
}

#[async_trait]
impl WorkspaceRepo for SqlTx {
    async fn seed_workspace(&mut self, workspace: &Workspace) -> Result<bool, StoreError> {
        let rows = execute!(
            self,
            "INSERT INTO workspace (workspace_id, title, description, status, base_mode, prompt_overlay, \
             default_target, governance, metadata, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (workspace_id) DO NOTHING",
            workspace.id.to_string(),
            workspace.title.clone(),
            workspace.description.clone(),
            workspace.status.as_str(),
            workspace.base_mode.clone(),
            workspace.prompt_overlay.clone(),
            workspace.default_target.as_str(),
            write_governance(&workspace.governance),
            object_text(&workspace.metadata),
            workspace.created_at.as_micros(),
            workspace.updated_at.as_micros(),
        )?;
        Ok(rows > 0)
    }

    async fn update_workspace(&mut self, workspace: &Workspace) -> Result<(), StoreError> {
        update!(
            self,
            "workspace"."workspace_id" = workspace.id,
            "UPDATE workspace SET title = $2, description = $3, status = $4, base_mode = $5, prompt_overlay = $6, \
             default_target = $7, governance = $8, metadata = $9, updated_at = $10 WHERE workspace_id = $1",
            workspace.title.clone(),
            workspace.description.clone(),
            workspace.status.as_str(),
            workspace.base_mode.clone(),
            workspace.prompt_overlay.clone(),
            workspace.default_target.as_str(),
            write_governance(&workspace.governance),
            object_text(&workspace.metadata),
            workspace.updated_at.as_micros(),
        )
    }

    async fn lookup_workspace(&mut self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        lookup!(
            self,
            read,
            sql!("SELECT ", COLUMNS, " FROM workspace WHERE workspace_id = $1"),
            id.to_string()
        )
    }

    async fn list_workspaces(&mut self, include_archived: bool) -> Result<Vec<Workspace>, StoreError> {
        select!(
            self,
            read,
            sql!(
                "SELECT ",
                COLUMNS,
                " FROM workspace WHERE $1 = 1 OR status = 'active' ORDER BY workspace_id"
            ),
            i64::from(include_archived),
        )
    }

    async fn seed_actor(
        &mut self,
        id: &ActorId,
        kind: &str,
        display_name: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let rows = execute!(
            self,
            "INSERT INTO actor (actor_id, kind, display_name, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (actor_id) DO NOTHING",
            id.to_string(),
            kind.to_owned(),
            display_name.to_owned(),
            now.as_micros(),
        )?;
        Ok(rows > 0)
    }

    async fn actor_exists(&mut self, id: &ActorId) -> Result<bool, StoreError> {
        let count = lookup!(self, number, "SELECT COUNT(*) FROM actor WHERE actor_id = $1", id.to_string())?
            .unwrap_or(0);
        Ok(count > 0)
    }
}
