//! A channel without its runtime: whoever tests it asks one thing after another.
//!
//! The runtime of a host is [`crate::actor`]; here nothing is stored, no timer runs and nobody comes again.

use berth_model::channel::PartOutcome;

use super::ToolInvocation;
use super::resident::{Question, Reply, Resident};
use crate::actor::wishes::Wishes;
use crate::error::CallError;
use crate::plugin::LoadedPlugin;
use crate::wit::v0_1::channel::{Binding, Delivery, Event, WebhookRequest, WebhookResponse};

/// One instance of a channel, gone after it broke off.
pub struct Stage {
    plugin: LoadedPlugin,
    binding: Binding,
    held: Option<Resident>,
}

impl Stage {
    /// Every instance of `plugin` begins with `binding`.
    pub fn new(plugin: LoadedPlugin, binding: Binding) -> Self {
        Self { plugin, binding, held: None }
    }

    /// Whether there is an instance that can be asked.
    pub fn is_open(&self) -> bool {
        self.held.is_some()
    }

    /// Begins anew; what the channel wishes. `invocation` makes the call of each question, here and below.
    pub async fn start(&mut self, invocation: impl Fn() -> ToolInvocation) -> Result<Wishes, CallError> {
        let resident = Resident::open(self.plugin.inner.clone(), invocation()).await?;
        let (resident, reply) = resident.ask(Question::Start(self.binding.clone()), invocation()).await;
        match reply? {
            Reply::Started(Ok(wishes)) => {
                let (wishes, _) = Wishes::of(wishes).map_err(|bad| bad_output(&bad))?;
                self.held = resident;
                Ok(wishes)
            }
            Reply::Started(Err(error)) => Err(CallError::Tool { failure: error.into() }),
            _ => Err(bad_output(&"it is no channel")),
        }
    }

    /// Hands a request over.
    pub async fn webhook(
        &mut self,
        request: WebhookRequest,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<WebhookResponse, CallError> {
        match self.ask(Question::Webhook(request), invocation).await? {
            Reply::Answered(response) => Ok(response),
            _ => Err(bad_output(&"it is no channel")),
        }
    }

    /// Tells of an event; a failure of the channel's own is [`CallError::Tool`].
    pub async fn event(
        &mut self,
        event: Event,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<(), CallError> {
        match self.ask(Question::Event(event), invocation).await? {
            Reply::Done(done) => done.map_err(|error| CallError::Tool { failure: error.into() }),
            _ => Err(bad_output(&"it is no channel")),
        }
    }

    /// Has the channel send; what became of each part.
    pub async fn deliver(
        &mut self,
        delivery: Delivery,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<Vec<PartOutcome>, CallError> {
        match self.ask(Question::Deliver(delivery), invocation).await? {
            Reply::Delivered(outcomes) => Ok(outcomes),
            _ => Err(bad_output(&"it is no channel")),
        }
    }

    /// Tells the channel that it is switched off, and drops its instance.
    pub async fn stop(
        &mut self,
        reason: &str,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<(), CallError> {
        self.ask(Question::Stop(reason.to_owned()), invocation).await?;
        self.held = None;
        Ok(())
    }

    async fn ask(
        &mut self,
        question: Question,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<Reply, CallError> {
        let Some(resident) = self.held.take() else { return Err(bad_output(&"it was not started")) };
        let (resident, reply) = resident.ask(question, invocation()).await;
        self.held = resident;
        reply
    }
}

fn bad_output(problem: &impl ToString) -> CallError {
    CallError::BadOutput { message: problem.to_string() }
}
