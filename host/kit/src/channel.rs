//! The steps of a channel: it is switched on, called, told and made to send, without the runtime of a host.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_core::port::clock::Clock as _;
use berth_wasm::ToolInvocation;
use berth_wasm::actor::wishes::Wishes;
use berth_wasm::call::stage::Stage;
use berth_wasm::error::CallError;
use berth_wasm::wit::v0_1::channel as wit;
use serde_json::{Value, json};

use crate::fake::channel::shown;
use crate::outcome::Outcome;
use crate::report::Failure;
use crate::story::{Deliver, Event, Step, WebhookFile};
use crate::subject::Subject;
use crate::world::World;

/// The channel of a case.
pub(crate) struct Theatre {
    stage: Stage,
    wishes: Wishes,
    events: u64,
}

impl Theatre {
    pub fn new(subject: &Subject) -> Self {
        let binding = wit::Binding {
            id: "test".to_owned(),
            endpoint_id: format!("channel.{}", subject.manifest.id),
            workspace_id: "test".to_owned(),
            state: Vec::new(),
            position: String::new(),
            hooks: Vec::new(),
            meta: Vec::new(),
        };
        Self { stage: Stage::new(subject.plugin.clone(), binding), wishes: Wishes::default(), events: 0 }
    }

    /// Takes a step; `invocation` makes the call of each question.
    pub async fn step(
        &mut self,
        world: &World,
        step: &Step,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<Outcome, Box<Failure>> {
        self.events += 1;
        // As in a host, which makes an instance when there is something to ask.
        if step.start.is_none() && !self.stage.is_open() {
            match self.stage.start(&invocation).await {
                Ok(wishes) => self.wishes = wishes,
                Err(error) => return Ok(Outcome::of(&Err(error))),
            }
        }
        let outcome = match step {
            Step { start: Some(_), .. } => self.stage.start(&invocation).await.map(|wishes| {
                let told = serde_json::to_value(&wishes).unwrap_or(Value::Null);
                self.wishes = wishes;
                Outcome::Answer(told)
            }),
            Step { webhook: Some(file), .. } => {
                let request = self.request(file)?;
                self.stage.webhook(request, &invocation).await.map(|answer| Outcome::Answer(answered(answer)))
            }
            Step { event: Some(event), .. } => {
                let event = self.event(world, event)?;
                self.stage.event(event, &invocation).await.map(|()| Outcome::Done)
            }
            Step { deliver: Some(file), .. } => {
                let delivered = self.stage.deliver(delivery(self.events, file), &invocation).await;
                delivered.map(|outcomes| Outcome::Answer(outcomes.iter().map(shown).collect()))
            }
            Step { stop: Some(reason), .. } => {
                self.stage.stop(reason, &invocation).await.map(|()| Outcome::Done)
            }
            _ => Ok(Outcome::Done),
        };
        Ok(outcome.unwrap_or_else(|error: CallError| Outcome::of(&Err(error))))
    }

    fn request(&self, file: &WebhookFile) -> Result<wit::WebhookRequest, Box<Failure>> {
        let Some(hook) = self.wishes.hooks.iter().find(|hook| hook.name == file.hook) else {
            let wished: Vec<&str> = self.wishes.hooks.iter().map(|hook| hook.name.as_str()).collect();
            let failure = Failure::new(format!("the channel has no web address `{}`", file.hook));
            let failure = failure.with(wished.join(", "), file.hook.clone());
            return Err(Box::new(failure));
        };
        if !hook.methods.contains(&file.method) {
            let failure = Failure::new(format!("the web address `{}` takes no {}", file.hook, file.method));
            return Err(Box::new(failure.with(hook.methods.join(", "), file.method.clone())));
        }
        let headers = file.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        Ok(wit::WebhookRequest {
            id: format!("cev_{}", self.events),
            hook: file.hook.clone(),
            method: file.method.clone(),
            query: file.query.clone(),
            // It sees those that it wished, as in a host.
            headers: headers.filter(|(name, _)| hook.headers.contains(name)).collect(),
            body: file.body.0.clone(),
            meta: Vec::new(),
        })
    }

    fn event(&self, world: &World, file: &Event) -> Result<wit::Event, Box<Failure>> {
        let url = |name: &str| {
            let wish = self.wishes.sockets.iter().find(|socket| socket.name == name);
            wish.and_then(|socket| socket.url.clone()).unwrap_or_default()
        };
        let state = |name: &str, code: u16, reason: &str| wit::SocketState {
            socket: world.sockets.named(name, &url(name)),
            name: name.to_owned(),
            code,
            reason: reason.to_owned(),
            reconnects: code != 0,
        };
        let what = match file {
            Event { timer: Some(name), .. } => wit::Occurrence::Timer(name.clone()),
            Event { socket_opened: Some(name), .. } => wit::Occurrence::SocketOpened(state(name, 0, "")),
            Event { socket_text: Some((name, text)), .. } => wit::Occurrence::SocketFrame(wit::Frame {
                socket: world.sockets.named(name, &url(name)),
                name: name.clone(),
                is_text: true,
                data: text.clone().into_bytes(),
            }),
            Event { socket_closed: Some(name), .. } => {
                let state = state(name, 1006, "the connection is gone");
                world.sockets.forget(name);
                wit::Occurrence::SocketClosed(state)
            }
            Event { socket_wanted: Some(name), .. } => wit::Occurrence::SocketWanted(name.clone()),
            Event { approved: Some(approved), .. } => {
                let asked = world.approvals.last();
                let pending = asked.ok_or_else(|| Box::new(Failure::new("the plugin has asked nothing")))?;
                wit::Occurrence::ApprovalAnswered(wit::ApprovalAnswer {
                    pending_id: pending.to_string(),
                    approved: *approved,
                    reason: String::new(),
                })
            }
            _ => return Err(Box::new(Failure::new("an event has one key that says what happened"))),
        };
        Ok(wit::Event {
            id: format!("cev_{}", self.events),
            attempt: file.attempt.unwrap_or(1),
            at_ms: u64::try_from(world.time.now().as_micros() / 1000).unwrap_or(0),
            what,
            meta: Vec::new(),
        })
    }
}

fn delivery(number: u64, file: &Deliver) -> wit::Delivery {
    let parts = file.texts.iter().enumerate().map(|(at, text)| wit::Part {
        index: u32::try_from(at).unwrap_or(u32::MAX),
        content_type: "text/plain".to_owned(),
        text: text.clone(),
        data: Vec::new(),
        name: String::new(),
        meta: Vec::new(),
    });
    wit::Delivery {
        id: format!("dlv_{number}"),
        kind: "message".to_owned(),
        address: wit::Address {
            external_ref: file.to.clone(),
            kind: file.kind.clone(),
            display_name: String::new(),
            meta: Vec::new(),
        },
        parts: parts.collect(),
        attempt: file.attempt,
        meta: Vec::new(),
    }
}

fn answered(answer: wit::WebhookResponse) -> Value {
    let headers: serde_json::Map<String, Value> =
        answer.headers.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let body = match String::from_utf8(answer.body) {
        Ok(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Err(bytes) => Value::String(STANDARD.encode(bytes.as_bytes())),
    };
    json!({ "status": answer.status, "headers": headers, "body": body })
}
