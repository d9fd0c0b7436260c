//! People who are asked.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use berth_model::ApprovalId;
use berth_wasm::capability::CapabilityError;
use berth_wasm::capability::approvals::{ApprovalDesk, OwnQuestion, Question, Reply};
use berth_wasm::capability::context::CallContext;
use tokio_util::sync::CancellationToken;

use super::{Failures, Uses, lock, quoted};
use crate::report::Failure;
use crate::story::ApprovalFile;

/// Answers as the story says; what nobody expects is a failure, and nobody is there to answer it.
pub struct Approvals {
    answers: Mutex<Vec<Uses<ApprovalFile>>>,
    asked: Mutex<Vec<ApprovalId>>,
    failures: Failures,
}

impl Approvals {
    pub fn new(files: Vec<ApprovalFile>, failures: Failures) -> Self {
        Self { answers: Uses::of(files), asked: Mutex::default(), failures }
    }

    fn id(&self) -> ApprovalId {
        let mut asked = lock(&self.asked);
        let id = ApprovalId::from_uuid(uuid::Uuid::from_u128(asked.len() as u128 + 1));
        asked.push(id);
        id
    }

    /// The last question of the plugin's own.
    pub fn last(&self) -> Option<ApprovalId> {
        lock(&self.asked).last().copied()
    }

    fn take(&self, fits: impl Fn(&ApprovalFile) -> bool) -> Option<ApprovalFile> {
        let mut answers = lock(&self.answers);
        let found = answers.iter_mut().find(|uses| uses.used == 0 && fits(&uses.file))?;
        found.used += 1;
        Some(found.file.clone())
    }

    /// Answers that nobody asked for.
    pub fn unused(&self) -> Vec<Failure> {
        let answers = lock(&self.answers);
        let unused = answers.iter().filter(|uses| uses.used == 0);
        unused
            .map(|uses| {
                let about = uses.file.capability.as_ref().or(uses.file.title.as_ref());
                Failure::new(format!("nobody was asked about {}", about.map_or("", String::as_str)))
            })
            .collect()
    }
}

#[async_trait]
impl ApprovalDesk for Approvals {
    async fn ask(
        &self,
        question: Question,
        _: &[ApprovalId],
        _: Duration,
        _: &CancellationToken,
    ) -> Result<Reply, CapabilityError> {
        let capability = question.capability.as_str();
        let Some(file) = self.take(|file| file.capability.as_deref() == Some(capability)) else {
            self.failures.add(
                Failure::new(format!("nobody expects to be asked about {capability} {}", question.scope))
                    .hint(format!("[[case.approval]]\ncapability = \"{capability}\"\nanswer = \"yes\"")),
            );
            return Ok(Reply::Nobody);
        };
        let id = self.id();
        Ok(match file.answer.as_str() {
            "yes" => Reply::Yes(id),
            "no" => Reply::No(id, file.reason),
            "open" => Reply::Open(id),
            _ => Reply::Nobody,
        })
    }

    async fn ask_own(
        &self,
        _: &str,
        question: OwnQuestion,
        _: &CallContext,
    ) -> Result<ApprovalId, CapabilityError> {
        let title = &question.title;
        match self.take(|file| file.title.as_deref().is_some_and(|wanted| title.contains(wanted))) {
            Some(file) if file.answer != "nobody" => Ok(self.id()),
            Some(_) => Err(CapabilityError::new("APPROVAL_UNAVAILABLE", "there is nobody to ask")),
            None => {
                self.failures.add(
                    Failure::new(format!("nobody expects the question {title:?}"))
                        .hint(format!("[[case.approval]]\ntitle = {}\nanswer = \"open\"", quoted(title))),
                );
                Err(CapabilityError::new("APPROVAL_UNAVAILABLE", "there is nobody to ask"))
            }
        }
    }
}
