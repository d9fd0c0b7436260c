//! The ToolRouter: who runs a tool call.

pub mod score;

use berth_model::endpoint::Capability;
use berth_model::tool::{Blame, ExecutionTarget, ToolFailure, ToolSpec};
use berth_model::workspace::{DefaultTarget, RoutingPolicy, Workspace};
use berth_model::{EndpointId, ToolName};
use serde_json::{Value, json};

use crate::port::store::Tx;
use crate::{Core, CoreError, builtin, catalogue};
use score::{Candidate, Preference, Rejected};

/// A tool with its target, and why it is that one.
#[derive(Debug, Clone)]
pub struct Route {
    pub tool: ToolSpec,
    /// The capability, when an endpoint runs it.
    pub capability: Option<Capability>,
    /// Stored on the operation.
    pub decision: Value,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A model-facing name or a routing key.
    pub tool: String,
    /// An endpoint, `core.local`, `plugin.<id>` or `provider:<type>`.
    pub target: Option<String>,
    /// Where the message came from.
    pub origin: Option<EndpointId>,
    /// Plugins are out of the question: a plugin asks, and calls do not nest.
    pub endpoints_only: bool,
    /// Whether a person or a grant has agreed.
    pub consented: bool,
}

const NOBODY: &str = "nothing here offers it";

fn failure(code: &str, message: String) -> CoreError {
    CoreError::Tool(ToolFailure::new(code, message, Blame::Caller))
}

fn unavailable(code: &str, message: String) -> CoreError {
    CoreError::Tool(ToolFailure::new(code, message, Blame::Provider).retryable())
}

impl Core {
    /// Finds who runs a call in `place`. The gate comes after: a route is no permission.
    pub(crate) async fn route(
        &self,
        tx: &mut dyn Tx,
        place: &Workspace,
        wanted: &Wanted,
    ) -> Result<Route, CoreError> {
        if wanted.tool.trim().is_empty() {
            return Err(failure("tool_key_required", "the call names no tool".to_owned()));
        }
        if let Some(target) = wanted.target.as_deref().filter(|target| !target.is_empty()) {
            return self.explicit(tx, place, wanted, target).await;
        }
        if wanted.endpoints_only {
            return self.scored(tx, place, wanted, Preference::default()).await;
        }
        let own = self.own_tool(&wanted.tool).map(registered);
        match (own, place.default_target) {
            (Some(own), DefaultTarget::PreferEndpointFallbackCore) => {
                match self.scored(tx, place, wanted, Preference::default()).await {
                    Err(CoreError::Tool(_)) => Ok(own),
                    scored => scored,
                }
            }
            (Some(own), _) => Ok(own),
            (None, default_target) => match self.by_model_name(tx, place, &wanted.tool).await? {
                Some(route) => Ok(route),
                None if default_target == DefaultTarget::CoreLocal => {
                    Err(self.only_core(tx, place, wanted).await?)
                }
                None => self.scored(tx, place, wanted, Preference::default()).await,
            },
        }
    }

    /// The route to a tool of Core or of a plugin, where no endpoint has to be looked at.
    pub(crate) fn own_route(&self, place: &Workspace, wanted: &Wanted) -> Option<Route> {
        let is_named = wanted.target.as_deref().is_some_and(|target| !target.is_empty());
        let prefers_endpoints = place.default_target == DefaultTarget::PreferEndpointFallbackCore;
        if is_named || wanted.endpoints_only || prefers_endpoints {
            return None;
        }
        self.own_tool(&wanted.tool).map(registered)
    }

    /// Why nobody runs it in a workspace of Core alone, where no endpoint is chosen unless it is named.
    async fn only_core(
        &self,
        tx: &mut dyn Tx,
        place: &Workspace,
        wanted: &Wanted,
    ) -> Result<CoreError, CoreError> {
        let mut offers = Vec::new();
        for endpoint in tx.endpoints_of_workspace(&place.id).await? {
            let capabilities = tx.list_capabilities(Some(&endpoint.id)).await?;
            if capabilities.iter().any(|capability| capability.tool_key.as_str() == wanted.tool) {
                offers.push(endpoint.id.to_string());
            }
        }
        let why = if offers.is_empty() {
            NOBODY.to_owned()
        } else {
            format!(
                "workspace {} chooses no endpoint by itself, name one of: {}",
                place.id,
                offers.join(", ")
            )
        };
        let code = "execution_target_unavailable";
        Ok(unavailable(code, format!("{} cannot run: {why}", wanted.tool)))
    }

    /// A tool of Core or of a plugin, by its name or by `core.<key>`.
    fn own_tool(&self, name: &str) -> Option<ToolSpec> {
        let builtin = builtin::tools().iter().find(|tool| tool.name.as_str() == name).cloned();
        builtin.or_else(|| self.0.plugins.catalogue().iter().find(|tool| tool.name.as_str() == name).cloned())
    }

    /// The name that the catalogue gave an endpoint's capability.
    ///
    /// Fails with `endpoint_not_in_workspace` or `target_endpoint_unavailable`.
    pub(crate) async fn by_model_name(
        &self,
        tx: &mut dyn Tx,
        place: &Workspace,
        name: &str,
    ) -> Result<Option<Route>, CoreError> {
        if !name.starts_with("ep_") || ToolName::new(name).is_err() {
            return Ok(None);
        }
        for capability in tx.list_capabilities(None).await? {
            if let Some(tool) =
                catalogue::endpoint_tool(&capability).filter(|tool| tool.name.as_str() == name)
            {
                check_member(tx, &capability.endpoint, place).await?;
                self.check_online(&capability.endpoint)?;
                let decision = score::named(capability.tool_key.as_str(), &capability.endpoint);
                return Ok(Some(Route { tool, capability: Some(capability), decision }));
            }
        }
        Ok(None)
    }

    async fn explicit(
        &self,
        tx: &mut dyn Tx,
        place: &Workspace,
        wanted: &Wanted,
        target: &str,
    ) -> Result<Route, CoreError> {
        if let Some(provider) = target.strip_prefix("provider:") {
            let preference = Preference { only_provider: Some(provider.to_owned()), ..Preference::default() };
            return self.scored(tx, place, wanted, preference).await;
        }
        if target == "core.local" || target.starts_with("plugin.") {
            let tool = (!wanted.endpoints_only).then(|| self.own_tool(&wanted.tool)).flatten();
            let tool = tool.filter(|tool| tool.target.id() == target);
            let tool = tool
                .ok_or_else(|| failure("core_tool_not_found", format!("{target} has no {}", wanted.tool)))?;
            return Ok(Route {
                tool,
                capability: None,
                decision: json!({ "mode": "explicit", "target": target }),
            });
        }
        let endpoint = EndpointId::new(target).ok();
        let known = match &endpoint {
            Some(id) => tx.lookup_endpoint(id).await?,
            None => None,
        };
        let endpoint = known.ok_or_else(|| {
            unavailable("execution_target_not_found", format!("there is no endpoint {target}"))
        })?;
        let capability = tx
            .list_capabilities(Some(&endpoint.id))
            .await?
            .into_iter()
            .find(|c| c.tool_key.as_str() == wanted.tool);
        let capability = capability.ok_or_else(|| {
            failure("endpoint_capability_not_found", format!("{target} does not offer {}", wanted.tool))
        })?;
        check_member(tx, &endpoint.id, place).await?;
        self.check_online(&endpoint.id)?;
        let tool = catalogue::endpoint_tool(&capability).ok_or_else(|| {
            failure("endpoint_capability_not_found", format!("{} cannot be called", wanted.tool))
        })?;
        let decision = score::named(&wanted.tool, &endpoint.id);
        Ok(Route { tool, capability: Some(capability), decision })
    }

    fn check_online(&self, endpoint: &EndpointId) -> Result<(), CoreError> {
        if self.0.endpoints.is_connected(endpoint) {
            return Ok(());
        }
        Err(unavailable("target_endpoint_unavailable", format!("{endpoint} is not connected")))
    }

    async fn scored(
        &self,
        tx: &mut dyn Tx,
        place: &Workspace,
        wanted: &Wanted,
        mut preference: Preference,
    ) -> Result<Route, CoreError> {
        let governance = &place.governance;
        preference.endpoints = governance.preferred_endpoints.clone();
        preference.providers = governance.preferred_providers.clone();
        preference.strict = governance.routing == RoutingPolicy::StrictPreferredEndpoint;
        if governance.routing == RoutingPolicy::PreferOriginEndpoint {
            preference.endpoints.extend(wanted.origin.clone());
        }
        // Only a named or a preferred endpoint will do.
        preference.strict |=
            place.default_target == DefaultTarget::Endpoint && preference.only_provider.is_none();

        let mut candidates = Vec::new();
        for capability in tx.list_capabilities(None).await? {
            if capability.tool_key.as_str() != wanted.tool {
                continue;
            }
            let Some(endpoint) = tx.lookup_endpoint(&capability.endpoint).await? else { continue };
            let memberships = tx.memberships_of(&endpoint.id).await?;
            candidates.push(Candidate {
                online: self.0.endpoints.is_connected(&endpoint.id),
                workspaces: memberships.into_iter().filter(|m| m.enabled).map(|m| m.workspace).collect(),
                endpoint,
                capability,
            });
        }
        let ranking =
            score::rank(candidates, &place.id, &preference, wanted.consented || wanted.endpoints_only);
        let decision = ranking.decision(&wanted.tool);
        let Some(best) = ranking.best else {
            let why = why_nobody(&ranking.rejected);
            let failure = ToolFailure::new(
                "execution_target_unavailable",
                format!("{} cannot run: {why}", wanted.tool),
                Blame::Provider,
            );
            return Err(CoreError::Tool(failure.retryable().with_details(decision)));
        };
        let tool = catalogue::endpoint_tool(&best.capability).ok_or_else(|| {
            failure("endpoint_capability_not_found", format!("{} cannot be called", wanted.tool))
        })?;
        Ok(Route { tool, capability: Some(best.capability), decision })
    }
}

/// Core or a plugin runs it.
fn registered(tool: ToolSpec) -> Route {
    let decision = json!({ "mode": "registered", "target": tool.target.id() });
    Route { tool, capability: None, decision }
}

/// Why none of the endpoints that offer a tool runs it, in words.
fn why_nobody(rejected: &[Rejected]) -> String {
    if rejected.is_empty() {
        return NOBODY.to_owned();
    }
    if rejected.iter().all(|rejected| rejected.reasons.contains(&"endpoint_disconnected")) {
        let names: Vec<_> = rejected.iter().take(8).map(|rejected| rejected.endpoint.as_str()).collect();
        return format!("every endpoint that offers it is offline ({})", names.join(", "));
    }
    let reasons = rejected.iter().take(8);
    let reasons: Vec<_> = reasons
        .map(|rejected| format!("{} is out as {}", rejected.endpoint, rejected.reasons.join(" and ")))
        .collect();
    reasons.join(", ")
}

/// An endpoint is called in its own workspaces only, however it is named.
async fn check_member(tx: &mut dyn Tx, endpoint: &EndpointId, place: &Workspace) -> Result<(), CoreError> {
    let memberships = tx.memberships_of(endpoint).await?;
    if memberships.iter().any(|membership| membership.enabled && membership.workspace == place.id) {
        return Ok(());
    }
    Err(failure("endpoint_not_in_workspace", format!("{endpoint} is not in workspace {}", place.id)))
}

/// The endpoint of a route, if one runs it.
pub(crate) fn endpoint_of(tool: &ToolSpec) -> Option<EndpointId> {
    match &tool.target {
        ExecutionTarget::Endpoint(endpoint) => Some(endpoint.clone()),
        ExecutionTarget::CoreLocal | ExecutionTarget::Plugin(_) => None,
    }
}
