//! Who a provider is.

use berth_proto::JsonMap;
use berth_proto::lifecycle::{EndpointItem, Hello, ProtocolOffer, ProviderInfo};

use crate::error::BuildError;

/// Longer ids do not fit the tables of a Core.
const MAX_ID_CHARS: usize = 255;

/// A provider with its one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub provider_type: String,
    pub provider_id: String,
    pub display_name: String,
    pub endpoint_id: String,
    pub endpoint_type: String,
    pub transport_profile: String,
    /// The workspaces that may use the endpoint; one that exists, or `*`.
    pub workspace_ids: Vec<String>,
    /// `{hostname, os, arch …}`.
    pub host: JsonMap,
}

impl Identity {
    /// An endpoint that runs tools: type `edge` and id `lab1` make `edge.lab1.executor`.
    ///
    /// The whole endpoint id may be given as well, and names the same endpoint.
    pub fn executor(provider_type: &str, id: &str) -> Self {
        let inner = id.strip_prefix(provider_type).and_then(|rest| rest.strip_prefix('.'));
        let provider_id = inner.and_then(|rest| rest.strip_suffix(".executor")).unwrap_or(id);
        Self {
            provider_type: provider_type.to_owned(),
            provider_id: provider_id.to_owned(),
            display_name: provider_id.to_owned(),
            endpoint_id: format!("{provider_type}.{provider_id}.executor"),
            endpoint_type: format!("{provider_type}_executor"),
            transport_profile: format!("{provider_type}_wss"),
            workspace_ids: vec!["personal".to_owned()],
            host: host_facts(),
        }
    }

    #[must_use]
    pub fn named(mut self, display_name: &str) -> Self {
        self.display_name = display_name.to_owned();
        self
    }

    #[must_use]
    pub fn serving(mut self, workspace_ids: &[String]) -> Self {
        self.workspace_ids = workspace_ids.to_vec();
        self
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        for (what, id) in [("provider id", &self.provider_id), ("endpoint id", &self.endpoint_id)] {
            let blank = id.is_empty() || id.contains(char::is_whitespace);
            if blank || id.chars().count() > MAX_ID_CHARS {
                return Err(BuildError::Identity { what, id: id.clone() });
            }
        }
        Ok(())
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            provider: ProviderInfo {
                provider_type: self.provider_type.clone(),
                provider_id: self.provider_id.clone(),
                display_name: self.display_name.clone(),
                transport_profile: self.transport_profile.clone(),
                supports_markdown: Some(true),
                supports_offline_cache: Some(false),
                host: self.host.clone(),
            },
            endpoints: vec![EndpointItem {
                endpoint_id: self.endpoint_id.clone(),
                endpoint_type: self.endpoint_type.clone(),
                provider_type: self.provider_type.clone(),
                transport_type: "websocket".to_owned(),
                roles: vec!["execution".to_owned()],
                workspace_ids: self.workspace_ids.clone(),
                supports_markdown: true,
            }],
            protocol: Some(ProtocolOffer::ours()),
            connection_id: None,
        }
    }
}

/// `{hostname, os, arch}` of this machine.
pub fn host_facts() -> JsonMap {
    let mut facts = JsonMap::new();
    let uname = rustix::system::uname();
    facts.insert("hostname".to_owned(), uname.nodename().to_string_lossy().into());
    facts.insert("os".to_owned(), std::env::consts::OS.into());
    facts.insert("arch".to_owned(), std::env::consts::ARCH.into());
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_and_the_whole_one_name_the_same_endpoint() {
        for id in ["lab1", "edge.lab1.executor"] {
            let identity = Identity::executor("edge", id);

            assert_eq!(identity.endpoint_id, "edge.lab1.executor");
            assert_eq!(identity.provider_id, "lab1");
            assert_eq!(identity.endpoint_type, "edge_executor");
        }
    }

    #[test]
    fn an_id_that_no_core_can_store_is_refused_by_name() {
        for id in ["", "a b", &"x".repeat(300)] {
            assert!(Identity::executor("edge", id).check().is_err(), "{id}");
        }
        assert_eq!(Identity::executor("edge", "lab-1.local").check(), Ok(()));
    }
}
