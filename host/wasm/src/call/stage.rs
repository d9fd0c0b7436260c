//! A channel without its runtime: whoever tests it asks one thing after another.
//!
//! The runtime of a host is [`crate::actor`]; here nothing is stored, no timer runs, and an event or a poll comes again only
//! when it is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_broker::BrokerError;
use berth_model::channel::{PartOutcome, PollState};
use berth_model::{PluginId, Timestamp};

use super::ToolInvocation;
use super::asking::Asking;
use super::errand::Errand;
use super::extra::{Extra, Said};
use super::resident::{Question, Reply, Resident};
use crate::actor::happening::{Happening, PollAnswer};
use crate::actor::polls::{Asked, Meaning, NotAsked, event_id};
use crate::actor::wishes::{Description, Wishes};
use crate::error::CallError;
use crate::plugin::LoadedPlugin;
use crate::wit::v0_1::channel::{
    Address, Binding, Delivery, Event, HookPath, Reach, WebhookRequest, WebhookResponse,
};

/// One instance of a channel, made when there is something to ask and gone after it broke off.
pub struct Stage {
    plugin: LoadedPlugin,
    binding: Binding,
    held: Option<Resident>,
    /// Of the last start.
    wishes: Wishes,
    has_started: bool,
    polls: BTreeMap<String, Poller>,
    last: Option<Event>,
}

/// How far a poll has come.
#[derive(Default)]
struct Poller {
    state: PollState,
    is_refused: bool,
}

/// What came of a request of a poll.
#[derive(Debug)]
pub struct Polled {
    /// Of the answer; none when there was no answer.
    pub status: Option<u16>,
    pub turn: PollTurn,
}

/// What followed from it.
#[derive(Debug)]
pub enum PollTurn {
    /// Nothing that the channel is told.
    Quiet,
    /// The channel was told; what it made of that.
    Told(Result<(), CallError>),
    /// The request was not sent, or the connection failed.
    Broken(BrokerError),
    /// The server could not answer, or not in a way that counts. The host would ask again later.
    Unanswered(String),
}

impl Stage {
    /// Every instance of `plugin` begins with `binding`, and with what the one before has left and acknowledged.
    pub fn new(plugin: LoadedPlugin, binding: Binding) -> Self {
        Self {
            plugin,
            binding,
            held: None,
            wishes: Wishes::default(),
            has_started: false,
            polls: BTreeMap::new(),
            last: None,
        }
    }

    /// Whether the channel was ever started: its wishes are known.
    pub fn has_started(&self) -> bool {
        self.has_started
    }

    /// What the channel wished when it was started last.
    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// The channel has acknowledged everything up to here.
    pub fn acknowledged(&mut self, position: String) {
        self.binding.position = position;
    }

    /// The instance goes, as one does that nobody has asked for a while.
    pub fn rest(&mut self) {
        self.held = None;
    }

    /// Asks what the channel is, in an instance of its own.
    pub async fn describe(&self, invocation: impl Fn() -> ToolInvocation) -> Result<Description, CallError> {
        match self.plugin.ask_once(Question::Describe, invocation).await? {
            Reply::Described(description) => Description::of(description).map_err(|bad| bad_output(&bad)),
            _ => Err(no_channel()),
        }
    }

    /// Begins anew, which makes an instance. `invocation` makes the call of each question, here and below.
    pub async fn start(&mut self, invocation: impl Fn() -> ToolInvocation) -> Result<(), CallError> {
        let resident = Resident::open(self.plugin.inner.clone(), invocation()).await?;
        let (resident, reply) = resident.ask(Question::Start(self.binding.clone()), invocation()).await;
        match reply? {
            Reply::Started(Ok(wishes)) => {
                let (wishes, left) = Wishes::of(wishes).map_err(|bad| bad_output(&bad))?;
                self.held = resident;
                self.has_started = true;
                self.binding.state = left;
                let path = |name: &String| format!("/channels/{}/{name}/test", self.plugin.id());
                let hooks = wishes.hooks.iter().map(|hook| &hook.name);
                self.binding.hooks =
                    hooks.map(|name| HookPath { name: name.clone(), path: path(name) }).collect();
                self.wishes = wishes;
                Ok(())
            }
            Reply::Started(Err(error)) => Err(CallError::Tool { failure: error.into() }),
            _ => Err(no_channel()),
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
            _ => Err(no_channel()),
        }
    }

    /// Tells of an event; a failure of the channel's own is [`CallError::Tool`].
    pub async fn event(
        &mut self,
        event: Event,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<(), CallError> {
        self.last = Some(event.clone());
        match self.ask(Question::Event(event), invocation).await? {
            Reply::Done(done) => done.map_err(|error| CallError::Tool { failure: error.into() }),
            _ => Err(no_channel()),
        }
    }

    /// Tells of the last event once more, as a host does of one that was put off; `None` when there was none.
    pub async fn again(&mut self, invocation: impl Fn() -> ToolInvocation) -> Option<Result<(), CallError>> {
        let mut event = self.last.clone()?;
        event.attempt = event.attempt.saturating_add(1);
        Some(self.event(event, invocation).await)
    }

    /// Makes the next request of a wished poll, and tells the channel of an answer that is to be told; `None` when there is
    /// no such poll. `at` is the time of the event.
    ///
    /// An answer that is not to be told makes no instance.
    pub async fn poll(
        &mut self,
        name: &str,
        at: Timestamp,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Option<Polled> {
        let poll = self.wishes.polls.iter().find(|poll| poll.name == name)?.clone();
        let poller = self.polls.entry(name.to_owned()).or_default();
        let before = poll.known(Some(poller.state.clone()));
        let cursor = poll.cursor(&before, &self.binding.position);
        let errand = Errand::new(
            &self.plugin,
            ToolInvocation { timeout: poll.within(), ..invocation() },
            Arc::new(Asking::staying()),
        );
        let Asked { answer, meaning } = match poll.ask(&before, cursor, errand).await {
            Ok(asked) => asked,
            Err(NotAsked::Wrong(message)) => {
                let turn = PollTurn::Unanswered(format!("it {message}"));
                return Some(Polled { status: None, turn });
            }
            Err(NotAsked::Broker(error)) => {
                return Some(Polled { status: None, turn: PollTurn::Broken(error) });
            }
        };
        let status = Some(answer.status);
        let was_refused = std::mem::replace(&mut poller.is_refused, matches!(meaning, Meaning::Refused));
        let turn = match meaning {
            Meaning::Failed { error, .. } => PollTurn::Unanswered(error),
            Meaning::Refused if was_refused => PollTurn::Quiet,
            Meaning::Refused => PollTurn::Told(self.tell(answer, before.told, at, &invocation).await),
            Meaning::Quiet(after) => {
                poller.state = after;
                PollTurn::Quiet
            }
            Meaning::News(after) => {
                let number = after.told;
                // Whatever the channel makes of it: what it cannot take is laid aside, and comes again by itself.
                poller.state = after;
                PollTurn::Told(self.tell(answer, number, at, &invocation).await)
            }
        };
        Some(Polled { status, turn })
    }

    /// The cursor of the next request of a wished poll.
    pub fn cursor(&self, name: &str) -> Option<String> {
        let poll = self.wishes.polls.iter().find(|poll| poll.name == name)?;
        let known = self.polls.get(name).map(|poller| poller.state.clone());
        Some(poll.cursor(&poll.known(known), &self.binding.position))
    }

    async fn tell(
        &mut self,
        answer: PollAnswer,
        number: u64,
        at: Timestamp,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<(), CallError> {
        let plugin = PluginId::new(self.plugin.id()).map_err(|bad| bad_output(&bad))?;
        let id = event_id(&plugin, &answer, number);
        match Happening::PollAnswered(answer).event(&id, 1, at) {
            Ok(event) => self.event(event, invocation).await,
            Err(_) => Err(no_channel()),
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
            _ => Err(no_channel()),
        }
    }

    /// Asks whether an address can be written to.
    pub async fn reach(
        &mut self,
        address: Address,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<Reach, CallError> {
        match self.ask(Question::Reach(address), invocation).await? {
            Reply::Reach(reach) => Ok(reach),
            _ => Err(no_channel()),
        }
    }

    /// Asks an optional export; a failure of the channel's own is [`CallError::Tool`].
    pub async fn extra(
        &mut self,
        extra: Extra,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<Said, CallError> {
        Said::of(self.ask(Question::Extra(extra), invocation).await?)
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
        if self.held.is_none() {
            self.start(&invocation).await?;
        }
        let Some(resident) = self.held.take() else { return Err(bad_output(&"its instance is gone")) };
        let (resident, reply) = resident.ask(question, invocation()).await;
        self.held = resident;
        reply
    }
}

fn no_channel() -> CallError {
    bad_output(&"it is no channel")
}

fn bad_output(problem: &impl ToString) -> CallError {
    CallError::BadOutput { message: problem.to_string() }
}
