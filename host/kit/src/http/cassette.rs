//! Cassettes: what real servers answered once, byte for byte, to be played again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_broker::{Broker, OutboundPolicy, Target};
use serde::{Deserialize, Serialize};

use super::script::Turn;
use super::wire::Asked;
use crate::error::KitError;
use crate::fake::lock;
use crate::matching::{cut, shown_bytes};
use crate::report::Failure;

/// The folder of cassettes beside the stories.
pub const FOLDER: &str = "cassettes";
/// The version of the file.
const VERSION: u32 = 1;

/// What a case has recorded or plays. Cheap to clone.
#[derive(Clone)]
pub struct Tape(Arc<Inner>);

struct Inner {
    mode: Mode,
    /// Whether each was played.
    exchanges: Mutex<Vec<(Recorded, bool)>>,
    ignored: Vec<String>,
}

enum Mode {
    Play,
    Record(Upstream),
}

/// How real servers are reached: by the broker of a host, where the grants of the case let it.
#[derive(Clone)]
pub struct Upstream {
    pub broker: Broker,
    pub policy: Arc<OutboundPolicy>,
}

/// A request without its secrets, and the bytes of its answer as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    pub request: Request,
    /// Head and body, in the pieces in which they came.
    pub answer: Vec<Bytes>,
}

/// A request as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Bytes that stand in a file as text where they are such.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    Text(String),
    Base64(String),
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    fn read(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).ok(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    berth_cassette: u32,
    case: String,
    exchanges: Vec<Recorded>,
}

/// The file of a case's cassette.
pub fn path(folder: &Path, case: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = case.chars().map(plain).collect();
    let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).collect();
    folder.join(crate::story::FOLDER).join(FOLDER).join(format!("{}.json", words.join("-")))
}

impl Tape {
    /// An empty one.
    pub fn record(upstream: Upstream) -> Self {
        Self::new(Mode::Record(upstream), Vec::new(), Vec::new())
    }

    /// The one in `file`, whose requests are compared but for what is `ignored`.
    pub fn play(file: &Path, ignored: &[String]) -> Result<Self, KitError> {
        let bad = |message: String| KitError::Story { file: file.to_owned(), line: None, message };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(bad("there is no cassette: record one with `berth plugin test --record`".into()));
            }
            Err(source) => return Err(KitError::Io { path: file.to_owned(), source }),
        };
        let read: File =
            serde_json::from_str(&text).map_err(|error| bad(format!("it is no cassette: {error}")))?;
        if read.berth_cassette != VERSION {
            return Err(bad(format!("it is of version {}, this kit reads {VERSION}", read.berth_cassette)));
        }
        Ok(Self::new(Mode::Play, read.exchanges, ignored.to_vec()))
    }

    fn new(mode: Mode, exchanges: Vec<Recorded>, ignored: Vec<String>) -> Self {
        let exchanges = exchanges.into_iter().map(|recorded| (recorded, false)).collect();
        Self(Arc::new(Inner { mode, exchanges: Mutex::new(exchanges), ignored }))
    }

    pub(super) fn upstream(&self) -> Option<&Upstream> {
        match &self.0.mode {
            Mode::Play => None,
            Mode::Record(upstream) => Some(upstream),
        }
    }

    /// Whether it records.
    pub fn records(&self) -> bool {
        self.upstream().is_some()
    }

    /// What is done with a request that has no secret any more.
    pub(super) fn turn(&self, asked: &Asked) -> Result<Turn, Failure> {
        if self.records() {
            return Ok(Turn::Record);
        }
        let request = Request::of(asked);
        let mut exchanges = lock(&self.0.exchanges);
        let open = || exchanges.iter().position(|(_, was_played)| !was_played);
        let fitting = exchanges.iter().position(|(recorded, was_played)| {
            !was_played && differs(&recorded.request, &request, &self.0.ignored).is_none()
        });
        let failure = Failure::new(format!("{} {} is not what was recorded", asked.method, cut(&asked.url)))
            .hint(
                "record the case again with `berth plugin test --record`, or name what differs in `ignore`",
            );
        let Some(at) = fitting else {
            return Err(match open().and_then(|at| exchanges.get(at)) {
                Some((recorded, _)) => {
                    let diff = differs(&recorded.request, &request, &self.0.ignored).unwrap_or_default();
                    failure.with(diff.0, diff.1)
                }
                None => failure.with("no further request", "one more"),
            });
        };
        let Some((recorded, was_played)) = exchanges.get_mut(at) else { return Err(failure) };
        *was_played = true;
        let pieces: Option<Vec<Vec<u8>>> = recorded.answer.iter().map(Bytes::read).collect();
        pieces.map(Turn::Play).ok_or_else(|| Failure::new("the cassette has base64 that is none"))
    }

    /// Keeps an exchange.
    pub(super) fn keep(&self, asked: &Asked, answer: &[Vec<u8>]) {
        let answer = answer.iter().map(|piece| Bytes::of(piece)).collect();
        lock(&self.0.exchanges).push((Recorded { request: Request::of(asked), answer }, true));
    }

    /// What was recorded and not asked for.
    pub fn unused(&self) -> Vec<Failure> {
        let exchanges = lock(&self.0.exchanges);
        let unused = exchanges.iter().filter(|(_, was_played)| !was_played);
        unused
            .map(|(recorded, _)| {
                let request = &recorded.request;
                Failure::new(format!("{} {} was recorded, and not asked for", request.method, request.url))
                    .hint("record the case again with `berth plugin test --record`")
            })
            .collect()
    }

    /// Writes what was recorded.
    pub fn write(&self, file: &Path, case: &str) -> Result<(), KitError> {
        let io = |source| KitError::Io { path: file.to_owned(), source };
        let exchanges = lock(&self.0.exchanges).iter().map(|(recorded, _)| recorded.clone()).collect();
        let text = File { berth_cassette: VERSION, case: case.to_owned(), exchanges };
        let text = serde_json::to_string_pretty(&text).map_err(KitError::kit)?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        std::fs::write(file, text + "\n").map_err(io)
    }
}

impl Request {
    fn of(asked: &Asked) -> Self {
        Self {
            method: asked.method.clone(),
            url: asked.url.clone(),
            headers: asked.headers.clone(),
            body: Bytes::of(&asked.body),
        }
    }
}

/// The first thing that differs: as it was recorded, and as it is.
fn differs(recorded: &Request, asked: &Request, ignored: &[String]) -> Option<(String, String)> {
    let pair = |a: String, b: String| Some((a, b));
    if recorded.method != asked.method {
        return pair(recorded.method.clone(), asked.method.clone());
    }
    let url = |request: &Request| without_queries(&request.url, ignored);
    if url(recorded) != url(asked) {
        return pair(recorded.url.clone(), asked.url.clone());
    }
    let is_ignored = |name: &str| ignored.iter().any(|word| word.strip_prefix("header:") == Some(name));
    let headers = |request: &Request| -> Vec<(String, String)> {
        request.headers.iter().filter(|(name, _)| !is_ignored(name)).cloned().collect()
    };
    let (old, new) = (headers(recorded), headers(asked));
    let line = |pair: &(String, String)| format!("{}: {}", pair.0, pair.1);
    if let Some(gone) = old.iter().find(|pair| !new.contains(pair)) {
        let now = new.iter().find(|(name, _)| *name == gone.0);
        return pair(line(gone), now.map_or_else(|| format!("no {}", gone.0), line));
    }
    if let Some(more) = new.iter().find(|pair| !old.contains(pair)) {
        return pair(format!("no {}", more.0), line(more));
    }
    if recorded.body != asked.body && !ignored.iter().any(|word| word == "body") {
        let shown = |bytes: &Bytes| shown_bytes(&bytes.read().unwrap_or_default());
        return pair(shown(&recorded.body), shown(&asked.body));
    }
    None
}

/// The address without the parameters that are not compared.
fn without_queries(url: &str, ignored: &[String]) -> String {
    let Ok(target) = Target::parse(url) else { return url.to_owned() };
    let is_kept = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        !ignored.iter().any(|word| word.strip_prefix("query:") == Some(name))
    };
    let query: Vec<&str> = target.query().unwrap_or_default().split('&').filter(is_kept).collect();
    format!("{}{}?{}", target.origin(), target.path(), query.join("&"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request(url: &str, headers: &[(&str, &str)], body: &str) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Request {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: headers.collect(),
            body: Bytes::Text(body.to_owned()),
        }
    }

    #[test]
    fn the_first_thing_that_differs_is_told_and_what_is_ignored_is_not() {
        let old = request("https://a.example/x?q=1&sig=7", &[("x-a", "1"), ("x-time", "5")], "{}");
        let ignored = ["query:sig".to_owned(), "header:x-time".to_owned()];
        let told =
            |new: Request| differs(&old, &new, &ignored).map(|pair| format!("{} -> {}", pair.0, pair.1));

        let same = request("https://a.example/x?q=1&sig=8", &[("x-time", "6"), ("x-a", "1")], "{}");
        assert_eq!(told(same), None);
        let header = request("https://a.example/x?q=1", &[("x-a", "2")], "{}");
        assert_eq!(told(header).unwrap(), "x-a: 1 -> x-a: 2");
        let gone = request("https://a.example/x?q=1", &[], "{}");
        assert_eq!(told(gone).unwrap(), "x-a: 1 -> no x-a");
        let body = request("https://a.example/x?q=1", &[("x-a", "1")], "[]");
        assert_eq!(told(body).unwrap(), "\"{}\" -> \"[]\"");
        let url = request("https://a.example/x?q=2", &[("x-a", "1")], "{}");
        assert!(told(url).unwrap().ends_with("/x?q=2"));
    }

    #[test]
    fn a_case_has_a_file_of_its_own() {
        let file = path(Path::new("p"), "An issue, found: 2×");
        assert_eq!(file, Path::new("p/tests/cassettes/an-issue-found-2.json"));
    }
}
