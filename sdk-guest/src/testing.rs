//! The host as a test sees it: a script per thread, and what the plugin did with it.
//!
//! ```
//! use berth_plugin::{call, testing};
//!
//! testing::host(|host| host.cancelled = true);
//! assert!(call::cancelled());
//! ```

pub(crate) mod secrets;
pub(crate) mod standards;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::Error;
use crate::call::Context;
use crate::endpoints::EndpointInfo;
use crate::http::{Request, Response};
use crate::log::Level;
use crate::process::Output;

/// A call that the plugin made to an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointCall {
    /// An endpoint, or `provider:TYPE`.
    pub selector: String,
    /// The tool of the endpoint.
    pub tool_key: String,
    /// JSON text.
    pub arguments: String,
}

pub use secrets::{SecretAnswer, SecretUse};

/// A program that the plugin ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramRun {
    /// The id in the policy.
    pub program: String,
    /// Its arguments.
    pub argv: Vec<String>,
    /// What it was given to read.
    pub stdin: Vec<u8>,
    /// Where it works.
    pub folder: Option<String>,
}

type Answered = Box<dyn FnMut(&Request) -> Result<Response, Error>>;
type Ran = Box<dyn FnMut(&ProgramRun) -> Result<Output, Error>>;
type Answer = Box<dyn FnMut(&EndpointCall) -> Result<String, Error>>;

/// What the host answers, and what it was told.
pub struct Host {
    /// Who asked for what.
    pub context: Context,
    /// Whether the call is being ended.
    pub cancelled: bool,
    /// What is left of the call's time; 30 s unless set.
    pub remaining: Duration,
    /// Granted capability names; `check` looks at the name only.
    pub granted: Vec<String>,
    /// Time since the Unix epoch; zero unless set.
    pub now: Duration,
    /// What is connected, whatever the tool.
    pub endpoints: Vec<EndpointInfo>,
    /// Fractions and messages, in order.
    pub reports: Vec<(Option<f32>, String)>,
    /// Pieces of the result, in order.
    pub partials: Vec<Vec<u8>>,
    /// What went to endpoints, in order.
    pub endpoint_calls: Vec<EndpointCall>,
    /// What was done with secrets, in order.
    pub secret_uses: Vec<SecretUse>,
    /// What was run, in order.
    pub program_runs: Vec<ProgramRun>,
    /// Titles of the questions to the owner, in order.
    pub questions: Vec<String>,
    /// The requests that were sent, in order.
    pub requests: Vec<Request>,
    /// Pairs by bucket and key.
    pub pairs: BTreeMap<(String, String), Vec<u8>>,
    /// Whether every bucket is refused.
    pub pairs_denied: bool,
    /// The settings of the plugin.
    pub settings: BTreeMap<String, String>,
    /// What was logged, in order.
    pub lines: Vec<(Level, String)>,
    answered: Answered,
    answer: Answer,
    secret_answer: secrets::Answer,
    ran: Ran,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            context: Context {
                call_id: "call_test".into(),
                run_id: "run_test".into(),
                thread_id: "thr_test".into(),
                workspace_id: "personal".into(),
                actor_id: "owner".into(),
                locale: "en".into(),
                deadline_ms: 30_000,
                dry_run: false,
                idempotency_key: "key_test".into(),
                meta: Vec::new(),
            },
            cancelled: false,
            remaining: Duration::from_secs(30),
            granted: Vec::new(),
            now: Duration::ZERO,
            endpoints: Vec::new(),
            reports: Vec::new(),
            partials: Vec::new(),
            endpoint_calls: Vec::new(),
            secret_uses: Vec::new(),
            questions: Vec::new(),
            answer: Box::new(|call| {
                Err(Error::new("TOOL_NO_TARGET", format!("no endpoint offers `{}`", call.tool_key)))
            }),
            secret_answer: Box::new(|asked| {
                Err(Error::new("SECRET_NOT_FOUND", format!("there is no secret `{}`", asked.name)))
            }),
            program_runs: Vec::new(),
            requests: Vec::new(),
            pairs: BTreeMap::new(),
            pairs_denied: false,
            settings: BTreeMap::new(),
            lines: Vec::new(),
            answered: Box::new(|request| Err(request.denied())),
            ran: Box::new(|run| {
                Err(Error::new("COMMAND_REFUSED", format!("`{}` is no program of the policy", run.program)))
            }),
        }
    }
}

impl Host {
    /// Sets what an endpoint answers: JSON text or an error.
    pub fn on_endpoint_call(&mut self, answer: impl FnMut(&EndpointCall) -> Result<String, Error> + 'static) {
        self.answer = Box::new(answer);
    }

    /// Sets what comes of the use of a secret.
    pub fn on_secret_use(&mut self, answer: impl FnMut(&SecretUse) -> Result<SecretAnswer, Error> + 'static) {
        self.secret_answer = Box::new(answer);
    }

    /// Sets what a server answers; until then every request is denied.
    pub fn on_request(&mut self, answered: impl FnMut(&Request) -> Result<Response, Error> + 'static) {
        self.answered = Box::new(answered);
    }

    /// Sets what comes of a program.
    pub fn on_program_run(&mut self, ran: impl FnMut(&ProgramRun) -> Result<Output, Error> + 'static) {
        self.ran = Box::new(ran);
    }
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host::default());
}

/// Reads or changes the script of this thread.
pub fn host<R>(with: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with_borrow_mut(with)
}

pub(crate) mod call {
    use super::{Context, host};

    pub fn context() -> Context {
        host(|host| host.context.clone())
    }

    pub fn cancelled() -> bool {
        host(|host| host.cancelled)
    }

    pub fn remaining_ms() -> u64 {
        host(|host| host.remaining.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

pub(crate) mod progress {
    use super::host;
    use crate::Error;

    pub fn report(fraction: Option<f32>, message: &str) {
        host(|host| host.reports.push((fraction, message.into())));
    }

    pub fn partial(bytes: &[u8]) -> Result<(), Error> {
        host(|host| host.partials.push(bytes.into()));
        Ok(())
    }
}

pub(crate) mod capabilities {
    use super::host;

    pub fn granted() -> Vec<String> {
        host(|host| host.granted.clone())
    }

    pub fn check(name: &str, _scope: &str) -> bool {
        host(|host| host.granted.iter().any(|granted| granted == name))
    }
}

pub(crate) mod approval {
    use super::host;
    use crate::Error;

    #[expect(clippy::unnecessary_wraps, reason = "as the host has it")]
    pub fn ask(title: &str, _risk: &str, _details: &str) -> Result<String, Error> {
        Ok(host(|host| {
            host.questions.push(title.to_owned());
            format!("approval_{}", host.questions.len())
        }))
    }
}

pub(crate) mod endpoints {
    use super::{EndpointCall, host};
    use crate::Error;
    use crate::endpoints::EndpointInfo;

    #[expect(clippy::unnecessary_wraps, reason = "as the host has it")]
    pub fn list(_tool_key: &str) -> Result<Vec<EndpointInfo>, Error> {
        Ok(host(|host| host.endpoints.clone()))
    }

    pub fn call(selector: &str, tool_key: &str, arguments: &str) -> Result<String, Error> {
        let call = EndpointCall {
            selector: selector.into(),
            tool_key: tool_key.into(),
            arguments: arguments.into(),
        };
        host(|host| {
            let answer = (host.answer)(&call);
            host.endpoint_calls.push(call);
            answer
        })
    }
}

pub(crate) mod process {
    use super::{ProgramRun, host};
    use crate::Error;
    use crate::process::{Limits, Output};

    pub fn run(program: &str, argv: &[String], stdin: &[u8], limits: &Limits) -> Result<Output, Error> {
        let run = ProgramRun {
            program: program.into(),
            argv: argv.into(),
            stdin: stdin.into(),
            folder: limits.folder.clone(),
        };
        host(|host| {
            let ran = (host.ran)(&run);
            host.program_runs.push(run);
            ran
        })
    }
}

pub(crate) mod clock {
    use std::time::Duration;

    pub fn since_epoch() -> Duration {
        super::host(|host| host.now)
    }

    /// Time goes on at once.
    pub fn wait(span: Duration) {
        super::host(|host| {
            host.now += span;
            host.remaining = host.remaining.saturating_sub(span);
        });
    }
}
