//! What the servers of a case expect, what came, and what they answer.

use std::sync::{Arc, Mutex};

use berth_broker::Target;

use super::cassette::Tape;
use super::wire::Asked;
use crate::fake::lock;
use crate::fake::secrets::Scrub;
use crate::matching::{self, cut, shown_bytes};
use crate::report::Failure;
use crate::story::{HttpFault, HttpFile};

/// The exchanges of a case. Cheap to clone.
#[derive(Clone)]
pub struct Script(Arc<Inner>);

struct Inner {
    exchanges: Mutex<Vec<Exchange>>,
    tape: Option<Tape>,
    scrub: Scrub,
    failures: Mutex<Vec<Failure>>,
    /// Takes the grants of requests back.
    revoke: Box<dyn Fn() + Send + Sync>,
}

struct Exchange {
    file: HttpFile,
    used: u32,
    refused: u32,
}

/// What a server does with a request.
#[derive(Debug)]
pub enum Turn {
    /// Answers as the story says.
    Answer(Box<HttpFile>),
    /// Answers 429, with the time after which it may be asked again.
    Refuse,
    /// Plays what was recorded.
    Play(Vec<Vec<u8>>),
    /// Asks the real server, and records.
    Record,
    /// Knows nothing of it.
    Unknown,
}

impl Script {
    pub fn new(
        exchanges: Vec<HttpFile>,
        tape: Option<Tape>,
        scrub: Scrub,
        revoke: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let exchanges = exchanges.into_iter().map(|file| Exchange { file, used: 0, refused: 0 }).collect();
        Self(Arc::new(Inner {
            exchanges: Mutex::new(exchanges),
            tape,
            scrub,
            failures: Mutex::default(),
            revoke: Box::new(revoke),
        }))
    }

    /// Whether the next exchange with a server fails before a request is read. Uses it up.
    pub fn fails_before(&self, host: &str, port: Option<u16>, fault: HttpFault) -> bool {
        let mut exchanges = lock(&self.0.exchanges);
        let is_meant = |exchange: &&mut Exchange| {
            let Ok(target) = Target::parse(&exchange.file.url) else { return false };
            let origin = target.origin();
            exchange.used < exchange.file.times
                && origin.host.to_string() == host
                && port.is_none_or(|port| origin.port == port)
        };
        match exchanges.iter_mut().find(is_meant) {
            Some(exchange) if exchange.file.fault == Some(fault) => {
                exchange.used += 1;
                true
            }
            _ => false,
        }
    }

    /// What is done with a request. One that nobody expects is a failure of the case.
    pub fn turn(&self, asked: &Asked) -> Turn {
        let asked = self.0.scrub.request(asked);
        let mut exchanges = lock(&self.0.exchanges);
        let fits = |exchange: &&mut Exchange| {
            exchange.used < exchange.file.times && differs(&exchange.file, &asked).is_none()
        };
        if let Some(exchange) = exchanges.iter_mut().find(fits) {
            if exchange.file.fault == Some(HttpFault::Burst)
                && exchange.refused < exchange.file.refusals.unwrap_or(2)
            {
                exchange.refused += 1;
                return Turn::Refuse;
            }
            exchange.used += 1;
            return Turn::Answer(Box::new(exchange.file.clone()));
        }
        if let Some(tape) = &self.0.tape {
            return match tape.turn(&asked) {
                Ok(turn) => turn,
                Err(failure) => {
                    lock(&self.0.failures).push(failure);
                    Turn::Unknown
                }
            };
        }
        lock(&self.0.failures).push(unscripted(&asked, &exchanges));
        Turn::Unknown
    }

    /// Takes the grants of requests back.
    pub fn revoke(&self) {
        (self.0.revoke)();
    }

    /// Adds what went wrong at a server.
    pub fn fail(&self, failure: Failure) {
        lock(&self.0.failures).push(failure);
    }

    pub fn tape(&self) -> Option<&Tape> {
        self.0.tape.as_ref()
    }

    pub fn scrub(&self) -> &Scrub {
        &self.0.scrub
    }

    /// What went wrong so far; asked again, what went wrong since.
    pub fn take_failures(&self) -> Vec<Failure> {
        std::mem::take(&mut *lock(&self.0.failures))
    }

    /// Exchanges that did not come as often as they should.
    pub fn unused(&self) -> Vec<Failure> {
        let exchanges = lock(&self.0.exchanges);
        let unused = exchanges.iter().filter(|exchange| {
            !exchange.file.optional && exchange.used < exchange.file.times && !exchange.is_worn()
        });
        unused
            .map(|exchange| {
                let file = &exchange.file;
                Failure::new(format!("{} {} was not asked for", file.method, file.url))
                    .with(format!("{} times", file.times), format!("{} times", exchange.used))
                    .hint("take the [[case.http]] out, or say `optional = true`")
            })
            .collect()
    }
}

impl Exchange {
    /// Whether the guest was refused, and gave up before it was answered.
    fn is_worn(&self) -> bool {
        self.file.fault == Some(HttpFault::Burst) && self.refused > 0
    }
}

/// How a request differs from an expected one; `None` when it fits.
fn differs(file: &HttpFile, asked: &Asked) -> Option<String> {
    if file.method != asked.method {
        return Some(format!("the method is {}, not {}", asked.method, file.method));
    }
    if !same_url(&file.url, &asked.url) {
        return Some(format!("the address is {}, not {}", asked.url, file.url));
    }
    for (name, wanted) in &file.headers {
        let got = asked.header(&name.to_ascii_lowercase());
        if got != Some(wanted.as_str()) {
            return Some(format!(
                "the header {name} is {}, not {wanted:?}",
                got.map_or_else(|| "not there".to_owned(), |got| format!("{got:?}"))
            ));
        }
    }
    if let Some(wanted) = &file.body
        && wanted.0 != asked.body
    {
        return Some(format!("the body is {}, not {}", shown_bytes(&asked.body), shown_bytes(&wanted.0)));
    }
    if let Some(wanted) = file.body_wanted() {
        let Ok(got) = serde_json::from_slice(&asked.body) else {
            return Some(format!("the body is no JSON: {}", shown_bytes(&asked.body)));
        };
        if let Some(at) = matching::missing(&wanted, &got) {
            return Some(format!("the body has at {}: {}, not {}", at.pointer, at.got, at.wanted));
        }
    }
    None
}

/// Whether two addresses are the same to a server, however they are written.
fn same_url(a: &str, b: &str) -> bool {
    let plain = |url: &str| percent_encoding::percent_decode_str(url).decode_utf8_lossy().into_owned();
    let normal = |url: &str| {
        Target::parse(url).map_or_else(
            |_| plain(url),
            |target| plain(&format!("{}{}", target.origin(), target.path_and_query())),
        )
    };
    a == b || normal(a) == normal(b)
}

fn unscripted(asked: &Asked, exchanges: &[Exchange]) -> Failure {
    let near = exchanges
        .iter()
        .find(|exchange| exchange.file.method == asked.method && same_url(&exchange.file.url, &asked.url));
    let failure = Failure::new(format!("nobody expects {} {}", asked.method, cut(&asked.url)));
    match near {
        Some(exchange) if exchange.used >= exchange.file.times => {
            let times = exchange.file.times;
            failure
                .with(format!("{times} times"), format!("{} times", times + 1))
                .hint("say how often it comes with `times`")
        }
        Some(exchange) => {
            let how = differs(&exchange.file, asked).unwrap_or_default();
            failure.with(format!("{} {}", exchange.file.method, exchange.file.url), how)
        }
        None => failure.hint(paste(asked)),
    }
}

/// Lines for the story.
fn paste(asked: &Asked) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut lines = vec![
        "expect it:".to_owned(),
        "[[case.http]]".to_owned(),
        format!("method = {}", quoted(&asked.method)),
        format!("url = {}", quoted(&asked.url)),
    ];
    match std::str::from_utf8(&asked.body) {
        Ok("") | Err(_) => {}
        Ok(body) => lines.push(format!("body = {}", quoted(body))),
    }
    lines.push("status = 200".to_owned());
    lines.push("answer = \"\"".to_owned());
    lines.join("\n")
}
