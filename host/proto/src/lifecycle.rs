//! Hello, capabilities, ready, heartbeat, goodbye and errors.

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value;

use crate::fields::{Fields, int};
use crate::{JsonMap, SCHEMA, VERSION};

/// What the two sides may agree on beyond the frames themselves, in Core's order.
pub const FEATURES: [&str; 5] = [
    "tool_snapshot_optional",
    "connection_prompt",
    "feature_negotiation",
    "heartbeat_interval_negotiation",
    "hello_reject_reason",
];

/// `endpoint.hello`: a provider announces its endpoints.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Hello {
    pub provider: ProviderInfo,
    pub endpoints: Vec<EndpointItem>,
    /// `None` when the provider offers nothing, which is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ProtocolOffer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
}

/// Who provides.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ProviderInfo {
    pub provider_type: String,
    pub provider_id: String,
    pub display_name: String,
    pub transport_profile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_markdown: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_offline_cache: Option<bool>,
    /// `{hostname, os, arch …}`.
    #[serde(skip_serializing_if = "JsonMap::is_empty")]
    pub host: JsonMap,
}

/// An endpoint that a socket serves.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct EndpointItem {
    pub endpoint_id: String,
    pub endpoint_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provider_type: String,
    pub transport_type: String,
    pub roles: Vec<String>,
    pub workspace_ids: Vec<String>,
    pub supports_markdown: bool,
}

/// What a provider speaks.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ProtocolOffer {
    pub supported_schemas: Vec<String>,
    pub supported_versions: Vec<u64>,
    pub features: Vec<String>,
    pub required_features: Vec<String>,
}

impl ProtocolOffer {
    /// The offer of a provider of ours.
    pub fn ours() -> Self {
        Self {
            supported_schemas: vec![SCHEMA.to_owned()],
            supported_versions: vec![VERSION],
            features: FEATURES.iter().map(|&feature| feature.to_owned()).collect(),
            required_features: Vec::new(),
        }
    }

    fn read(fields: Fields<'_>) -> Self {
        let numbers = |key: &str| match fields.value(&[key]) {
            Some(Value::Array(items)) => Some(items.iter().filter_map(int).collect::<Vec<_>>()),
            Some(single) => int(single).map(|number| vec![number]),
            None => None,
        };
        let versions = numbers("supported_versions").or_else(|| numbers("version")).unwrap_or_default();
        Self {
            supported_schemas: fields.texts(&["supported_schemas", "schema"]),
            supported_versions: versions.into_iter().filter_map(|version| version.try_into().ok()).collect(),
            features: fields.texts(&["features"]),
            required_features: fields.texts(&["required_features"]),
        }
    }
}

impl Hello {
    /// Endpoints without an id are left out; an empty offer is none.
    pub fn read(fields: Fields<'_>) -> Self {
        let empty = JsonMap::new();
        let info = Fields(fields.maybe_object(&["provider"]).unwrap_or(&empty));
        let provider = ProviderInfo {
            provider_type: info.text(&["provider_type"]),
            provider_id: info.text(&["provider_id"]),
            display_name: info.text(&["display_name"]),
            transport_profile: info.text(&["transport_profile"]),
            supports_markdown: info
                .flag(&["supports_markdown"])
                .or_else(|| fields.flag(&["supports_markdown"])),
            supports_offline_cache: info
                .flag(&["supports_offline_cache"])
                .or_else(|| fields.flag(&["supports_offline_cache"])),
            host: info.maybe_object(&["host"]).cloned().unwrap_or_else(|| fields.object(&["host"])),
        };
        let markdown = provider.supports_markdown.unwrap_or(true);
        let items = fields.list(&["endpoints"]).iter().filter_map(Value::as_object);
        let endpoints =
            items.filter_map(|item| EndpointItem::read(Fields(item), &provider, markdown)).collect();
        let offer = fields.maybe_object(&["protocol"]).filter(|offer| !offer.is_empty());
        Self {
            provider,
            endpoints,
            protocol: offer.map(|offer| ProtocolOffer::read(Fields(offer))),
            connection_id: fields.maybe_text(&["connection_id"]),
        }
    }
}

impl EndpointItem {
    fn read(item: Fields<'_>, provider: &ProviderInfo, markdown: bool) -> Option<Self> {
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        Some(Self {
            endpoint_id: item.maybe_text(&["endpoint_id"])?,
            endpoint_type: or(item.text(&["endpoint_type"]), "endpoint"),
            // The provider's own word wins over the item's.
            provider_type: or(provider.provider_type.clone(), &or(item.text(&["provider_type"]), "external")),
            transport_type: or(item.text(&["transport_type"]), "websocket"),
            roles: item.texts(&["roles", "labels"]),
            workspace_ids: item.texts(&["workspace_ids", "workspace_scope"]),
            supports_markdown: item.flag(&["supports_markdown"]).unwrap_or(markdown),
        })
    }
}

/// `endpoint.hello.ack`: Core takes the endpoints, or not.
#[derive(Debug, Clone, PartialEq)]
pub enum HelloAck {
    Accepted(Accepted),
    Rejected(RejectReason),
}

/// What an accepted provider is told.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Accepted {
    pub connection_id: String,
    pub requires_capabilities_snapshot: bool,
    /// `None` when Core left it to the provider.
    pub heartbeat_interval_seconds: Option<u64>,
    pub registered_endpoints: Vec<String>,
    pub protocol: Agreement,
}

/// What both sides speak from here on.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Agreement {
    pub selected_schema: String,
    pub selected_version: u64,
    pub enabled_features: Vec<String>,
    pub disabled_features: Vec<String>,
    pub compatibility_mode: String,
}

/// Why a hello was refused; the socket stays open for another one.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RejectReason {
    pub code: String,
    pub message: String,
    #[serde(skip_serializing_if = "JsonMap::is_empty")]
    pub details: JsonMap,
}

impl RejectReason {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), details: JsonMap::new() }
    }
}

impl Serialize for HelloAck {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Accepted(accepted) => {
                map.serialize_entry("accepted", &true)?;
                map.serialize_entry("connection_id", &accepted.connection_id)?;
                map.serialize_entry(
                    "requires_capabilities_snapshot",
                    &accepted.requires_capabilities_snapshot,
                )?;
                if let Some(seconds) = accepted.heartbeat_interval_seconds {
                    map.serialize_entry("heartbeat_interval_seconds", &seconds)?;
                }
                map.serialize_entry("registered_endpoints", &accepted.registered_endpoints)?;
                map.serialize_entry("protocol", &accepted.protocol)?;
            }
            Self::Rejected(reason) => {
                map.serialize_entry("accepted", &false)?;
                map.serialize_entry("reject_reason", reason)?;
            }
        }
        map.end()
    }
}

impl HelloAck {
    /// An answer that says nothing of acceptance is one.
    pub fn read(fields: Fields<'_>) -> Self {
        if fields.flag(&["accepted"]) == Some(false) {
            let reason = fields.object(&["reject_reason"]);
            let reason = Fields(&reason);
            return Self::Rejected(RejectReason {
                code: reason.maybe_text(&["code"]).unwrap_or_else(|| "endpoint_hello_rejected".to_owned()),
                message: reason.text(&["message"]),
                details: reason.object(&["details"]),
            });
        }
        let protocol = fields.object(&["protocol"]);
        let protocol = Fields(&protocol);
        let seconds = fields.int(&["heartbeat_interval_seconds"]);
        Self::Accepted(Accepted {
            connection_id: fields.text(&["connection_id"]),
            requires_capabilities_snapshot: fields.flag(&["requires_capabilities_snapshot"]).unwrap_or(true),
            heartbeat_interval_seconds: seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|&seconds| seconds > 0),
            registered_endpoints: fields.texts(&["registered_endpoints"]),
            protocol: Agreement {
                selected_schema: protocol.text(&["selected_schema"]),
                selected_version: protocol
                    .int(&["selected_version"])
                    .and_then(|version| version.try_into().ok())
                    .unwrap_or(0),
                enabled_features: protocol.texts(&["enabled_features"]),
                disabled_features: protocol.texts(&["disabled_features"]),
                compatibility_mode: protocol.text(&["compatibility_mode"]),
            },
        })
    }
}

/// `endpoint.capabilities.snapshot`: everything that an endpoint offers from now on.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CapabilitiesSnapshot {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint_id: String,
    pub revision: i64,
    pub capabilities: Vec<CapabilityItem>,
}

/// One tool of an endpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CapabilityItem {
    pub tool_key: String,
    /// Empty when the provider leaves it to Core.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub capability_id: String,
    pub title: String,
    pub description: String,
    pub input_schema: Value,
    pub output_schema: Value,
    pub risk_level: String,
    pub requires_confirmation: bool,
    pub enabled: bool,
    /// `timeout_seconds`, `safe_parallel`, `max_concurrency` … as Core reads them.
    pub constraints: JsonMap,
    /// Every other field of the item.
    #[serde(flatten)]
    pub more: JsonMap,
}

impl CapabilitiesSnapshot {
    /// Items that are no objects or have no key are left out.
    pub fn read(fields: Fields<'_>) -> Self {
        let items = fields.list(&["capabilities"]).iter().filter_map(Value::as_object);
        Self {
            endpoint_id: fields.text(&["endpoint_id"]),
            revision: fields.int(&["revision"]).unwrap_or(0),
            capabilities: items.filter_map(CapabilityItem::read).collect(),
        }
    }
}

impl CapabilityItem {
    const KNOWN: [&str; 14] = [
        "tool_key",
        "name",
        "capability_id",
        "tool_id",
        "title",
        "description",
        "input_schema",
        "schema",
        "output_schema",
        "risk_level",
        "requires_confirmation",
        "enabled",
        "constraints",
        "endpoint_id",
    ];

    fn read(item: &JsonMap) -> Option<Self> {
        let fields = Fields(item);
        let schema = |keys: &[&str]| Value::Object(fields.object(keys));
        Some(Self {
            tool_key: fields.maybe_text(&["tool_key", "name"])?,
            capability_id: fields.text(&["capability_id", "tool_id"]),
            title: fields.text(&["title"]),
            description: fields.text(&["description"]),
            input_schema: schema(&["input_schema", "schema"]),
            output_schema: schema(&["output_schema"]),
            risk_level: fields.maybe_text(&["risk_level"]).unwrap_or_else(|| "read".to_owned()),
            requires_confirmation: fields.flag(&["requires_confirmation"]).unwrap_or(false),
            enabled: fields.flag(&["enabled"]).unwrap_or(true),
            constraints: fields.object(&["constraints"]),
            more: item
                .iter()
                .filter(|(key, value)| !Self::KNOWN.contains(&key.as_str()) && !value.is_null())
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        })
    }
}

/// `endpoint.ready` from Core: a snapshot is in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CapabilitiesReady {
    pub registered_capability_count: u64,
}

/// `endpoint.ready` from a provider: it may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EndpointReady {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint_id: String,
}

/// `endpoint.heartbeat`; nothing answers it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Heartbeat {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint_id: String,
    pub status: String,
    pub metrics: JsonMap,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
}

impl Heartbeat {
    pub fn read(fields: Fields<'_>) -> Self {
        Self {
            endpoint_id: fields.text(&["endpoint_id"]),
            status: fields.maybe_text(&["status"]).unwrap_or_else(|| "ready".to_owned()),
            metrics: fields.object(&["metrics"]),
            connection_id: fields.maybe_text(&["connection_id"]),
        }
    }
}

/// `endpoint.goodbye`; Core closes with 1000.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Goodbye {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// `endpoint.error`: a frame was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EndpointError {
    pub code: String,
    pub message: String,
}

impl EndpointError {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}
