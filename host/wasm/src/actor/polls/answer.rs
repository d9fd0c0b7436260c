//! What an answer to a poll means. Pure.

use std::time::Duration;

use berth_model::channel::PollState;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::wish::{Poll, is_cursor};

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing is new.
    Quiet(PollState),
    /// The channel is to be told; then this is how far it has come.
    News(PollState),
    /// The server does not take the request.
    Refused,
    /// The server could not answer, with the wait that it asks for.
    Failed { error: String, wait: Option<Duration> },
}

/// Reads an answer to `poll`, which was asked when `before` was known.
pub(super) fn read(
    poll: &Poll,
    before: &PollState,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Meaning {
    let failed = |error: &str| Meaning::Failed { error: error.to_owned(), wait: None };
    match status.as_u16() {
        200..=299 => {}
        304 => return Meaning::Quiet(before.clone()),
        408 | 425 | 429 | 500..=599 => {
            let error = format!("the server answered with the status {}", status.as_u16());
            return Meaning::Failed { error, wait: asked_wait(headers) };
        }
        400..=499 => return Meaning::Refused,
        other => return failed(&format!("the server answered with the status {other}")),
    }
    let value = |name: HeaderName| -> String {
        let text = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if text.len() <= 256 { text.to_owned() } else { String::new() }
    };
    let mut after = PollState {
        request: poll.fingerprint(),
        cursor: before.cursor.clone(),
        etag: value(header::ETAG),
        modified: value(header::LAST_MODIFIED),
        seen: String::new(),
        told: before.told,
    };
    let (mut about, mut is_empty) = (body.to_vec(), body.is_empty());
    if poll.items.is_some() || poll.next.is_some() {
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return failed("its answer is no JSON");
        };
        if let Some(next) = poll.next.as_ref().and_then(|pointer| answer.pointer(pointer)) {
            match cursor(next) {
                Some(next) => after.cursor = next.or(after.cursor),
                None => return failed("the next cursor is no short text or number"),
            }
        }
        if let Some(pointer) = &poll.items {
            let items = answer.pointer(pointer).unwrap_or(&Value::Null);
            is_empty = nothing(items);
            about = items.to_string().into_bytes();
        }
    }
    after.seen = hex::encode(Sha256::digest(&about));
    if is_empty || (poll.only_changes && after.seen == before.seen) {
        return Meaning::Quiet(after);
    }
    after.told += 1;
    Meaning::News(after)
}

/// The wanted headers of an answer.
pub(super) fn wanted(poll: &Poll, headers: &HeaderMap) -> Vec<(String, String)> {
    let known =
        headers.iter().filter(|(name, _)| poll.answer_headers.iter().any(|wanted| name.as_str() == wanted));
    known
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// The text of a cursor; the inner one is `None` for null, which leaves the cursor as it is.
fn cursor(next: &Value) -> Option<Option<String>> {
    let text = match next {
        Value::Null => return Some(None),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    is_cursor(&text).then_some(Some(text))
}

fn nothing(items: &Value) -> bool {
    match items {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// `Retry-After` in seconds.
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(text.trim().parse().ok()?).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::super::wish::plain;
    use super::*;
    use crate::wit::v0_1::channel::PollWish;

    fn poll(only_changes: bool, items: Option<&str>, next: Option<&str>) -> Poll {
        let text = |pointer: Option<&str>| pointer.map(str::to_owned);
        let wish = PollWish {
            only_changes,
            items: text(items),
            next: text(next),
            ..plain("https://chat.example/updates")
        };
        Poll::of(wish).unwrap()
    }

    fn answered(poll: &Poll, before: &PollState, status: u16, body: &str) -> Meaning {
        let status = StatusCode::from_u16(status).unwrap();
        read(poll, before, status, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn an_answer_is_news_where_it_is_about_something_and_moves_the_cursor_in_any_case() {
        let poll = poll(false, Some("/result"), Some("/next"));
        let before = PollState { cursor: Some("4".to_owned()), ..PollState::default() };
        let moved = |body: &str| match answered(&poll, &before, 200, body) {
            Meaning::News(after) => (true, after.cursor.unwrap()),
            Meaning::Quiet(after) => (false, after.cursor.unwrap()),
            other => panic!("{other:?}"),
        };

        assert_eq!(moved(r#"{"result":[1],"next":5}"#), (true, "5".to_owned()));
        assert_eq!(moved(r#"{"result":[],"next":"6"}"#), (false, "6".to_owned()));
        assert_eq!(moved(r#"{"next":null}"#), (false, "4".to_owned()));
        for wrong in [r#"{"next":{}}"#, r#"{"next":"{{secret:token}}"}"#, "<html>", ""] {
            assert!(matches!(answered(&poll, &before, 200, wrong), Meaning::Failed { .. }), "{wrong}");
        }
    }

    #[test]
    fn where_changes_count_the_same_answer_twice_is_no_news() {
        let poll = poll(true, None, None);
        let mut known = PollState::default();
        let mut told = Vec::new();
        for body in ["a", "a", "b", "", "b"] {
            known = match answered(&poll, &known, 200, body) {
                Meaning::News(after) => {
                    told.push(body);
                    after
                }
                Meaning::Quiet(after) => after,
                other => panic!("{other:?}"),
            };
        }
        assert_eq!((told, known.told), (vec!["a", "b", "b"], 3));
        assert_eq!(answered(&poll, &known, 304, ""), Meaning::Quiet(known.clone()));
    }

    #[test]
    fn a_status_says_whether_to_come_back_and_when() {
        let poll = poll(false, None, None);
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        let meaning = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            read(&poll, &PollState::default(), status, &headers, b"x")
        };
        for status in [408, 429, 500, 503] {
            let waits =
                matches!(meaning(status), Meaning::Failed { wait: Some(wait), .. } if wait.as_secs() == 7);
            assert!(waits, "{status}");
        }
        for status in [400, 401, 404, 409] {
            assert_eq!(meaning(status), Meaning::Refused, "{status}");
        }
        assert!(matches!(meaning(302), Meaning::Failed { wait: None, .. }));
    }
}
