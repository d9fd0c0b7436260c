//! One request of a poll, and what comes of it.

use std::time::Duration;

use berth_broker::{BrokerError, Caller};
use berth_model::PluginId;
use berth_model::channel::PollState;
use http_body_util::BodyExt as _;
use sha2::{Digest, Sha256};

use super::super::happening::PollAnswer;
use super::answer::{self, Meaning};
use super::wish::Poll;
use crate::call::errand::Errand;

/// The longest answer, in bytes.
const ANSWER_BYTES: u64 = 1 << 20;
/// How long the body of an answer may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// An answer.
pub(crate) struct Asked {
    pub answer: PollAnswer,
    pub meaning: Meaning,
}

/// Why there is none.
pub(crate) enum NotAsked {
    /// The request cannot be made with this cursor.
    Wrong(String),
    Broker(BrokerError),
}

impl Poll {
    /// What counts of what is stored: another request has other answers, while the cursor is that of the name.
    pub(crate) fn known(&self, stored: Option<PollState>) -> PollState {
        let known = stored.unwrap_or_default();
        if known.request == self.fingerprint() {
            return known;
        }
        PollState { cursor: known.cursor, told: known.told, ..PollState::default() }
    }

    /// The cursor to ask with; `position` is what the channel has acknowledged last, empty when it has not.
    pub(crate) fn cursor(&self, known: &PollState, position: &str) -> String {
        let cursor = match self.next {
            Some(_) => known.cursor.clone(),
            None => Some(position.to_owned()).filter(|position| !position.is_empty()),
        };
        cursor.unwrap_or_else(|| self.first.clone())
    }

    /// Asks once, in the name of `errand`, which has [`Poll::within`] for it.
    pub(crate) async fn ask(
        &self,
        before: &PollState,
        cursor: String,
        errand: Errand,
    ) -> Result<Asked, NotAsked> {
        let request = self.request(&cursor, &before.etag, &before.modified).map_err(NotAsked::Wrong)?;
        let (broker, mut caller): (_, Caller) = errand.caller();
        caller.bounds.timeouts.first_byte = caller.bounds.timeouts.first_byte.min(self.first_byte());
        caller.limits.max_response_bytes = caller.limits.max_response_bytes.min(ANSWER_BYTES);
        let (head, body) = broker.send(&caller, request).await.map_err(NotAsked::Broker)?.into_parts();
        let body = body.collect().await.map_err(NotAsked::Broker)?.to_bytes();
        let answer = PollAnswer {
            name: self.name.clone(),
            status: head.status.as_u16(),
            headers: answer::wanted(self, &head.headers),
            body: body.to_vec(),
            cursor,
        };
        let meaning = answer::read(self, before, head.status, &head.headers, &body);
        Ok(Asked { answer, meaning })
    }

    /// How long a request and its answer may take in all.
    pub(crate) fn within(&self) -> Duration {
        self.first_byte() + BODY_WITHIN + BODY_WITHIN
    }

    fn first_byte(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}

/// The same when the same answer, the `number`th that is told, comes again because the host broke off in between.
pub(crate) fn event_id(plugin: &PluginId, answer: &PollAnswer, number: u64) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{number}\n{}\n{}\n", answer.status, answer.cursor));
    digest.update(&answer.body);
    let digest = hex::encode(digest.finalize());
    let short: String = digest.chars().take(24).collect();
    format!("poll.{plugin}.{}.{short}", answer.name)
}
