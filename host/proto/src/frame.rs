//! Every frame, by who sends it.

use crate::address::{AddressDelete, AddressDeleteAck, AddressesAck, AddressesSnapshot};
use crate::delivery::{DeliveryResult, DeliveryResultAck};
use crate::envelope::object;
use crate::fields::Fields;
use crate::lifecycle::{
    CapabilitiesReady, CapabilitiesSnapshot, EndpointError, EndpointReady, Goodbye, Heartbeat, Hello,
    HelloAck,
};
use crate::subscription::{Subscription, SubscriptionAck, SubscriptionStop};
use crate::tool::{ToolAccepted, ToolCancel, ToolError, ToolProgress, ToolRequest, ToolResult};
use crate::{Envelope, JsonMap};

/// What a provider says.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderFrame {
    Hello(Hello),
    Capabilities(CapabilitiesSnapshot),
    Ready(EndpointReady),
    Heartbeat(Heartbeat),
    Goodbye(Goodbye),
    Addresses(AddressesSnapshot),
    /// One address; written with `address`, read as a snapshot of at most one.
    AddressUpsert(AddressesSnapshot),
    AddressDelete(AddressDelete),
    Subscribe(Subscription),
    Resubscribe(Subscription),
    Unsubscribe(SubscriptionStop),
    DeliveryResult(DeliveryResult),
    DeliveryError(DeliveryResult),
    ToolAccepted(ToolAccepted),
    ToolProgress(ToolProgress),
    ToolResult(ToolResult),
    ToolError(ToolError),
    ToolCancel(ToolCancel),
}

impl ProviderFrame {
    /// `None` for a type that Core does not know.
    pub fn read(envelope: &Envelope) -> Option<Self> {
        let fields = envelope.fields();
        Some(match envelope.kind.as_str() {
            "endpoint.hello" => {
                let mut hello = Hello::read(fields);
                // The envelope's word wins.
                hello.connection_id = envelope.connection_id.clone().or(hello.connection_id);
                Self::Hello(hello)
            }
            "endpoint.capabilities.snapshot" => Self::Capabilities(CapabilitiesSnapshot::read(fields)),
            "endpoint.ready" => Self::Ready(EndpointReady { endpoint_id: fields.text(&["endpoint_id"]) }),
            "endpoint.heartbeat" => Self::Heartbeat(Heartbeat::read(fields)),
            "endpoint.goodbye" => Self::Goodbye(Goodbye {
                endpoint_id: fields.text(&["endpoint_id"]),
                reason: fields.text(&["reason"]),
            }),
            "endpoint.addresses.snapshot" => Self::Addresses(AddressesSnapshot::read(fields)),
            "endpoint.address.upsert" => Self::AddressUpsert(AddressesSnapshot::read_upsert(fields)),
            "endpoint.address.delete" => {
                Self::AddressDelete(AddressDelete { address_id: fields.text(&["address_id"]) })
            }
            "subscription.start" => Self::Subscribe(Subscription::read(fields)),
            "subscription.update" => Self::Resubscribe(Subscription::read(fields)),
            "subscription.stop" => Self::Unsubscribe(SubscriptionStop::read(fields)),
            "delivery.result" => Self::DeliveryResult(delivery_result(envelope, "delivered")),
            "delivery.error" => Self::DeliveryError(delivery_result(envelope, "failed")),
            "tool.call.accepted" => Self::ToolAccepted(ToolAccepted {
                call_id: fields.text(&["call_id"]),
                accepted: fields.flag(&["accepted"]).unwrap_or(true),
                started_at: fields.text(&["started_at"]),
            }),
            "tool.call.progress" => Self::ToolProgress(ToolProgress::read(fields)),
            "tool.call.result" => Self::ToolResult(ToolResult::read(fields)),
            "tool.call.error" => Self::ToolError(ToolError::read(fields)),
            "tool.call.cancel" => Self::ToolCancel(ToolCancel::read(fields)),
            _ => return None,
        })
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "endpoint.hello",
            Self::Capabilities(_) => "endpoint.capabilities.snapshot",
            Self::Ready(_) => "endpoint.ready",
            Self::Heartbeat(_) => "endpoint.heartbeat",
            Self::Goodbye(_) => "endpoint.goodbye",
            Self::Addresses(_) => "endpoint.addresses.snapshot",
            Self::AddressUpsert(_) => "endpoint.address.upsert",
            Self::AddressDelete(_) => "endpoint.address.delete",
            Self::Subscribe(_) => "subscription.start",
            Self::Resubscribe(_) => "subscription.update",
            Self::Unsubscribe(_) => "subscription.stop",
            Self::DeliveryResult(_) => "delivery.result",
            Self::DeliveryError(_) => "delivery.error",
            Self::ToolAccepted(_) => "tool.call.accepted",
            Self::ToolProgress(_) => "tool.call.progress",
            Self::ToolResult(_) => "tool.call.result",
            Self::ToolError(_) => "tool.call.error",
            Self::ToolCancel(_) => "tool.call.cancel",
        }
    }

    /// The frame with nothing but its type and payload.
    pub fn envelope(&self) -> Envelope {
        let payload = match self {
            Self::Hello(payload) => object(payload),
            Self::Capabilities(payload) => object(payload),
            Self::Ready(payload) => object(payload),
            Self::Heartbeat(payload) => object(payload),
            Self::Goodbye(payload) => object(payload),
            Self::Addresses(payload) => object(payload),
            Self::AddressUpsert(payload) => upsert(payload),
            Self::AddressDelete(payload) => object(payload),
            Self::Subscribe(payload) | Self::Resubscribe(payload) => object(payload),
            Self::Unsubscribe(payload) => object(payload),
            Self::DeliveryResult(payload) | Self::DeliveryError(payload) => object(payload),
            Self::ToolAccepted(payload) => object(payload),
            Self::ToolProgress(payload) => object(payload),
            Self::ToolResult(payload) => object(payload),
            Self::ToolError(payload) => object(payload),
            Self::ToolCancel(payload) => object(payload),
        };
        Envelope::new(self.kind(), payload)
    }
}

fn delivery_result(envelope: &Envelope, default_status: &str) -> DeliveryResult {
    DeliveryResult::read(envelope.fields(), envelope.delivery_id.as_deref(), default_status)
}

fn upsert(payload: &AddressesSnapshot) -> JsonMap {
    let mut written = JsonMap::new();
    if !payload.endpoint_id.is_empty() {
        written.insert("endpoint_id".to_owned(), payload.endpoint_id.clone().into());
    }
    if let Some(address) = payload.addresses.first() {
        written.insert("address".to_owned(), object(address).into());
    }
    written
}

/// What Core says.
#[derive(Debug, Clone, PartialEq)]
pub enum CoreFrame {
    HelloAck(HelloAck),
    Ready(CapabilitiesReady),
    Error(EndpointError),
    AddressesAck(AddressesAck),
    AddressDeleteAck(AddressDeleteAck),
    SubscriptionAck(SubscriptionAck),
    /// `delivery.<kind>`; the kinds that Core sends by itself are in [`crate::delivery::kind`].
    Delivery {
        kind: String,
        payload: JsonMap,
    },
    DeliveryResultAck(DeliveryResultAck),
    ToolRequest(Box<ToolRequest>),
    ToolCancel(ToolCancel),
}

impl CoreFrame {
    /// `None` for a type that a provider does not know; it ignores the frame.
    pub fn read(envelope: &Envelope) -> Option<Self> {
        let fields = envelope.fields();
        let number = |fields: Fields<'_>, key: &str| {
            fields.int(&[key]).and_then(|number| number.try_into().ok()).unwrap_or(0)
        };
        Some(match envelope.kind.as_str() {
            "endpoint.hello.ack" => Self::HelloAck(HelloAck::read(fields)),
            "endpoint.ready" => Self::Ready(CapabilitiesReady {
                registered_capability_count: number(fields, "registered_capability_count"),
            }),
            "endpoint.error" => Self::Error(EndpointError {
                code: fields.text(&["code"]),
                message: fields.text(&["message"]),
            }),
            "endpoint.addresses.ack" => Self::AddressesAck(AddressesAck::read(fields)),
            "endpoint.address.delete.ack" => Self::AddressDeleteAck(AddressDeleteAck {
                address_id: fields.text(&["address_id"]),
                deleted: fields.flag(&["deleted"]).unwrap_or(false),
            }),
            "subscription.ack" => Self::SubscriptionAck(SubscriptionAck::read(fields)),
            "delivery.result.ack" => Self::DeliveryResultAck(DeliveryResultAck::read(fields)),
            "tool.call.request" => Self::ToolRequest(Box::new(ToolRequest::read(fields))),
            "tool.call.cancel" => Self::ToolCancel(ToolCancel::read(fields)),
            other => Self::Delivery {
                kind: other.strip_prefix("delivery.").filter(|kind| !kind.is_empty())?.to_owned(),
                payload: envelope.payload.clone(),
            },
        })
    }

    pub fn kind(&self) -> String {
        let kind = match self {
            Self::HelloAck(_) => "endpoint.hello.ack",
            Self::Ready(_) => "endpoint.ready",
            Self::Error(_) => "endpoint.error",
            Self::AddressesAck(_) => "endpoint.addresses.ack",
            Self::AddressDeleteAck(_) => "endpoint.address.delete.ack",
            Self::SubscriptionAck(_) => "subscription.ack",
            Self::Delivery { kind, .. } => return format!("delivery.{kind}"),
            Self::DeliveryResultAck(_) => "delivery.result.ack",
            Self::ToolRequest(_) => "tool.call.request",
            Self::ToolCancel(_) => "tool.call.cancel",
        };
        kind.to_owned()
    }

    /// The frame with nothing but its type and payload.
    pub fn envelope(&self) -> Envelope {
        let payload = match self {
            Self::HelloAck(payload) => object(payload),
            Self::Ready(payload) => object(payload),
            Self::Error(payload) => object(payload),
            Self::AddressesAck(payload) => object(payload),
            Self::AddressDeleteAck(payload) => object(payload),
            Self::SubscriptionAck(payload) => object(payload),
            Self::Delivery { payload, .. } => payload.clone(),
            Self::DeliveryResultAck(payload) => object(payload),
            Self::ToolRequest(payload) => object(&**payload),
            Self::ToolCancel(payload) => object(payload),
        };
        Envelope::new(self.kind(), payload)
    }

    /// `delivery.run_event`.
    pub fn run_event(event: &crate::delivery::RunEvent) -> Self {
        Self::Delivery { kind: crate::delivery::kind::RUN_EVENT.to_owned(), payload: object(event) }
    }

    /// `delivery.operation_update`.
    pub fn operation_update(update: &crate::delivery::OperationUpdate) -> Self {
        Self::Delivery { kind: crate::delivery::kind::OPERATION_UPDATE.to_owned(), payload: object(update) }
    }
}
