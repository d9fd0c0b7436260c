//! The one gate: every tool call passes it, whoever runs the tool. A pure decision.

use berth_model::tool::{Blame, ToolFailure, ToolSpec};
use berth_model::workspace::Workspace;
use serde_json::json;

/// What the gate looks at.
pub struct Request<'a> {
    pub actor_known: bool,
    pub workspace: &'a Workspace,
    pub tool: &'a ToolSpec,
    pub consent: Consent,
    /// Whether the run may use tools that change something.
    pub read_only: bool,
}

/// Who has agreed to this very call. Never an argument that a model writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Nobody yet; a person is asked where the tool wants it.
    None,
    /// Nobody, and nobody is to be asked: who calls comes back with a yes where the tool wants one.
    Missing,
    /// The owner asked for the call, or approved it, or an operator's grant names the tool.
    Given,
}

/// What the gate says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Pass,
    /// A person must agree first.
    Ask,
    Refuse(ToolFailure),
}

/// Checks actor, workspace, run policy and confirmation, in this order.
pub fn decide(request: &Request<'_>) -> Verdict {
    let tool = request.tool;
    let refuse = |code: &str, message: String| {
        let details = json!({ "tool": tool.name.as_str(), "workspace_id": request.workspace.id.as_str() });
        Verdict::Refuse(ToolFailure::new(code, message, Blame::Operator).with_details(details))
    };
    if !request.actor_known {
        return refuse("actor_not_allowed", "nobody known asks for this call".to_owned());
    }
    let governance = &request.workspace.governance;
    if !governance.allows(tool.name.as_str()) && !governance.allows(tool.key.as_str()) {
        let message = format!("workspace {} does not allow {}", request.workspace.id, tool.name);
        return refuse("workspace_tool_not_allowed", message);
    }
    if request.read_only && tool.risk.has_effects() {
        return refuse(
            "tool_readonly_violation",
            format!("{} changes something, and this run only reads", tool.name),
        );
    }
    match request.consent {
        Consent::None if tool.requires_confirmation => Verdict::Ask,
        Consent::Missing if tool.requires_confirmation => {
            let message = format!("{} wants a confirmation", tool.name);
            let details = json!({
                "tool": tool.name.as_str(), "workspace_id": request.workspace.id.as_str(),
                "risk_level": tool.risk.as_str(),
            });
            let failure = ToolFailure::new("tool_confirmation_required", message, Blame::Caller);
            Verdict::Refuse(failure.with_details(details))
        }
        Consent::None | Consent::Missing | Consent::Given => Verdict::Pass,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use berth_model::tool::{ExecutionTarget, Parallel, Risk};
    use berth_model::workspace::{DefaultTarget, Governance, ToolPolicy, WorkspaceStatus};
    use berth_model::{JsonMap, Timestamp, ToolKey, ToolName, WorkspaceId};
    use serde_json::Value;

    use super::*;

    fn workspace(allowed: Option<&'static str>) -> Workspace {
        let mut governance = Governance::open();
        if let Some(tool) = allowed {
            governance.tool_policy = ToolPolicy::Allowlist;
            governance.allowed_tools = vec![ToolKey::fixed(tool)];
        }
        Workspace {
            id: WorkspaceId::fixed("w"),
            title: String::new(),
            description: String::new(),
            status: WorkspaceStatus::Active,
            base_mode: String::new(),
            prompt_overlay: String::new(),
            default_target: DefaultTarget::CoreLocal,
            governance,
            metadata: JsonMap::new(),
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    fn tool(risk: Risk, requires_confirmation: bool) -> ToolSpec {
        ToolSpec {
            name: ToolName::fixed("files_write"),
            key: ToolKey::fixed("write"),
            title: String::new(),
            description: String::new(),
            input_schema: Value::Null,
            output_schema: Value::Null,
            risk,
            requires_confirmation,
            idempotent: false,
            timeout: Duration::from_secs(1),
            parallel: Parallel::for_risk(risk),
            target: ExecutionTarget::CoreLocal,
        }
    }

    fn code(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Pass => "pass",
            Verdict::Ask => "ask",
            Verdict::Refuse(failure) => &failure.code,
        }
    }

    #[test]
    fn the_first_objection_decides() {
        let open = workspace(None);
        let closed = workspace(Some("clock_now"));
        let write = tool(Risk::LocalWrite, false);
        let asked = tool(Risk::Read, true);
        for (expected, actor_known, workspace, tool, consent, read_only) in [
            ("pass", true, &open, &write, Consent::None, false),
            ("actor_not_allowed", false, &closed, &write, Consent::None, true),
            ("workspace_tool_not_allowed", true, &closed, &write, Consent::Given, true),
            ("tool_readonly_violation", true, &open, &write, Consent::Given, true),
            ("ask", true, &open, &asked, Consent::None, true),
            ("pass", true, &open, &asked, Consent::Given, true),
            ("tool_confirmation_required", true, &open, &asked, Consent::Missing, true),
            ("pass", true, &open, &write, Consent::Missing, false),
        ] {
            let verdict = decide(&Request { actor_known, workspace, tool, consent, read_only });
            assert_eq!(code(&verdict), expected);
        }
    }

    #[test]
    fn an_allowlist_knows_tools_by_name_and_by_key() {
        for name in ["files_write", "write"] {
            let workspace = workspace(Some(name));
            let tool = tool(Risk::LocalWrite, false);
            let request = Request {
                actor_known: true,
                workspace: &workspace,
                tool: &tool,
                consent: Consent::None,
                read_only: false,
            };
            assert_eq!(decide(&request), Verdict::Pass);
        }
    }
}
