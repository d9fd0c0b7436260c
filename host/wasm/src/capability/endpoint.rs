//! One hop to a tool of a connected endpoint.

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::context::CallContext;
use super::grants::{Decision, GrantView, PermissionDenied};
use super::{Capability, CapabilityError};

/// An endpoint as a guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointInfo {
    pub endpoint_id: String,
    pub provider_type: String,
    pub display_name: String,
    pub online: bool,
}

impl EndpointInfo {
    /// Whether `selector` (an id, `provider:<type>`, or empty for any) names this endpoint.
    pub fn matches(&self, selector: &str) -> bool {
        match selector.strip_prefix("provider:") {
            Some(kind) => self.provider_type == kind,
            None => selector.is_empty() || self.endpoint_id == selector,
        }
    }
}

/// Reaches connected endpoints.
#[async_trait]
pub trait EndpointCaller: Send + Sync {
    /// Endpoints that offer `tool_key`, online ones first.
    async fn list(&self, tool_key: &str, context: &CallContext)
    -> Result<Vec<EndpointInfo>, CapabilityError>;

    /// Calls the tool at `endpoint`. Ends early when `cancel` does.
    async fn call(
        &self,
        endpoint: &EndpointInfo,
        tool_key: &str,
        arguments: Value,
        context: &CallContext,
        cancel: &CancellationToken,
    ) -> Result<Value, CapabilityError>;
}

/// No endpoint is in reach.
#[derive(Debug, Clone, Copy)]
pub struct NoEndpoints;

#[async_trait]
impl EndpointCaller for NoEndpoints {
    async fn list(&self, _: &str, _: &CallContext) -> Result<Vec<EndpointInfo>, CapabilityError> {
        Ok(Vec::new())
    }

    async fn call(
        &self,
        _: &EndpointInfo,
        tool_key: &str,
        _: Value,
        _: &CallContext,
        _: &CancellationToken,
    ) -> Result<Value, CapabilityError> {
        Err(nobody(tool_key, ""))
    }
}

/// Endpoints that offer `tool_key` and that the grants allow.
pub async fn list(
    caller: &dyn EndpointCaller,
    view: &GrantView,
    tool_key: &str,
    context: &CallContext,
) -> Result<Vec<EndpointInfo>, CapabilityError> {
    let offered = caller.list(tool_key, context).await?;
    Ok(offered.into_iter().filter(|endpoint| permitted(view, endpoint, tool_key).is_ok()).collect())
}

/// The endpoint for a call of `tool_key`: the best of those that `selector` names, first one that needs no question.
///
/// Where nothing is connected it is one that is not there: the grant is still checked, so that a guest does not learn
/// who is there.
pub async fn choose(
    caller: &dyn EndpointCaller,
    view: &GrantView,
    selector: &str,
    tool_key: &str,
    context: &CallContext,
) -> Result<EndpointInfo, CapabilityError> {
    let endpoints = caller.list(tool_key, context).await?;
    let rank = |endpoint: &EndpointInfo| {
        let wanted = wanted(endpoint, tool_key);
        match view.decision(Capability::Endpoint, &wanted, |scope| covers(scope, endpoint, tool_key)) {
            Decision::Allowed(_) => 0,
            Decision::Ask => 1,
            Decision::Denied(_) => 2,
        }
    };
    let fitting = endpoints.into_iter().filter(|endpoint| endpoint.online && endpoint.matches(selector));
    // The first of the best ones: the list is in order.
    Ok(fitting.min_by_key(rank).unwrap_or_else(|| EndpointInfo {
        endpoint_id: selector.to_owned(),
        provider_type: selector.strip_prefix("provider:").unwrap_or_default().to_owned(),
        display_name: String::new(),
        online: false,
    }))
}

/// The arguments of a call, when they are an object.
pub fn arguments(text: &str) -> Result<Value, CapabilityError> {
    serde_json::from_str(text)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| CapabilityError::new("INVALID_ARGUMENTS", "the arguments are no JSON object"))
}

/// What a grant would have to cover for this call.
pub fn wanted(endpoint: &EndpointInfo, tool_key: &str) -> Value {
    json!({ "tools": [tool_key], "endpoints": [endpoint.endpoint_id] })
}

/// Nothing that is connected offers the tool.
pub fn nobody(tool_key: &str, selector: &str) -> CapabilityError {
    let mut error = CapabilityError::new(
        "target_endpoint_unavailable",
        if selector.is_empty() {
            format!("no connected endpoint offers `{tool_key}`")
        } else {
            format!("no connected endpoint `{selector}` offers `{tool_key}`")
        },
    );
    error.retryable = true;
    error
}

fn permitted(view: &GrantView, endpoint: &EndpointInfo, tool_key: &str) -> Result<(), PermissionDenied> {
    view.decide(Capability::Endpoint, wanted(endpoint, tool_key), |scope| covers(scope, endpoint, tool_key))
}

/// Whether a scope like `{"tools": ["gpio.*"], "endpoints": ["pi.kitchen", "provider:raspberry_pi"]}` covers a use.
///
/// A list that is left out covers everything; one of another type covers nothing.
pub fn covers(scope: &Value, endpoint: &EndpointInfo, tool_key: &str) -> bool {
    let tool_fits = |pattern: &str| fits_tool(pattern, tool_key);
    let endpoint_fits = |pattern: &str| !pattern.is_empty() && endpoint.matches(pattern);
    listed(scope, "tools", tool_fits) && listed(scope, "endpoints", endpoint_fits)
}

/// Whether the grants cover each tool and endpoint that `wanted` lists; a list that is left out asks for nothing more.
pub fn check(view: &GrantView, wanted: &Value) -> bool {
    let words = |key: &str| -> Option<Vec<String>> {
        match wanted.get(key) {
            None => Some(vec![String::new()]),
            Some(list) => list.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect(),
        }
    };
    let (Some(tools), Some(endpoints)) = (words("tools"), words("endpoints")) else { return false };
    tools.iter().all(|tool| {
        endpoints.iter().all(|endpoint| {
            let asked = json!({ "tools": [tool], "endpoints": [endpoint] });
            view.decide(Capability::Endpoint, asked, |scope| {
                let tool_fits = tool.is_empty() || listed(scope, "tools", |pattern| fits_tool(pattern, tool));
                let endpoint_fits =
                    endpoint.is_empty() || listed(scope, "endpoints", |pattern| pattern == endpoint);
                tool_fits && endpoint_fits
            })
            .is_ok()
        })
    })
}

fn fits_tool(pattern: &str, tool_key: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => tool_key.starts_with(prefix),
        None => tool_key == pattern,
    }
}

fn listed(scope: &Value, key: &str, fits: impl Fn(&str) -> bool) -> bool {
    match scope.get(key) {
        None | Some(Value::Null) => true,
        Some(Value::Array(patterns)) => patterns.iter().filter_map(Value::as_str).any(fits),
        Some(_) => false,
    }
}

/// Checks the scope of a manifest or grant.
pub fn check_scope(scope: &Value) -> Result<(), String> {
    let Some(object) = scope.as_object() else {
        return Err("the scope must be a table".to_owned());
    };
    for (key, value) in object {
        if !matches!(key.as_str(), "tools" | "endpoints") {
            return Err(format!(
                "`{key}` is no key of the scope of `endpoint`: it has `tools` and `endpoints`"
            ));
        }
        let words = value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
        if !words {
            return Err(format!("`{key}` must be a list of texts"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pi() -> EndpointInfo {
        EndpointInfo {
            endpoint_id: "pi.kitchen".to_owned(),
            provider_type: "raspberry_pi".to_owned(),
            display_name: String::new(),
            online: true,
        }
    }

    #[test]
    fn a_scope_names_tools_and_endpoints() {
        for (scope, fits) in [
            (json!({}), true),
            (json!({ "tools": ["gpio.*"] }), true),
            (json!({ "tools": ["gpio.write"] }), false),
            (json!({ "tools": "gpio.*" }), false),
            (json!({ "endpoints": ["pi.kitchen"] }), true),
            (json!({ "endpoints": ["provider:raspberry_pi"], "tools": ["gpio.read"] }), true),
            (json!({ "endpoints": ["provider:desktop"] }), false),
            (json!({ "endpoints": [] }), false),
            (json!({ "endpoints": [""] }), false),
        ] {
            assert_eq!(covers(&scope, &pi(), "gpio.read"), fits, "{scope}");
        }
    }

    #[test]
    fn a_scope_with_another_key_is_refused() {
        assert!(check_scope(&json!({ "tool": [] })).is_err());
        assert!(check_scope(&json!({ "tools": ["a"] })).is_ok());
    }
}
