//! Tells one case to a plugin.

use std::path::Path;
use std::time::Instant;

use berth_broker::{Broker, BrokerParts};
use berth_model::{ActorId, CallId, OperationId, WorkspaceId};
use berth_wasm::Receipt;
use berth_wasm::call::Usage;
use berth_wasm::call::extra::Extra;
use berth_wasm::capability::context::CallContext;
use berth_wasm::capability::surroundings::{Surroundings as _, Waiter};
use berth_wasm::manifest::json;
use serde_json::Value;

use crate::channel::{self, Theatre};
use crate::error::KitError;
use crate::matching::{self, cut};
use crate::outcome::{self, Outcome};
use crate::report::{CaseReport, Failure, StepReport};
use crate::story::{Ask, Case, Step, Story};
use crate::subject::Subject;
use crate::world::World;

/// How the answers of real servers are recorded.
#[derive(Clone)]
pub struct Recording {
    /// What they are reached with.
    pub broker: Broker,
}

impl Recording {
    /// By the network of the machine.
    pub fn system() -> Self {
        Self { broker: Broker::new(BrokerParts::system()) }
    }
}

/// Runs one case of a story; `folder` is where its cassettes lie.
///
/// What the case finds wrong stands in the report. Fails when the case itself cannot be meant.
pub async fn run(
    subject: &Subject,
    story: &Story,
    at: usize,
    recording: Option<&Recording>,
    folder: &Path,
) -> Result<CaseReport, KitError> {
    let begun = Instant::now();
    let case = &story.cases[at];
    let line = story.line(at);
    let mut world = World::new(subject, case, recording, folder).await.map_err(|error| match error {
        KitError::Kit { message } => KitError::Story { file: story.file.clone(), line: Some(line), message },
        other => other,
    })?;
    let theatre = subject.is_channel().then(|| Theatre::new(subject));
    let mut teller = Teller { subject, case, theatre, steps: Vec::new(), failures: Vec::new() };
    for (number, step) in case.step.iter().enumerate() {
        let found = teller.step(&mut world, number, step.get_ref()).await;
        let line = story.step_line(at, number);
        teller.failures.extend(found.into_iter().map(|failure| failure.at(number + 1, line)));
        if !teller.failures.is_empty() {
            // What comes behind would only repeat it.
            break;
        }
    }
    let Teller { mut failures, steps, .. } = teller;
    if failures.is_empty() {
        failures = world.finish(case);
    }
    let recorded = failures.is_empty() && world.keep(case, folder)?;
    Ok(CaseReport {
        file: story.file.clone(),
        line,
        name: case.name.clone(),
        passed: failures.is_empty(),
        ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        recorded,
        failures,
        steps,
    })
}

/// What a plugin has used and said so far.
struct Meter {
    usage: Usage,
    /// Log lines that were there.
    lines: u64,
    begun: Instant,
}

impl Meter {
    fn read(subject: &Subject) -> Self {
        let (_, lines) = subject.plugin.logs_since(u64::MAX);
        Self { usage: subject.plugin.usage(), lines, begun: Instant::now() }
    }

    /// What it has used and said since.
    fn receipt(&self, subject: &Subject) -> Receipt {
        let (now, before) = (subject.plugin.usage(), &self.usage);
        let (logs, _) = subject.plugin.logs_since(self.lines);
        Receipt {
            wall_us: u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            cpu_us: now.cpu_us - before.cpu_us,
            host_calls: now.host_calls - before.host_calls,
            sent_bytes: now.sent_bytes - before.sent_bytes,
            received_bytes: now.received_bytes - before.received_bytes,
            written_bytes: now.written_bytes - before.written_bytes,
            created_files: now.created_files - before.created_files,
            denials: now.denials - before.denials,
            logs,
            ..Receipt::default()
        }
    }
}

struct Teller<'a> {
    subject: &'a Subject,
    case: &'a Case,
    theatre: Option<Theatre>,
    steps: Vec<StepReport>,
    failures: Vec<Failure>,
}

impl Teller<'_> {
    async fn step(&mut self, world: &mut World, number: usize, step: &Step) -> Vec<Failure> {
        world.suffer(self.case, &step.fault);
        let denied = world.denied().len();
        let (outcome, receipt) = match step {
            Step { call: Some(name), .. } => match self.call(world, number, name, step).await {
                Ok(called) => called,
                Err(failure) => return vec![*failure],
            },
            Step { advance: Some(span), .. } => {
                world.time.advance(span.0);
                (Outcome::Done, None)
            }
            Step { clock: Some(clock), .. } => {
                world.time.set(clock.0);
                (Outcome::Done, None)
            }
            Step { revoke: Some(capability), .. } => {
                world.grants.revoke(capability);
                (Outcome::Done, None)
            }
            Step { ask: Some(ask), .. } if !ask.is_of_channel() => {
                match self.ask(world, number, ask, step).await {
                    Ok(asked) => asked,
                    Err(failure) => return vec![*failure],
                }
            }
            _ if self.theatre.is_some() => match self.act(world, number, step).await {
                Ok(acted) => acted,
                Err(failure) => return vec![*failure],
            },
            _ => {
                let verb = step.ask.as_ref().map_or(step.verb(), Ask::word);
                return vec![Failure::new(format!("`{verb}` is for channels, and the plugin is none"))];
            }
        };
        let progress = world.reports.take();
        let mut failures = world.take_failures();
        failures.extend(outcome::check(step, &outcome, receipt.as_ref(), &progress));
        let mail = Value::Array(world.mail.take());
        if let Some(wanted) = step.inbound.clone().map(json)
            && let Some(at) = matching::missing(&wanted, &mail)
        {
            let failure = Failure::new(format!("what was handed to Core differs at {}", at.pointer));
            let failure = failure.with(at.wanted, at.got);
            failures.push(failure.hint(format!("the whole: {}", matching::shown(&mail))));
        }
        if let Some(receipt) = &receipt {
            world.wrote(receipt.written_bytes);
        }
        let name = match step {
            Step { call: Some(name), .. } | Step { poll: Some(name), .. } => name,
            Step { ask: Some(ask), .. } => ask.word(),
            _ => "",
        };
        let (answer, message) = match &outcome {
            Outcome::Answer(answer) => (Some(answer.clone()), None),
            Outcome::Failed { message, .. } => (None, Some(message.clone())),
            Outcome::Done => (None, None),
        };
        self.steps.push(StepReport {
            what: format!("{} {name}", step.verb()).trim_end().to_owned(),
            answer,
            error: outcome.code().map(str::to_owned),
            message,
            denied: world.denied().split_off(denied),
            receipt,
        });
        failures
    }

    /// A step of a channel.
    async fn act(
        &mut self,
        world: &World,
        number: usize,
        step: &Step,
    ) -> Result<(Outcome, Option<Receipt>), Box<Failure>> {
        let Some(theatre) = &mut self.theatre else { return Ok((Outcome::Done, None)) };
        let context = context(number, step)?;
        let before = Meter::read(self.subject);
        let outcome = theatre.step(world, step, || world.invocation("channel", context.clone())).await?;
        Ok((outcome, Some(before.receipt(self.subject))))
    }

    /// A question that a host asks in an instance of its own, of whatever plugin.
    async fn ask(
        &self,
        world: &World,
        number: usize,
        ask: &Ask,
        step: &Step,
    ) -> Result<(Outcome, Option<Receipt>), Box<Failure>> {
        let extra = match ask {
            Ask { pulse: Some(since), .. } => {
                Extra::Pulse(u64::try_from(since.0.as_micros() / 1000).unwrap_or(0))
            }
            Ask { upgrade: Some(from), .. } => Extra::Upgrade(from.clone()),
            Ask { cancel: Some(call), .. } => Extra::Cancelled(call.clone()),
            _ => Extra::Check,
        };
        let (context, interface) = (context(number, step)?, extra.interface());
        let before = Meter::read(self.subject);
        let asked =
            self.subject.plugin.ask_extra(extra, || world.invocation("upkeep", context.clone())).await;
        let outcome = channel::said(asked, interface)?;
        let outcome = outcome.unwrap_or_else(|error| Outcome::of(&Err(error)));
        Ok((outcome, Some(before.receipt(self.subject))))
    }

    async fn call(
        &self,
        world: &World,
        number: usize,
        name: &str,
        step: &Step,
    ) -> Result<(Outcome, Option<Receipt>), Box<Failure>> {
        let tools = self.subject.plugin.tools();
        let Some(tool) = tools.iter().find(|tool| tool.name == name) else {
            let known: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
            let failure = Failure::new(format!("the plugin has no tool {name}"));
            return Err(Box::new(failure.with(cut(&known.join(", ")), name)));
        };
        let arguments = step
            .args
            .clone()
            .map_or_else(|| Value::Object(serde_json::Map::new()), |args| json(toml::Value::Table(args)));
        let mut invocation = world.invocation(&tool.key(), context(number, step)?);
        invocation.arguments = arguments;
        invocation.timeout = self.subject.plugin.timeout(tool);
        let cancel = invocation.cancel.clone();
        let cancelling = async {
            if let Some(span) = step.cancel_after {
                world.time.until(world.time.monotonic() + span.0, Waiter::Limit).await;
                cancel.cancel();
            }
            std::future::pending::<()>().await;
        };
        let measured = tokio::select! {
            biased;
            measured = self.subject.plugin.measured(invocation) => measured,
            () = cancelling => return Ok((Outcome::Done, None)),
        };
        let outcome = Outcome::of(&measured.outcome);
        let receipt = measured.outcome.map(|outcome| outcome.receipt);
        let receipt = receipt.map_or(measured.receipt, Some);
        Ok((outcome, receipt))
    }
}

/// The call that a guest sees itself serve.
pub(crate) fn context(number: usize, step: &Step) -> Result<CallContext, Box<Failure>> {
    let id = uuid::Uuid::from_u128(number as u128 + 1);
    let actor = step.actor.as_deref().unwrap_or("user:self");
    let actor = ActorId::new(actor)
        .map_err(|error| Box::new(Failure::new(format!("`actor` \"{actor}\": {error}"))))?;
    Ok(CallContext {
        call: CallId::from_uuid(id),
        operation: OperationId::from_uuid(id),
        run: None,
        thread: None,
        session: None,
        workspace: WorkspaceId::fixed("test"),
        actor,
        locale: step.locale.clone().unwrap_or_else(|| "en".to_owned()),
        dry_run: step.dry_run,
        idempotency_key: format!("step-{}", number + 1),
        meta: Vec::new(),
    })
}
