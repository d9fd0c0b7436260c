//! The steps of a channel: it is switched on, called, told, polled for and made to send, without the runtime of a host.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_core::port::clock::Clock as _;
use berth_wasm::ToolInvocation;
use berth_wasm::actor::Settings;
use berth_wasm::call::extra::{Extra, Said};
use berth_wasm::call::stage::{PollTurn, Polled, Stage};
use berth_wasm::error::CallError;
use berth_wasm::wit::v0_1::channel as wit;
use serde_json::{Value, json};

use crate::fake::channel::shown;
use crate::outcome::Outcome;
use crate::report::Failure;
use crate::story::{Ask, Deliver, Event, SentFile, Step, WebhookFile};
use crate::subject::Subject;
use crate::world::World;

/// The code of a poll without an answer that counts.
const POLL_FAILED: &str = "KIT_POLL_FAILED";

/// The channel of a case.
pub(crate) struct Theatre {
    stage: Stage,
    events: u64,
    /// What time it was when the channel was asked last.
    asked_at: Duration,
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
        Self { stage: Stage::new(subject.plugin.clone(), binding), events: 0, asked_at: Duration::ZERO }
    }

    /// Takes a step; `invocation` makes the call of each question.
    pub async fn step(
        &mut self,
        world: &World,
        step: &Step,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<Outcome, Box<Failure>> {
        self.events += 1;
        // As in a host, which lets an instance go that nobody asks.
        if world.time.elapsed() >= self.asked_at + Settings::default().idle {
            self.stage.rest();
        }
        self.asked_at = world.time.elapsed();
        if !self.stage.has_started()
            && step.start.is_none()
            && let Err(error) = self.stage.start(&invocation).await
        {
            return Ok(Outcome::of(&Err(error)));
        }
        let outcome = self.act(world, step, &invocation).await?;
        if let Some(position) = world.mail.position() {
            self.stage.acknowledged(position);
        }
        let outcome = match (step, outcome) {
            (Step { poll: Some(name), .. }, Ok(Outcome::Answer(mut answer))) => {
                answer["cursor"] = self.stage.cursor(name).into();
                Ok(Outcome::Answer(answer))
            }
            (_, outcome) => outcome,
        };
        Ok(outcome.unwrap_or_else(|error: CallError| Outcome::of(&Err(error))))
    }

    async fn act(
        &mut self,
        world: &World,
        step: &Step,
        invocation: &impl Fn() -> ToolInvocation,
    ) -> Result<Result<Outcome, CallError>, Box<Failure>> {
        Ok(match step {
            Step { start: Some(_), .. } => self.stage.start(invocation).await.map(|()| {
                let told = serde_json::to_value(self.stage.wishes()).unwrap_or(Value::Null);
                Outcome::Answer(told)
            }),
            Step { webhook: Some(file), .. } => {
                let request = self.request(file)?;
                self.stage.webhook(request, invocation).await.map(|answer| Outcome::Answer(answered(answer)))
            }
            Step { event: Some(Event { again: Some(_), .. }), .. } => {
                let told = self.stage.again(invocation).await;
                let told = told.ok_or_else(|| Failure::new("there was no event that could come again"))?;
                told.map(|()| Outcome::Done)
            }
            Step { event: Some(event), .. } => {
                let event = self.event(world, event)?;
                self.stage.event(event, invocation).await.map(|()| Outcome::Done)
            }
            Step { poll: Some(name), .. } => {
                let Some(polled) = self.stage.poll(name, world.time.now(), invocation).await else {
                    let polls = self.stage.wishes().polls.iter();
                    let wished: Vec<&str> = polls.map(|poll| poll.name.as_str()).collect();
                    let failure = Failure::new(format!("the channel has no poll `{name}`"));
                    return Err(Box::new(failure.with(wished.join(", "), name.clone())));
                };
                polled_outcome(polled)
            }
            Step { deliver: Some(file), .. } => {
                let delivered = self.stage.deliver(delivery(self.events, file), invocation).await;
                delivered.map(|outcomes| Outcome::Answer(outcomes.iter().map(shown).collect()))
            }
            Step { ask: Some(ask), .. } => self.ask(ask, invocation).await?,
            Step { stop: Some(reason), .. } => {
                self.stage.stop(reason, invocation).await.map(|()| Outcome::Done)
            }
            _ => Ok(Outcome::Done),
        })
    }

    async fn ask(
        &mut self,
        ask: &Ask,
        invocation: &impl Fn() -> ToolInvocation,
    ) -> Result<Result<Outcome, CallError>, Box<Failure>> {
        if ask.describe.is_some() {
            let described = self.stage.describe(invocation).await;
            return Ok(described
                .map(|described| Outcome::Answer(serde_json::to_value(&described).unwrap_or(Value::Null))));
        }
        if let Some(to) = &ask.reachability {
            return Ok(self
                .stage
                .reach(address(to), invocation)
                .await
                .map(|reach| Outcome::Answer(reached(reach))));
        }
        let Some(extra) = change(ask) else { return Ok(Ok(Outcome::Done)) };
        let interface = extra.interface();
        said(self.stage.extra(extra, invocation).await, interface)
    }

    fn request(&self, file: &WebhookFile) -> Result<wit::WebhookRequest, Box<Failure>> {
        let Some(hook) = self.stage.wishes().hooks.iter().find(|hook| hook.name == file.hook) else {
            let wished: Vec<&str> = self.stage.wishes().hooks.iter().map(|hook| hook.name.as_str()).collect();
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
            let wish = self.stage.wishes().sockets.iter().find(|socket| socket.name == name);
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
    let parts = file.texts.iter().enumerate().map(|(at, text)| part(at, text));
    wit::Delivery {
        id: format!("dlv_{number}"),
        kind: "message".to_owned(),
        address: wit::Address { kind: file.kind.clone(), ..address(&file.to) },
        parts: parts.collect(),
        attempt: file.attempt,
        meta: Vec::new(),
    }
}

/// The question to an optional export that only a channel is asked.
fn change(ask: &Ask) -> Option<Extra> {
    let place = |file: &SentFile| (address(&file.to), file.reference.clone());
    Some(match ask {
        Ask { edit: Some(file), .. } => {
            let part = part(0, &file.text);
            Extra::Edit { address: address(&file.to), reference: file.reference.clone(), part }
        }
        Ask { retract: Some(file), .. } => {
            let (address, reference) = place(file);
            Extra::Retract { address, reference }
        }
        Ask { react: Some(file), .. } => Extra::React {
            address: address(&file.to),
            reference: file.reference.clone(),
            emoji: file.emoji.clone(),
            add: file.add,
        },
        Ask { typing: Some(to), .. } => Extra::Typing(address(to)),
        Ask { reconcile: Some(key), .. } => Extra::Reconcile(key.clone()),
        _ => return None,
    })
}

/// What came of a question to an optional export. One that is not there is a mistake of the story.
pub(crate) fn said(
    said: Result<Said, CallError>,
    interface: &str,
) -> Result<Result<Outcome, CallError>, Box<Failure>> {
    let said = match said {
        Ok(said) => said,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(match said {
        Said::Done => Outcome::Done,
        Said::Part(outcome) => Outcome::Answer(shown(&outcome)),
        Said::Quiet => Outcome::Answer(json!({ "tag": "quiet" })),
        Said::Notable(sentence) => Outcome::Answer(json!({ "tag": "notable", "val": sentence })),
        Said::Absent => {
            let failure = Failure::new(format!("the plugin does not export berth:plugin/{interface}"));
            return Err(Box::new(
                failure.hint("a host would not ask it this, which costs nothing: take the step out"),
            ));
        }
    }))
}

fn polled_outcome(polled: Polled) -> Result<Outcome, CallError> {
    let failed = |code: &str, message: String| Outcome::Failed {
        code: code.to_owned(),
        message,
        payload: Value::Null,
    };
    let told = |is_told: bool| Outcome::Answer(json!({ "told": is_told, "status": polled.status }));
    Ok(match polled.turn {
        PollTurn::Quiet => told(false),
        PollTurn::Told(done) => {
            done?;
            told(true)
        }
        PollTurn::Broken(error) => failed(error.code(), error.to_string()),
        PollTurn::Unanswered(message) => failed(POLL_FAILED, message),
    })
}

fn reached(reach: wit::Reach) -> Value {
    match reach {
        wit::Reach::Reachable => json!({ "tag": "reachable" }),
        wit::Reach::Later(at) => json!({ "tag": "later", "val": at }),
        wit::Reach::WindowClosed => json!({ "tag": "window-closed" }),
        wit::Reach::Unreachable(why) => json!({ "tag": "unreachable", "val": why }),
        wit::Reach::Other(what) => json!({ "tag": "other", "val": what }),
    }
}

fn address(to: &str) -> wit::Address {
    wit::Address {
        external_ref: to.to_owned(),
        kind: "direct".to_owned(),
        display_name: String::new(),
        meta: Vec::new(),
    }
}

fn part(index: usize, text: &str) -> wit::Part {
    wit::Part {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        content_type: "text/plain".to_owned(),
        text: text.to_owned(),
        data: Vec::new(),
        name: String::new(),
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
