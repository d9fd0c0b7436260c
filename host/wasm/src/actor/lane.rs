//! An instance of a channel: made when it is needed, kept for a while, and gone when nobody asks it any more.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use berth_model::{ApprovalId, CallId, OperationId, Timestamp};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::binding::{Binding, Living};
use super::desk::EventDesk;
use super::inbox::ChannelInbox;
use super::wishes::{Description, Wishes};
use crate::call::ToolInvocation;
use crate::call::resident::{Question, Reply, Resident};
use crate::capability::context::CallContext;
use crate::capability::files;
use crate::error::CallError;

/// One of the two instances of a channel: one for what comes in, one for what goes out.
pub(super) struct Lane {
    binding: Arc<Binding>,
    held: Option<Held>,
    used_at: Timestamp,
    inbox: Arc<ChannelInbox>,
    desk: Arc<EventDesk>,
    /// The event or the delivery at hand.
    about: Option<String>,
}

struct Held {
    resident: Resident,
    living: Living,
}

impl Lane {
    pub fn new(binding: Arc<Binding>) -> Self {
        let inbox = Arc::new(ChannelInbox { binding: binding.clone(), missed: AtomicBool::new(false) });
        let used_at = binding.alarm.now();
        let desk = Arc::new(EventDesk::new(binding.clone()));
        Self { binding, held: None, used_at, inbox, desk, about: None }
    }

    /// What comes next is about this event or delivery.
    pub fn about(&mut self, event: &str) {
        self.about = Some(event.to_owned());
        self.desk.turn();
    }

    /// The question to the owner that what was asked last waits for.
    pub fn waits_for(&self) -> Option<ApprovalId> {
        self.desk.open()
    }

    /// Whether something about the event or delivery at hand needed an answer of the owner.
    pub fn was_asked(&self) -> bool {
        self.desk.was_asked()
    }

    /// Asks one thing of an instance that has been started.
    pub async fn ask(&mut self, question: Question) -> Result<Reply, CallError> {
        let held = self.started().await?;
        self.ask_of(held, question).await
    }

    /// Makes the instance ready without asking anything.
    pub async fn ready(&mut self) -> Result<(), CallError> {
        self.held = Some(self.started().await?);
        Ok(())
    }

    /// When the instance goes, if nobody asks it before.
    pub fn idle_at(&self) -> Option<Timestamp> {
        self.held.as_ref().map(|_| self.used_at.plus(self.binding.settings.idle))
    }

    /// Drops the instance when nobody has asked it for long enough.
    pub fn drop_idle(&mut self) {
        if self.idle_at().is_some_and(|at| at <= self.binding.alarm.now()) {
            self.held = None;
        }
    }

    /// Tells the instance that it is switched off, if there is one, and drops it.
    pub async fn stop(&mut self, reason: &str) {
        let Some(held) = self.held.take() else { return };
        let asked = held.resident.ask(Question::Stop(reason.to_owned()), self.last_call()).await;
        if let Err(error) = asked.1 {
            tracing::debug!(plugin.id = %self.binding.plugin, %error, "a channel did not stop well");
        }
    }

    /// What the component says of itself, asked in an instance without any grant.
    pub async fn describe(&mut self) -> Result<Description, CallError> {
        let _permit = self.permit().await?;
        let resident = Resident::open(self.binding.loaded().inner, self.bare()).await?;
        match resident.ask(Question::Describe, self.bare()).await.1? {
            Reply::Described(description) => Description::of(description).map_err(|bad| refused(&bad)),
            _ => Err(refused(&"it is no channel")),
        }
    }

    /// The instance that is there, or a new one that has been started.
    async fn started(&mut self) -> Result<Held, CallError> {
        if let Some(held) = &self.held {
            if !held.resident.is_of(&self.binding.loaded()) {
                self.stop("another version takes its place").await;
            } else if !held.resident.has_folders(&files::folders(&self.binding.grants.view(), &[])) {
                self.held = None;
            }
        }
        if let Some(held) = self.held.take() {
            return Ok(held);
        }
        let binding = self.binding.start().await?;
        let resident = {
            let _permit = self.permit().await?;
            Resident::open(self.binding.loaded().inner, self.invocation()).await?
        };
        let held = Held { resident, living: Living::new(&self.binding.living) };
        let reply = self.ask_of(held, Question::Start(binding)).await?;
        let held = self.held.take();
        let wishes = match reply {
            Reply::Started(Ok(wishes)) => wishes,
            Reply::Started(Err(error)) => return Err(CallError::Tool { failure: error.into() }),
            _ => return Err(refused(&"it is no channel")),
        };
        let (wishes, left) = Wishes::of(wishes).map_err(|bad| refused(&bad))?;
        self.binding.wished(wishes, left).await?;
        held.ok_or_else(|| refused(&"its instance is gone"))
    }

    async fn ask_of(&mut self, held: Held, question: Question) -> Result<Reply, CallError> {
        let _permit = self.permit().await?;
        self.inbox.begin();
        self.desk.begin();
        let Held { resident, living } = held;
        let (resident, reply) = resident.ask(question, self.invocation()).await;
        self.used_at = self.binding.alarm.now();
        self.held = resident.map(|resident| Held { resident, living });
        reply
    }

    /// A place among the calls of the host; a channel waits for one.
    async fn permit(&mut self) -> Result<OwnedSemaphorePermit, CallError> {
        let calls = self.binding.host.engine().inner.calls.clone();
        tokio::select! {
            biased;
            () = self.binding.stop.cancelled() => Err(CallError::Cancelled),
            permit = calls.acquire_owned() => permit.map_err(|_| CallError::Cancelled),
        }
    }

    /// A call with the grants of the channel.
    fn invocation(&self) -> ToolInvocation {
        let parts = self.binding.host.parts();
        let sockets = Arc::new(self.binding.sockets.clone());
        let bare = self.bare();
        let operation = bare.context.operation;
        let grants =
            self.binding.host.live_grants(&self.binding.loaded(), &self.binding.workspace, operation);
        let services = parts
            .services
            .clone()
            .with_channel(self.inbox.clone(), sockets)
            .with_approvals(self.desk.clone());
        ToolInvocation { grants, services, ..bare }
    }

    /// The same when the channel is being stopped already.
    fn last_call(&self) -> ToolInvocation {
        let bare = ToolInvocation::new("channel", Value::Null, self.context());
        ToolInvocation { timeout: STOP_WITHIN, cancel: bare.cancel.clone(), ..self.invocation() }
    }

    /// A call without any grant.
    fn bare(&self) -> ToolInvocation {
        ToolInvocation {
            timeout: self.binding.settings.wall,
            cancel: self.binding.stop.child_token(),
            ..ToolInvocation::new("channel", Value::Null, self.context())
        }
    }

    fn context(&self) -> CallContext {
        let ids = &self.binding.host.parts().ids;
        let call = CallId::from_uuid(ids.uuid());
        CallContext {
            call,
            operation: match &self.about {
                Some(event) => self.binding.operation_of(event),
                None => OperationId::from_uuid(ids.uuid()),
            },
            run: None,
            thread: None,
            session: None,
            workspace: self.binding.workspace.clone(),
            actor: self.binding.actor(),
            locale: self.binding.core.locale().to_owned(),
            dry_run: false,
            idempotency_key: self.about.clone().unwrap_or_else(|| call.to_string()),
            meta: Vec::new(),
        }
    }
}

/// How long a channel may take to stop.
const STOP_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

fn refused(problem: &impl ToString) -> CallError {
    CallError::BadOutput { message: problem.to_string() }
}
