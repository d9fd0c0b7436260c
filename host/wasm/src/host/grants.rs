//! Grants: given and taken by the operator, never by a plugin or a model.

use std::path::Path;

use berth_model::plugin::{Grant, GrantMode};
use berth_model::{GrantId, PluginId, Timestamp, WorkspaceId};
use serde_json::Value;

use super::{HostError, PluginHost};
use crate::capability::{Capability, endpoint, files, keyvalue};

/// A grant that an operator gives. The plugin need not be installed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewGrant {
    pub plugin: PluginId,
    pub capability: String,
    /// A JSON object.
    pub scope: Value,
    pub mode: GrantMode,
    pub workspace: Option<WorkspaceId>,
    pub granted_by: String,
    pub reason: String,
    pub expires_at: Option<Timestamp>,
}

impl PluginHost {
    /// Stores a grant; calls in flight see it at their next host call.
    pub async fn grant(&self, new: NewGrant) -> Result<Grant, HostError> {
        let _turn = self.changes.lock().await;
        let Some(capability) = Capability::lookup(&new.capability) else {
            let known: Vec<&str> = Capability::ALL.into_iter().map(Capability::as_str).collect();
            return Err(HostError::GrantCapability { capability: new.capability, known: known.join(", ") });
        };
        let checked = match (capability, new.mode) {
            (Capability::Files, GrantMode::Deny) if new.scope.get("host").is_none() => Ok(()),
            (Capability::Files, GrantMode::Deny) => files::check_grant(&new.scope),
            (Capability::Files, _) => {
                files::check_grant(&new.scope).and_then(|()| self.check_host(&new.scope))
            }
            (Capability::Endpoint, _) => endpoint::check_scope(&new.scope),
            (Capability::Keyvalue, _) => keyvalue::check_scope(&new.scope),
            _ if new.scope.is_object() => Ok(()),
            _ => Err("the scope must be an object".to_owned()),
        };
        checked.map_err(|message| HostError::GrantScope { message })?;
        let grant = Grant {
            id: GrantId::from_uuid(self.parts.ids.uuid()),
            plugin: new.plugin,
            capability: new.capability,
            scope: new.scope,
            limit: Value::Object(serde_json::Map::new()),
            mode: new.mode,
            workspace: new.workspace,
            granted_by: new.granted_by,
            reason: new.reason,
            created_at: self.parts.clock.now(),
            expires_at: new.expires_at,
            uses_left: None,
            revoked_at: None,
        };
        let mut tx = self.parts.store.write().await?;
        tx.insert_grant(&grant).await?;
        let all = tx.list_grants(None).await?;
        tx.commit().await?;
        self.registry.set_grants(all);
        Ok(grant)
    }

    /// Refuses a folder that would show a guest the token and the database of the host.
    fn check_host(&self, scope: &Value) -> Result<(), String> {
        let private = self.engine().inner.config.private.as_deref();
        // A folder that is not there yet is looked at when a call gets it.
        let host = scope["host"].as_str().and_then(|host| Path::new(host).canonicalize().ok());
        match (host, private) {
            (Some(host), Some(private)) if files::shows_private(&host, private) => Err(format!(
                "`host` must not be {}, which shows the data folder of berth, {}, and with it the access token: name a \
                 folder beside it, or its `files`",
                host.display(),
                private.display()
            )),
            _ => Ok(()),
        }
    }

    /// Takes a grant back; calls in flight lose it at their next host call.
    pub async fn revoke(&self, id: GrantId) -> Result<Grant, HostError> {
        let _turn = self.changes.lock().await;
        let mut tx = self.parts.store.write().await?;
        let Some(mut grant) = tx.lookup_grant(id).await? else {
            return Err(HostError::GrantNotFound { id });
        };
        if grant.revoked_at.is_none() {
            grant.revoked_at = Some(self.parts.clock.now());
            tx.update_grant(&grant).await?;
        }
        let all = tx.list_grants(None).await?;
        tx.commit().await?;
        self.registry.set_grants(all);
        Ok(grant)
    }
}
