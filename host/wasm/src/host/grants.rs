//! Grants: given and taken by the operator, never by a plugin or a model.

use std::path::Path;

use berth_model::plugin::{DigestRule, Grant, GrantMode, NewGrant};
use berth_model::{GrantId, PluginId};
use serde_json::Value;

use super::{HostError, PluginHost};
use crate::actor::hooks;
use crate::capability::grants::Ceiling;
use crate::capability::limit::Limit;
use crate::capability::{Capability, endpoint, files, http, keyvalue, process, secret, websocket};
use crate::manifest::Manifest;

impl PluginHost {
    /// Stores a grant; calls in flight see it at their next host call.
    pub async fn grant(&self, new: NewGrant) -> Result<Grant, HostError> {
        let _turn = self.changes.lock().await;
        self.check_grant(&new)?;
        let grant = self.new_grant(new);
        let mut tx = self.parts.store.write().await?;
        tx.insert_grant(&grant).await?;
        let all = tx.list_grants(None).await?;
        tx.commit().await?;
        self.registry.set_grants(all);
        Ok(grant)
    }

    /// Oldest first, revoked and expired ones too; of every plugin, installed or not, when `None`.
    pub async fn list_grants(&self, plugin: Option<&PluginId>) -> Result<Vec<Grant>, HostError> {
        Ok(self.parts.store.read().await?.list_grants(plugin).await?)
    }

    /// Bounds every grant from now on, those of calls in flight too; in place of the ceilings before.
    pub fn set_ceilings(&self, ceilings: Vec<Ceiling>) {
        self.registry.set_ceilings(ceilings);
    }

    /// Refuses a manifest that names private hosts, unless live grants name them too.
    pub(super) async fn check_private(&self, manifest: &Manifest) -> Result<(), HostError> {
        let asked = manifest.requests.iter().filter(|request| request.capability == Capability::Http);
        let scopes: Vec<&Value> = asked.map(|request| &*request.scope).collect();
        if scopes.iter().all(|scope| http::private(scope, &[]).is_empty()) {
            return Ok(());
        }
        let id = PluginId::new(&manifest.id)?;
        let now = self.parts.clock.now();
        let grants = self.parts.store.read().await?.list_grants(Some(&id)).await?;
        let named: Vec<&Value> = grants
            .iter()
            .filter(|grant| grant.capability == Capability::Http.as_str() && grant.is_live(now))
            .filter(|grant| grant.mode != GrantMode::Deny)
            .map(|grant| &grant.scope)
            .collect();
        let hosts: Vec<String> = scopes.iter().flat_map(|scope| http::private(scope, &named)).collect();
        if hosts.is_empty() {
            return Ok(());
        }
        let scope = serde_json::json!({ "hosts": hosts });
        let hint = format!("berth plugin grant {id} http --scope '{scope}'");
        Err(HostError::PrivateTarget { hosts, hint })
    }

    /// Refuses a folder that would show a guest the token and the database of the host.
    fn check_host(&self, scope: &Value) -> Result<(), String> {
        let config = &self.engine().inner.config;
        let private = config.private.as_deref();
        // A folder that is not there yet is looked at when a call gets it.
        let host = scope["host"].as_str().and_then(|host| Path::new(host).canonicalize().ok());
        if let Some(host) = &host
            && let Some(file) = files::shows_hidden(host, &config.hidden)
        {
            return Err(format!(
                "`host` must not be {}, which shows {}, a file of berth: name another folder",
                host.display(),
                file.display()
            ));
        }
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

    pub(super) fn new_grant(&self, new: NewGrant) -> Grant {
        new.into_grant(GrantId::from_uuid(self.parts.ids.uuid()), self.parts.clock.now())
    }

    /// Refuses a grant that could not be meant.
    pub(super) fn check_grant(&self, new: &NewGrant) -> Result<(), HostError> {
        let Some(capability) = Capability::lookup(&new.capability) else {
            let known: Vec<&str> = Capability::ALL.into_iter().map(Capability::as_str).collect();
            return Err(HostError::GrantCapability {
                capability: new.capability.clone(),
                known: known.join(", "),
            });
        };
        let checked = match (capability, new.mode) {
            (Capability::Files, GrantMode::Deny) if new.scope.get("host").is_none() => Ok(()),
            (Capability::Files, GrantMode::Deny) => files::check_grant(&new.scope),
            (Capability::Files, _) => {
                files::check_grant(&new.scope).and_then(|()| self.check_host(&new.scope))
            }
            (Capability::Endpoint, _) => endpoint::check_scope(&new.scope),
            (Capability::Http, _) => http::check_grant(&new.scope),
            (Capability::Keyvalue, _) => keyvalue::check_scope(&new.scope),
            (Capability::Process, _) => process::check_scope(&new.scope),
            (Capability::Secret, _) => secret::check_scope(&new.scope),
            (Capability::Channel, _) => hooks::check_scope(&new.scope),
            (Capability::Websocket, _) => websocket::check_scope(&new.scope),
            _ if new.scope.is_object() => Ok(()),
            _ => Err("the scope must be an object".to_owned()),
        };
        checked.map_err(|message| HostError::GrantScope { message })?;
        Limit::parse(capability, &new.limit).map_err(|message| HostError::GrantLimit { message })?;
        if let DigestRule::Publisher { versions, .. } = &new.rule {
            semver::VersionReq::parse(versions)
                .map_err(|error| HostError::GrantRule { message: error.to_string() })?;
        }
        if new.uses_left.is_some_and(|uses| uses < 1) {
            return Err(HostError::GrantUses);
        }
        Ok(())
    }

    /// Takes a grant back for the owner; calls in flight lose it at their next host call. Twice is as good as once.
    pub async fn revoke(&self, id: GrantId) -> Result<Grant, HostError> {
        self.revoke_as(id, super::OWNER).await
    }

    /// Takes a grant back for `by`.
    pub async fn revoke_as(&self, id: GrantId, by: &str) -> Result<Grant, HostError> {
        let _turn = self.changes.lock().await;
        let mut tx = self.parts.store.write().await?;
        let Some(mut grant) = tx.lookup_grant(id).await? else {
            return Err(HostError::GrantNotFound { id });
        };
        if grant.revoked_at.is_none() {
            grant.revoked_at = Some(self.parts.clock.now());
            grant.revoked_by = Some(by.to_owned());
            tx.update_grant(&grant).await?;
        }
        let all = tx.list_grants(None).await?;
        tx.commit().await?;
        self.registry.set_grants(all);
        Ok(grant)
    }
}
