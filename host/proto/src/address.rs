//! The people and rooms behind a channel.

use serde::Serialize;
use serde_json::Value;

use crate::JsonMap;
use crate::fields::Fields;

/// `endpoint.addresses.snapshot` and `endpoint.address.upsert`. Both add: what is not named stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct AddressesSnapshot {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint_id: String,
    pub addresses: Vec<AddressItem>,
}

/// One address, as its provider tells it. An empty field means "as Core has it, else the default".
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct AddressItem {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address_id: String,
    /// `direct`, `group` …
    pub address_type: String,
    /// The channel's own id.
    pub external_ref: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provider_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workspace_ids: Vec<String>,
    /// `sendable`, `unknown` or `unavailable`.
    pub status: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_markdown: Option<bool>,
    #[serde(skip_serializing_if = "JsonMap::is_empty")]
    pub metadata: JsonMap,
}

impl AddressesSnapshot {
    /// Items that are no objects or have no external reference are left out.
    pub fn read(fields: Fields<'_>) -> Self {
        let items = fields.list(&["addresses"]).iter().filter_map(Value::as_object);
        Self {
            endpoint_id: fields.text(&["endpoint_id"]),
            addresses: items.filter_map(|item| AddressItem::read(Fields(item))).collect(),
        }
    }

    /// The form with one address, which may also be the payload itself.
    pub fn read_upsert(fields: Fields<'_>) -> Self {
        let item = fields.maybe_object(&["address"]).map_or(fields, Fields);
        Self {
            endpoint_id: fields.text(&["endpoint_id"]),
            addresses: AddressItem::read(item).into_iter().collect(),
        }
    }
}

impl AddressItem {
    fn read(item: Fields<'_>) -> Option<Self> {
        let metadata = item.object(&["metadata"]);
        let kind = item.text(&["address_type", "chat_type"]).to_lowercase();
        Some(Self {
            address_id: item.text(&["address_id"]),
            address_type: match kind.as_str() {
                "" | "private" | "p2p" | "person" => "direct".to_owned(),
                "group_chat" => "group".to_owned(),
                _ => kind,
            },
            external_ref: item.maybe_text(&["external_ref", "chat_id", "room_id", "id"])?,
            provider_type: item.text(&["provider_type"]),
            display_name: item.text(&["display_name", "name"]),
            workspace_ids: item.texts(&["workspace_ids", "workspace_scope"]),
            status: item.maybe_text(&["status"]).unwrap_or_else(|| "sendable".to_owned()),
            capabilities: item.texts(&["capabilities"]),
            supports_markdown: item
                .flag(&["supports_markdown"])
                .or_else(|| Fields(&metadata).flag(&["supports_markdown"])),
            metadata,
        })
    }
}

/// `endpoint.address.delete`: nobody is to be found there any more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AddressDelete {
    pub address_id: String,
}

/// `endpoint.addresses.ack`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct AddressesAck {
    pub count: u64,
    pub addresses: Vec<AddressRecord>,
}

/// An address as Core keeps it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct AddressRecord {
    pub address_id: String,
    pub provider_type: String,
    pub address_type: String,
    pub external_ref: String,
    pub display_name: String,
    pub workspace_ids: Vec<String>,
    pub status: String,
    pub capabilities: Vec<String>,
    pub supports_markdown: bool,
    pub metadata: JsonMap,
    /// RFC 3339; `""` when never.
    pub last_seen_at: String,
    pub last_verified_at: String,
}

impl AddressesAck {
    pub fn read(fields: Fields<'_>) -> Self {
        let records = fields.list(&["addresses"]).iter().filter_map(Value::as_object);
        let addresses: Vec<_> = records.map(|record| AddressRecord::read(Fields(record))).collect();
        let count = fields.int(&["count"]).and_then(|count| count.try_into().ok());
        Self { count: count.unwrap_or(addresses.len() as u64), addresses }
    }
}

impl AddressRecord {
    fn read(record: Fields<'_>) -> Self {
        Self {
            address_id: record.text(&["address_id"]),
            provider_type: record.text(&["provider_type"]),
            address_type: record.text(&["address_type"]),
            external_ref: record.text(&["external_ref"]),
            display_name: record.text(&["display_name"]),
            workspace_ids: record.texts(&["workspace_ids"]),
            status: record.text(&["status"]),
            capabilities: record.texts(&["capabilities"]),
            supports_markdown: record.flag(&["supports_markdown"]).unwrap_or(true),
            metadata: record.object(&["metadata"]),
            last_seen_at: record.text(&["last_seen_at"]),
            last_verified_at: record.text(&["last_verified_at"]),
        }
    }
}

/// `endpoint.address.delete.ack`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AddressDeleteAck {
    pub address_id: String,
    pub deleted: bool,
}
