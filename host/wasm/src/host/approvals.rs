//! Approvals as the engine asks for them: core keeps them, and tells the answers.

use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use berth_core::operations::approvals::capability::CapabilityAsk;
use berth_core::operations::approvals::question::PluginQuestion;
use berth_core::port::target::ApprovalAnswered;
use berth_core::{Core, CoreError};
use berth_model::approval::{ApprovalStatus, ApprovalSubject};
use berth_model::{ApprovalId, PluginId};
use tokio_util::sync::CancellationToken;

use crate::capability::approvals::{ApprovalDesk, OwnQuestion, Question, Reply};
use crate::capability::context::CallContext;
use crate::capability::{Capability, CapabilityError};

/// Hears that a question of a plugin has its answer, which lies among the events of its channel by then.
pub trait AnswerListener: Send + Sync {
    /// Called once for each question. Must not wait.
    fn answered(&self, answer: ApprovalAnswered);
}

/// The way to core, which is made after the plugins: before, there is nobody to ask.
#[derive(Default)]
pub(super) struct CoreApprovals {
    core: OnceLock<Core>,
    listener: RwLock<Option<Arc<dyn AnswerListener>>>,
}

impl CoreApprovals {
    /// Joined once, for the life of the host.
    pub fn attach(&self, core: Core) {
        if self.core.set(core).is_err() {
            tracing::warn!("the approvals of plugins were joined with core already");
        }
    }

    pub fn listen(&self, listener: Arc<dyn AnswerListener>) {
        *self.listener.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(listener);
    }

    pub fn tell(&self, answer: ApprovalAnswered) {
        let listener = self.listener.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        match listener {
            Some(listener) => listener.answered(answer),
            None => tracing::debug!(approval.id = %answer.approval, "nobody waits for the answer"),
        }
    }
}

#[async_trait]
impl ApprovalDesk for CoreApprovals {
    async fn ask(
        &self,
        question: Question,
        spent: &[ApprovalId],
        wait: Duration,
        cancel: &CancellationToken,
    ) -> Result<Reply, CapabilityError> {
        let Some(core) = self.core.get() else { return Ok(Reply::Nobody) };
        let Ok(plugin) = PluginId::new(&question.plugin) else { return Ok(Reply::Nobody) };
        let ask = CapabilityAsk {
            operation: question.context.operation,
            run: question.context.run,
            prompt: prompt(&question),
            risk: risk(&question).to_owned(),
            subject: ApprovalSubject {
                plugin,
                capability: question.capability.as_str().to_owned(),
                scope: question.scope,
            },
        };
        let Some(approval) = core.ask_capability(&ask, spent).await.map_err(failed)? else {
            return Ok(Reply::Nobody);
        };
        let approval = match approval.status {
            ApprovalStatus::Pending if wait.is_zero() => approval,
            ApprovalStatus::Pending => {
                core.await_approval(approval.id, ask.run, wait, cancel).await.map_err(failed)?
            }
            _ => approval,
        };
        Ok(match approval.status {
            ApprovalStatus::Approved => Reply::Yes(approval.id),
            ApprovalStatus::Rejected => Reply::No(approval.id, approval.reason),
            ApprovalStatus::Pending => Reply::Open(approval.id),
            ApprovalStatus::Expired if cancel.is_cancelled() => return Err(CapabilityError::cancelled()),
            ApprovalStatus::Expired => Reply::No(approval.id, "nobody answered in time".to_owned()),
        })
    }

    async fn ask_own(
        &self,
        plugin: &str,
        question: OwnQuestion,
        context: &CallContext,
    ) -> Result<ApprovalId, CapabilityError> {
        let nobody = || CapabilityError::new("APPROVAL_UNAVAILABLE", "there is nobody to ask");
        let core = self.core.get().ok_or_else(nobody)?;
        let question = PluginQuestion {
            plugin: PluginId::new(plugin).map_err(|_| nobody())?,
            title: question.title,
            risk: question.risk,
            details: question.details,
            workspace: context.workspace.clone(),
            actor: context.actor.clone(),
            run: context.run,
            thread: context.thread,
            session: context.session,
        };
        Ok(core.ask_question(question).await.map_err(failed)?.id)
    }
}

fn prompt(question: &Question) -> String {
    let does = if question.is_write { "may change something" } else { "reads" };
    // The scope is text of the plugin: its control characters go nowhere.
    let scope: String =
        question.scope.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("May {} use {} for {scope}? It {does}.", question.plugin, question.capability.as_str())
}

/// The danger of a use, in the words of tools.
fn risk(question: &Question) -> &'static str {
    match question.capability {
        _ if !question.is_write => "read",
        Capability::Process => "command",
        Capability::Files | Capability::Keyvalue => "local_write",
        _ => "external_write",
    }
}

fn failed(error: CoreError) -> CapabilityError {
    tracing::warn!(%error, "an approval could not be asked for");
    let mut failure =
        CapabilityError::new("STORE_UNAVAILABLE", "the host cannot ask for an approval right now");
    failure.retryable = true;
    failure
}
