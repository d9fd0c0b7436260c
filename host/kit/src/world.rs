//! Everything around the plugin in one case.

use std::path::Path;
use std::sync::Arc;

use berth_broker::{Asker, OutboundPolicy, Scope};
use berth_wasm::ToolInvocation;
use berth_wasm::capability::context::CallContext;
use berth_wasm::capability::http::HttpOutlet;
use berth_wasm::capability::services::Services;
use berth_wasm::manifest::json;
use serde_json::Value;
use tempfile::TempDir;

use crate::error::KitError;
use crate::fake::approvals::Approvals;
use crate::fake::channel::{Mail, OpenSockets};
use crate::fake::config::Settings;
use crate::fake::endpoints::Endpoints;
use crate::fake::grants::Grants;
use crate::fake::keyvalue::Keyvalue;
use crate::fake::ledger::Book;
use crate::fake::process::Programs;
use crate::fake::progress::Reports;
use crate::fake::secrets::{self, Scrub};
use crate::fake::{Failures, files};
use crate::http::Net;
use crate::http::cassette::{self, Tape, Upstream};
use crate::http::script::Script;
use crate::report::Failure;
use crate::run::Recording;
use crate::story::{Case, CaseFault};
use crate::subject::Subject;
use crate::time::Time;

/// See the module.
pub struct World {
    pub services: Services,
    pub grants: Arc<Grants>,
    pub reports: Arc<Reports>,
    pub time: Arc<Time>,
    pub approvals: Arc<Approvals>,
    pub mail: Arc<Mail>,
    pub sockets: Arc<OpenSockets>,
    pub(crate) failures: Failures,
    net: Net,
    keyvalue: Arc<Keyvalue>,
    endpoints: Arc<Endpoints>,
    programs: Arc<Programs>,
    book: Arc<Book>,
    folder: TempDir,
    /// What steps have written to files.
    written: u64,
}

impl World {
    /// The world of a case. Fails when it cannot be meant, such as with settings that do not fit their schema.
    pub async fn new(
        subject: &Subject,
        case: &Case,
        recording: Option<&Recording>,
        stories: &Path,
    ) -> Result<Self, KitError> {
        let time = subject.time.clone();
        time.begin(case.clock.map(|clock| clock.0), case.seed);
        let folder =
            tempfile::tempdir().map_err(|source| KitError::Io { path: std::env::temp_dir(), source })?;
        let guests = folder.path().join("folders");
        let wished = subject.manifest.requests.iter().filter_map(|request| request.scope["guest"].as_str());
        for guest in wished.filter(|guest| !case.files.contains_key(*guest)) {
            files::seed(&guests, guest, &Default::default())?;
        }
        for (guest, content) in &case.files {
            files::seed(&guests, guest, content)?;
        }
        let recording = recording.filter(|_| case.record);
        let secrets = values(case, recording)?;
        let scrub = Scrub::new(&secrets)?;
        let vault = folder.path().join("vault");
        std::fs::create_dir_all(&vault).map_err(|source| KitError::Io { path: vault.clone(), source })?;
        let desk = secrets::desk(&subject.manifest.id, &secrets, &vault, &time).await?;

        let grants = Arc::new(Grants::new(&subject.manifest, &subject.digest, case, &guests, time.clone())?);
        let tape = tape(case, recording, &grants, stories)?;
        let script = Script::new(case.http.clone(), tape, scrub, {
            let grants = grants.clone();
            move || grants.revoke("http")
        });
        let net = Net::new(script, time.clone(), subject.authority.clone());
        let failures = Failures::default();
        let settings = json(toml::Value::Table(case.config.clone()));
        let settings = Settings::new(&settings, subject.schema.as_ref())
            .map_err(|message| KitError::kit(format!("the settings do not fit: {message}")))?;
        let keyvalue = Arc::new(Keyvalue::new(&case.keyvalue));
        let approvals = Arc::new(Approvals::new(case.approval.clone(), failures.clone()));
        let endpoints = Arc::new(Endpoints::new(case.endpoint.clone(), failures.clone(), time.clone()));
        let programs = Arc::new(Programs::new(case.process.clone(), failures.clone(), time.clone()));
        let book = Arc::new(Book::new(grants.clone()));
        let (mail, sockets) = <(Arc<Mail>, Arc<OpenSockets>)>::default();
        let mut services = Services::none()
            .with_secrets(desk)
            .with_config(Arc::new(settings))
            .with_http(HttpOutlet::new(net.broker()))
            .with_keyvalue(keyvalue.clone())
            .with_endpoints(endpoints.clone())
            .with_programs(programs.clone())
            .with_approvals(approvals.clone())
            .with_ledger(book.clone())
            .with_surroundings(time.clone());
        if subject.is_channel() {
            services = services.with_channel(mail.clone(), sockets.clone());
        }
        services.throttle = Arc::default();
        Ok(Self {
            services,
            grants,
            reports: Arc::default(),
            time,
            approvals,
            mail,
            sockets,
            failures,
            net,
            keyvalue,
            endpoints,
            programs,
            book,
            folder,
            written: 0,
        })
    }

    /// A call in this world, which asks nothing yet.
    pub(crate) fn invocation(&self, tool: &str, context: CallContext) -> ToolInvocation {
        ToolInvocation {
            grants: self.grants.clone(),
            progress: self.reports.clone(),
            services: self.services.clone(),
            ..ToolInvocation::new(tool, Value::Null, context)
        }
    }

    /// Sets what is wrong during a step.
    pub(crate) fn suffer(&self, case: &Case, faults: &[CaseFault]) {
        let has = |fault| case.fault.contains(&fault) || faults.contains(&fault);
        let left = case.disk_bytes.map_or(u64::MAX, |bytes| bytes.saturating_sub(self.written));
        let is_full = has(CaseFault::DiskFull);
        self.time.set_disk(if is_full { 0 } else { left });
        self.keyvalue.suffer(is_full || left == 0, has(CaseFault::KeyvalueDown));
    }

    /// Uses that nobody had granted so far.
    pub(crate) fn denied(&self) -> Vec<String> {
        self.book.denied()
    }

    /// A step has written so much to files.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
    }

    /// What the fakes found wrong since the last time.
    pub(crate) fn take_failures(&self) -> Vec<Failure> {
        let mut failures = self.net.script().take_failures();
        failures.extend(self.failures.take());
        failures
    }

    /// What is not as it should be in the end.
    pub(crate) fn finish(&self, case: &Case) -> Vec<Failure> {
        let script = self.net.script();
        let mut failures = script.unused();
        failures.extend(script.tape().filter(|tape| !tape.records()).map(Tape::unused).unwrap_or_default());
        failures.extend(self.endpoints.unused());
        failures.extend(self.programs.unused());
        failures.extend(self.approvals.unused());
        failures.extend(self.keyvalue.differences(&case.expect.keyvalue));
        let guests = self.folder.path().join("folders");
        for (guest, wanted) in &case.expect.files {
            failures.extend(files::differences(&guests, guest, wanted));
        }
        let denied = self.denied();
        if let Some(wanted) = case.expect.denials
            && wanted != denied.len() as u64
        {
            let got = format!("{}: {}", denied.len(), denied.join(", "));
            failures.push(Failure::new("the denials differ").with(wanted.to_string(), got));
        }
        let frames = self.sockets.frames();
        if let Some(wanted) = case.expect.frames.as_ref().filter(|wanted| **wanted != frames) {
            failures
                .push(Failure::new("the frames differ").with(format!("{wanted:?}"), format!("{frames:?}")));
        }
        let elapsed = self.time.elapsed();
        if let Some(wanted) = case.expect.elapsed
            && wanted.0.as_millis() != elapsed.as_millis()
        {
            let shown = |span: std::time::Duration| format!("{} ms", span.as_millis());
            failures
                .push(Failure::new("the time that went by differs").with(shown(wanted.0), shown(elapsed)));
        }
        failures
    }

    /// Writes the cassette of a case that was recorded; says whether there was one.
    pub(crate) fn keep(&self, case: &Case, stories: &Path) -> Result<bool, KitError> {
        match self.net.script().tape() {
            Some(tape) if tape.records() => {
                tape.write(&cassette::path(stories, &case.name), &case.name)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// The values of secrets: real ones when they are recorded, stand-ins else.
fn values(case: &Case, recording: Option<&Recording>) -> Result<Vec<(String, String)>, KitError> {
    let value = |(name, secret): (&String, &crate::story::SecretText)| {
        let value = match (&secret.env, recording) {
            (Some(env), Some(_)) => std::env::var(env).map_err(|_| {
                KitError::kit(format!("the secret `{name}` is recorded with, and {env} is not set"))
            })?,
            _ => secret.value.clone(),
        };
        Ok((name.clone(), value))
    };
    case.secrets.iter().map(value).collect()
}

fn tape(
    case: &Case,
    recording: Option<&Recording>,
    grants: &Grants,
    stories: &Path,
) -> Result<Option<Tape>, KitError> {
    if !case.record {
        return Ok(None);
    }
    let Some(recording) = recording else {
        return Tape::play(&cassette::path(stories, &case.name), &case.ignore).map(Some);
    };
    let mut policy = OutboundPolicy::nothing();
    for scope in grants.http_scopes() {
        policy = policy.allow(read(&scope)?);
    }
    Ok(Some(Tape::record(Upstream { broker: recording.broker.clone(), policy: Arc::new(policy) })))
}

fn read(scope: &Value) -> Result<Scope, KitError> {
    Scope::read(scope, Asker::Operator).map_err(|error| KitError::kit(format!("a grant of http: {error}")))
}
