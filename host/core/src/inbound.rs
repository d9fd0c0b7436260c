//! What comes in from people over a channel, and the way back of the answer.
//!
//! A message, its address, its thread and its run are one transaction: what was accepted is never lost, and what comes
//! twice is stored once. The answer is queued in the transaction that ends the run: it is delivered once or not at all.

use berth_model::delivery::{Delivery, DeliveryStatus};
use berth_model::endpoint::Address;
use berth_model::message::{Message, Role};
use berth_model::run::Run;
use berth_model::session::ThreadStrategy;
use berth_model::{ActorId, AddressId, DeliveryId, EndpointId, JsonMap, Timestamp, WorkspaceId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::channels::SEND_WINDOW;
use crate::deliveries::ready_payload;
use crate::endpoints::store_address;
use crate::message_view::message_view;
use crate::messages::{Accepted, NewMessage, Origin};
use crate::port::store::{StoreError, Tx};
use crate::sessions::Conversation;
use crate::{Core, CoreError};

/// Where a run keeps the address that its answer goes to.
pub(crate) const REPLY_TO: &str = "reply_to_address";
/// Attachments of one message.
const MAX_ATTACHMENTS: usize = 100;
/// The facts that may come with a message, as JSON.
const MAX_METADATA_BYTES: usize = 256 << 10;

/// Whom a channel reaches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InboundAddress {
    pub external_ref: String,
    /// `direct`, `group`, `channel` or `room`.
    pub kind: String,
    pub display_name: String,
    pub metadata: JsonMap,
}

/// Something that came with a message and stays at the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    pub reference: String,
    pub name: String,
    pub content_type: String,
    pub size_bytes: Option<u64>,
}

/// A message of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbound {
    /// The provider's id: the same one twice is stored once.
    pub message_id: String,
    pub address: InboundAddress,
    pub sender_ref: String,
    pub sender_name: String,
    /// Empty: the address is the conversation.
    pub conversation: String,
    pub text: String,
    pub attachments: Vec<Attachment>,
    pub sent_at: Option<Timestamp>,
    pub in_reply_to: String,
    pub wants_reply: bool,
    pub metadata: JsonMap,
}

/// The channel that something comes in by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub endpoint: EndpointId,
    pub provider_type: String,
    pub workspace: WorkspaceId,
}

impl Core {
    /// Stores a message of a channel and queues its run. Idempotent by conversation and message id.
    ///
    /// Queues what had waited for a message from this address. Fails with `endpoint_not_found`, or as
    /// [`Self::post_message`] does.
    pub async fn accept_inbound(&self, source: &Source, inbound: Inbound) -> Result<Accepted, CoreError> {
        check(&inbound)?;
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        let endpoint = tx.lookup_endpoint(&source.endpoint).await?;
        let endpoint = endpoint
            .ok_or_else(|| CoreError::NotFound { kind: "endpoint", id: source.endpoint.to_string() })?;
        let address = self.seen(&mut *tx, source, &inbound.address, true).await?;
        let actor = actor_of(&source.endpoint)?;
        tx.seed_actor(&actor, "channel", &endpoint.display_name, now).await?;
        let key =
            if inbound.conversation.is_empty() { address.id.as_str() } else { inbound.conversation.as_str() };
        let conversation = Conversation {
            endpoint: source.endpoint.clone(),
            workspace: Some(source.workspace.clone()),
            provider_type: source.provider_type.clone(),
            endpoint_type: String::new(),
            display_name: address.display_name.clone(),
            conversation_key: key.to_owned(),
            address: Some(address.id.clone()),
            strategy: ThreadStrategy::PerConversation,
            title: String::new(),
            explicit_thread: None,
            metadata: JsonMap::new(),
        };
        let (thread, _) = self.bind(&mut *tx, &conversation).await?;
        let new = NewMessage {
            workspace: Some(source.workspace.clone()),
            endpoint: Some(source.endpoint.clone()),
            role: Role::User,
            endpoint_message_id: Some(inbound.message_id.clone()),
            metadata: facts(&inbound),
            reply: inbound.wants_reply,
            ..NewMessage::of_user(thread.id, content(&inbound))
        };
        let origin = Origin { actor: Some(actor), reply_to: Some(address.id.clone()) };
        let (accepted, run) = self.accept_in(&mut *tx, &new, &origin).await?;
        tx.release_waiting(&source.endpoint, Some(&address.id), now).await?;
        tx.commit().await?;
        if let Some(run) = &run {
            self.tell_accepted(&accepted.message, run);
        }
        self.0.endpoints.ring(&source.endpoint);
        Ok(accepted)
    }

    /// Stores an address that a channel has seen. Fails with `endpoint_not_found`.
    pub async fn address_seen(
        &self,
        source: &Source,
        address: &InboundAddress,
    ) -> Result<AddressId, CoreError> {
        let mut tx = self.0.store.write().await?;
        let stored = self.seen(&mut *tx, source, address, false).await?;
        tx.commit().await?;
        Ok(stored.id)
    }

    async fn seen(
        &self,
        tx: &mut dyn Tx,
        source: &Source,
        seen: &InboundAddress,
        wrote: bool,
    ) -> Result<Address, CoreError> {
        check_address(seen)?;
        let known = tx.find_address(&source.endpoint, &seen.kind, &seen.external_ref).await?;
        let mut metadata = known.as_ref().map(|known| known.metadata.clone()).unwrap_or_default();
        metadata.extend(seen.metadata.clone());
        if wrote {
            // The provider counts anew from here.
            metadata.remove(SEND_WINDOW);
        }
        let display_name = match &known {
            Some(known) if seen.display_name.is_empty() => known.display_name.clone(),
            _ => seen.display_name.clone(),
        };
        let address = Address {
            id: match known {
                Some(known) => known.id,
                None => address_id(&source.endpoint, &seen.kind, &seen.external_ref)?,
            },
            endpoint: source.endpoint.clone(),
            provider_type: source.provider_type.clone(),
            kind: seen.kind.clone(),
            external_ref: seen.external_ref.clone(),
            display_name,
            workspaces: vec![source.workspace.clone()],
            status: "sendable".to_owned(),
            capabilities: vec!["receive_message".to_owned()],
            metadata,
            last_seen_at: None,
            last_verified_at: None,
        };
        store_address(tx, address, self.now()).await
    }
}

/// Queues the final message of a run for the address that asked, in the transaction that stores the message.
pub(crate) async fn queue_reply(
    core: &Core,
    tx: &mut dyn Tx,
    run: &Run,
    message: &Message,
) -> Result<(), CoreError> {
    let address = run.metadata.get(REPLY_TO).and_then(Value::as_str);
    let (Some(endpoint), Some(address)) = (&run.origin_endpoint, address) else { return Ok(()) };
    let Ok(address) = AddressId::new(address) else {
        return Err(
            StoreError::Inconsistent { table: "run", column: "metadata", row: run.id.to_string() }.into()
        );
    };
    let payload = json!({ "content": message.content, "message": message_view(message) });
    let payload = ready_payload(tx, endpoint, Some(&address), payload).await?;
    let now = core.now();
    tx.insert_delivery(&Delivery {
        id: DeliveryId::from_uuid(core.uuid()),
        endpoint: endpoint.clone(),
        address: Some(address),
        kind: "message".to_owned(),
        payload,
        status: DeliveryStatus::Queued,
        attempts: 0,
        available_at: None,
        error: String::new(),
        created_at: now,
        updated_at: now,
    })
    .await?;
    Ok(())
}

/// On whose behalf the runs of a channel are: never the owner's, whoever writes.
pub(crate) fn actor_of(endpoint: &EndpointId) -> Result<ActorId, CoreError> {
    ActorId::new(endpoint.as_str()).map_err(|error| invalid(error.to_string()))
}

fn address_id(endpoint: &EndpointId, kind: &str, external_ref: &str) -> Result<AddressId, CoreError> {
    let channel = endpoint.as_str().strip_prefix("channel.").unwrap_or(endpoint.as_str());
    let readable = format!("addr.{channel}.{kind}.{external_ref}");
    let fits = readable.chars().count() <= AddressId::MAX_CHARS && readable.trim() == readable;
    let text = if fits {
        readable
    } else {
        let digest = hex::encode(Sha256::digest(format!("{endpoint}\n{kind}\n{external_ref}")));
        format!("addr.{channel}.{}", &digest[..32])
    };
    AddressId::new(text).map_err(|error| invalid(error.to_string()))
}

/// What a model reads: the text, or what came in its place.
fn content(inbound: &Inbound) -> String {
    if !inbound.text.trim().is_empty() || inbound.attachments.is_empty() {
        return inbound.text.clone();
    }
    let shown = inbound.attachments.iter().map(|attachment| {
        let name = if attachment.name.is_empty() { &attachment.reference } else { &attachment.name };
        format!("[attachment: {name}]")
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn facts(inbound: &Inbound) -> JsonMap {
    let mut facts = inbound.metadata.clone();
    let text = |text: &str| Value::String(text.to_owned());
    for (key, value) in [
        ("sender_ref", &inbound.sender_ref),
        ("sender_name", &inbound.sender_name),
        ("in_reply_to", &inbound.in_reply_to),
    ] {
        if !value.is_empty() {
            facts.insert(key.to_owned(), text(value));
        }
    }
    if let Some(at) = inbound.sent_at {
        facts.insert("sent_at".to_owned(), text(&at.to_string()));
    }
    if !inbound.attachments.is_empty() {
        let list = inbound.attachments.iter().map(|attachment| {
            json!({
                "ref": attachment.reference, "name": attachment.name,
                "content_type": attachment.content_type, "size_bytes": attachment.size_bytes,
            })
        });
        facts.insert("attachments".to_owned(), list.collect());
    }
    facts
}

fn check(inbound: &Inbound) -> Result<(), CoreError> {
    if inbound.message_id.is_empty() {
        return Err(invalid("the message has no id, so it could not be told from another".to_owned()));
    }
    if inbound.attachments.len() > MAX_ATTACHMENTS {
        return Err(invalid(format!("a message has at most {MAX_ATTACHMENTS} attachments")));
    }
    let attached: usize = inbound
        .attachments
        .iter()
        .map(|one| one.reference.len() + one.name.len() + one.content_type.len())
        .sum();
    let told = inbound.sender_ref.len() + inbound.sender_name.len() + inbound.in_reply_to.len();
    if attached + told + size(&inbound.metadata) > MAX_METADATA_BYTES {
        return Err(invalid(format!("the facts of a message have at most {MAX_METADATA_BYTES} bytes")));
    }
    Ok(())
}

fn check_address(address: &InboundAddress) -> Result<(), CoreError> {
    let fits = |text: &str, max: usize| {
        let chars = text.chars().count();
        (1..=max).contains(&chars) && !text.chars().any(char::is_control)
    };
    if !fits(&address.external_ref, 512) {
        return Err(invalid("an address has an external reference of 1 to 512 plain characters".to_owned()));
    }
    if !fits(&address.kind, 64) {
        return Err(invalid("an address has a kind, such as `direct` or `group`".to_owned()));
    }
    if size(&address.metadata) > MAX_METADATA_BYTES || address.display_name.len() > 1024 {
        return Err(invalid("the facts of an address are too long".to_owned()));
    }
    Ok(())
}

fn size(facts: &JsonMap) -> usize {
    facts.iter().map(|(key, value)| key.len() + value.to_string().len()).sum()
}

fn invalid(message: String) -> CoreError {
    CoreError::Invalid { code: "invalid_request", message }
}
