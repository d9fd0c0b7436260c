//! The people and rooms behind an endpoint.

use std::collections::HashSet;

use berth_core::deliveries::provider_shows_markdown;
use berth_model::endpoint::Address;
use berth_model::{AddressId, WorkspaceId};
use berth_proto::address::{AddressDeleteAck, AddressItem, AddressRecord, AddressesAck, AddressesSnapshot};
use berth_proto::fields::Fields;
use berth_proto::{CoreFrame, Envelope};
use serde_json::json;

use super::{BoundEndpoint, Session};

/// Addresses of one frame.
const MAX_ADDRESSES: usize = 5000;
/// The longest reference of a channel, in characters.
const MAX_REF: usize = 512;
/// The longest name for people, in characters.
const MAX_NAME: usize = 255;
/// The longest word for a type or a state, in characters.
const MAX_WORD: usize = 32;

impl Session {
    pub(super) async fn addresses(&mut self, asked: &Envelope, snapshot: AddressesSnapshot) {
        let Some(endpoint) = self.endpoint_or_deny(asked, &snapshot.endpoint_id) else { return };
        if snapshot.addresses.len() > MAX_ADDRESSES {
            let message = format!("a frame carries at most {MAX_ADDRESSES} addresses");
            return self.deny(asked, "too_many_addresses", message);
        }
        let addresses = snapshot.addresses.into_iter().filter_map(|item| address(&endpoint, item)).collect();
        match self.hub.core().upsert_addresses(addresses).await {
            Ok(stored) => {
                let addresses: Vec<_> = stored.iter().map(record).collect();
                let ack = AddressesAck { count: addresses.len() as u64, addresses };
                self.reply(asked, endpoint.id.as_str(), &CoreFrame::AddressesAck(ack));
            }
            Err(error) => self.failed(asked, &error),
        }
    }

    pub(super) async fn delete_address(&mut self, asked: &Envelope, named: &str) {
        let Some(bound) = &self.bound else {
            return self.deny(asked, "hello_required", "say endpoint.hello first");
        };
        let primary = bound.primary.id.clone();
        let owners: HashSet<_> = self.endpoints().into_iter().collect();
        let deleted = match AddressId::new(named) {
            Ok(id) => self.hub.core().delete_address(&id, &owners).await,
            Err(_) => Ok(false),
        };
        match deleted {
            Ok(deleted) => {
                let ack = AddressDeleteAck { address_id: named.to_owned(), deleted };
                self.reply(asked, primary.as_str(), &CoreFrame::AddressDeleteAck(ack));
            }
            Err(error) => self.failed(asked, &error),
        }
    }
}

/// `None` when the address cannot be named.
fn address(endpoint: &BoundEndpoint, item: AddressItem) -> Option<Address> {
    let short = |text: String, most: usize| text.chars().take(most).collect::<String>();
    let provider =
        if item.provider_type.is_empty() { endpoint.provider_type.clone() } else { item.provider_type };
    let kind = short(item.address_type, MAX_WORD);
    let id = if item.address_id.is_empty() {
        format!("addr.{provider}.{kind}.{}", item.external_ref)
    } else {
        item.address_id
    };
    if item.external_ref.chars().count() > MAX_REF {
        return None;
    }
    let name = if item.display_name.is_empty() { item.external_ref.clone() } else { item.display_name };
    let mut metadata = item.metadata;
    let markdown = item.supports_markdown.unwrap_or_else(|| provider_shows_markdown(&provider));
    metadata.insert("supports_markdown".to_owned(), json!(markdown));
    Some(Address {
        id: AddressId::new(id).ok()?,
        endpoint: endpoint.id.clone(),
        provider_type: short(provider, 64),
        kind,
        external_ref: item.external_ref,
        display_name: short(name, MAX_NAME),
        workspaces: item.workspace_ids.iter().filter_map(|id| WorkspaceId::new(id).ok()).collect(),
        status: short(item.status, MAX_WORD),
        capabilities: item.capabilities,
        metadata,
        last_seen_at: None,
        last_verified_at: None,
    })
}

fn record(address: &Address) -> AddressRecord {
    let time = |time: Option<berth_model::Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    AddressRecord {
        address_id: address.id.to_string(),
        provider_type: address.provider_type.clone(),
        address_type: address.kind.clone(),
        external_ref: address.external_ref.clone(),
        display_name: address.display_name.clone(),
        workspace_ids: address.workspaces.iter().map(ToString::to_string).collect(),
        status: address.status.clone(),
        capabilities: address.capabilities.clone(),
        supports_markdown: Fields(&address.metadata).flag(&["supports_markdown"]).unwrap_or(true),
        metadata: address.metadata.clone(),
        last_seen_at: time(address.last_seen_at),
        last_verified_at: time(address.last_verified_at),
    }
}
