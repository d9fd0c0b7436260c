//! What providers report: steps of tool calls, and what became of deliveries.

use berth_core::deliveries::Reported;
use berth_model::delivery::DeliveryStatus;
use berth_model::tool::{Blame, ToolFailure};
use berth_proto::delivery::{DeliveryResult, DeliveryResultAck};
use berth_proto::fields::Fields;
use berth_proto::tool::ToolError;
use berth_proto::{CoreFrame, Envelope, ProviderFrame};
use serde_json::Value;

use super::Session;
use crate::links::Step;

/// The longest message of a provider that is kept, in characters.
const MAX_MESSAGE: usize = 2000;

impl Session {
    /// Nothing answers a step. One of a call that this socket does not have, or that has ended, is only logged.
    pub(super) fn tool_step(&self, frame: ProviderFrame) {
        let kind = frame.kind();
        let (call, step) = match frame {
            ProviderFrame::ToolAccepted(accepted) => (accepted.call_id, Step::Accepted),
            ProviderFrame::ToolProgress(progress) => {
                (progress.call_id, Step::Progress { phase: progress.phase, detail: progress.detail })
            }
            ProviderFrame::ToolResult(result) => {
                (result.call_id, Step::Ended(Ok(Value::Object(result.result))))
            }
            ProviderFrame::ToolError(error) => (error.call_id.clone(), Step::Ended(Err(failure(error)))),
            ProviderFrame::ToolCancel(cancel) => {
                let message = if cancel.reason.is_empty() {
                    "the provider cancelled".to_owned()
                } else {
                    cancel.reason
                };
                let failure = ToolFailure::new("endpoint_tool_cancelled", short(&message), Blame::Provider);
                (cancel.call_id, Step::Ended(Err(failure)))
            }
            _ => return,
        };
        if !self.hub.links().step(self.id, &call, step) {
            let call: String = call.chars().take(64).collect();
            tracing::info!(
                frame.kind = kind,
                call.id = call,
                "a step of a call that is not in flight here is ignored"
            );
        }
    }

    pub(super) async fn delivery_result(&self, asked: &Envelope, result: DeliveryResult) {
        let Some(bound) = &self.bound else {
            return self.deny(asked, "hello_required", "say endpoint.hello first");
        };
        if result.delivery_id.is_empty() {
            return self.deny(asked, "delivery_id_required", "a delivery result needs its delivery_id");
        }
        let error = Fields(&result.error);
        let said = error.maybe_text(&["message", "code"]).unwrap_or_else(|| result.status.clone());
        let reported = match result.delivery_id.parse() {
            Ok(id) => self.hub.core().report_delivery(id, result.is_success(), &said).await,
            Err(_) => Ok(Reported::Unknown),
        };
        let delivery_id: String = result.delivery_id.chars().take(255).collect();
        let ack = match reported {
            Err(error) => return self.failed(asked, &error),
            Ok(Reported::Unknown) => DeliveryResultAck {
                ok: false,
                reason: Some("delivery_not_found".to_owned()),
                delivery_id,
                ..DeliveryResultAck::default()
            },
            Ok(Reported::Known { status, queued }) => DeliveryResultAck {
                ok: true,
                status: Some(status.to_string()),
                reason: None,
                delivery_id,
                queued: (status != DeliveryStatus::Delivered).then_some(queued),
                attempt_status: Some(status.to_string()),
            },
        };
        self.reply(asked, bound.primary.id.as_str(), &CoreFrame::DeliveryResultAck(ack));
    }
}

fn failure(error: ToolError) -> ToolFailure {
    let reason = error.error;
    let message = if reason.message.is_empty() {
        format!("the provider failed: {}", reason.code)
    } else {
        reason.message
    };
    let mut failure =
        ToolFailure::new(reason.code.chars().take(64).collect::<String>(), short(&message), Blame::Provider);
    failure.retryable = reason.retryable;
    failure.with_details(reason.details)
}

fn short(text: &str) -> String {
    text.chars().take(MAX_MESSAGE).collect()
}
