//! What a channel wishes to be asked again and again, and the request that comes of it. Pure.

use berth_broker::{RequestBody, Target, is_forbidden_header, no_body, whole_body};
use http::{HeaderName, HeaderValue, Method, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::happening::base64_bytes;
use super::super::wishes::{BadWish, hidden};
use crate::wit::v0_1::channel as wit;

/// Stands for the cursor in address, headers and body.
const CURSOR: &str = "{{cursor}}";
/// The longest cursor, in bytes.
pub const CURSOR_BYTES: usize = 16 << 10;
/// Address, headers and body of a request together, in bytes.
const REQUEST_BYTES: usize = 64 << 10;
/// Headers of a request, and headers of an answer that are wanted.
const MAX_HEADERS: usize = 32;
/// The longest JSON pointer, in bytes.
const POINTER_BYTES: usize = 256;
/// The longest that a server may take to begin its answer, in milliseconds.
const LONGEST_WAIT_MS: u32 = 60_000;

/// A request to make again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    pub name: String,
    /// `GET`, `POST`.
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    #[serde(with = "base64_bytes")]
    pub body: Vec<u8>,
    pub every_ms: u64,
    pub timeout_ms: u32,
    pub only_changes: bool,
    pub items: Option<String>,
    pub next: Option<String>,
    pub first: String,
    /// In lower case.
    pub answer_headers: Vec<String>,
}

impl Poll {
    pub fn of(wish: wit::PollWish) -> Result<Self, BadWish> {
        let name = wish.name.clone();
        let bad = |message: &str| Err(BadWish::new(format!("the poll `{name}` {message}")));
        if !matches!(wish.method.as_str(), "GET" | "POST") {
            return bad("wants another method than GET and POST");
        }
        let words: usize = wish.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if wish.url.len() + wish.body.len() + words > REQUEST_BYTES {
            return bad(&format!("is larger than {REQUEST_BYTES} bytes"));
        }
        if wish.headers.len().max(wish.answer_headers.len()) > MAX_HEADERS {
            return bad(&format!("has more than {MAX_HEADERS} headers"));
        }
        for pointer in [&wish.items, &wish.next].into_iter().flatten() {
            if pointer.len() > POINTER_BYTES || !(pointer.is_empty() || pointer.starts_with('/')) {
                return bad(&format!("has `{}`, which is no JSON pointer", pointer.escape_debug()));
            }
        }
        if !is_cursor(&wish.first) {
            return bad("begins with a cursor that is too long, or holds `{{`");
        }
        let answer_headers: Vec<String> =
            wish.answer_headers.iter().map(|header| header.to_ascii_lowercase()).collect();
        if let Some(header) = hidden(&answer_headers) {
            return bad(&format!("wants the header `{header}`, which no channel sees"));
        }
        let poll = Self {
            name: wish.name,
            method: wish.method,
            url: wish.url,
            headers: wish.headers,
            body: wish.body,
            every_ms: wish.every_ms,
            timeout_ms: match wish.timeout_ms {
                0 => LONGEST_WAIT_MS,
                ms => ms.min(LONGEST_WAIT_MS),
            },
            only_changes: wish.only_changes,
            items: wish.items,
            next: wish.next,
            first: wish.first,
            answer_headers,
        };
        match poll.request("0", "", "") {
            Ok(_) => Ok(poll),
            Err(message) => bad(&message),
        }
    }

    /// Stands for the request: what is known of its answers counts for it alone.
    pub fn fingerprint(&self) -> String {
        let parts = (&self.method, &self.url, &self.headers, &self.body);
        hex::encode(Sha256::digest(serde_json::to_vec(&parts).unwrap_or_default()))
    }

    /// The request with this cursor. With what the server called its last answer it may say that nothing is new.
    pub fn request(
        &self,
        cursor: &str,
        etag: &str,
        modified: &str,
    ) -> Result<http::Request<RequestBody>, String> {
        let encoded = utf8_percent_encode(cursor, NON_ALPHANUMERIC).to_string();
        let url = self.url.replace(CURSOR, &encoded);
        Target::parse(&url).map_err(|error| format!("has a wrong address: {error}"))?;
        let mut request = http::Request::new(no_body());
        *request.method_mut() = if self.method == "POST" { Method::POST } else { Method::GET };
        *request.uri_mut() = url.parse().map_err(|_| "has a wrong address".to_owned())?;
        for (name, value) in &self.headers {
            let wrong = || format!("has a wrong header `{}`", name.escape_debug());
            let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            if is_forbidden_header(&known) || known == header::HOST || known == header::CONTENT_LENGTH {
                return Err(format!("has the header `{known}`, which only the host sets"));
            }
            let value = HeaderValue::from_str(&value.replace(CURSOR, cursor)).map_err(|_| wrong())?;
            request.headers_mut().append(known, value);
        }
        for (name, known) in [(header::IF_NONE_MATCH, etag), (header::IF_MODIFIED_SINCE, modified)] {
            if !known.is_empty()
                && self.only_changes
                && !request.headers().contains_key(&name)
                && let Ok(known) = HeaderValue::from_str(known)
            {
                request.headers_mut().insert(name, known);
            }
        }
        let body = self.filled_body(request.headers(), cursor, &encoded);
        *request.body_mut() = if body.is_empty() { no_body() } else { whole_body(body) };
        Ok(request)
    }

    fn filled_body(&self, headers: &http::HeaderMap, cursor: &str, encoded: &str) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(&self.body) else { return self.body.clone() };
        if !text.contains(CURSOR) {
            return self.body.clone();
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let filled = match kind.as_str() {
            "application/x-www-form-urlencoded" => text.replace(CURSOR, encoded),
            kind if kind == "application/json" || kind.ends_with("+json") => {
                let quoted = serde_json::Value::from(cursor).to_string();
                // Without the quotes around it: the wish has them, or wants a number.
                text.replace(CURSOR, quoted.get(1..quoted.len() - 1).unwrap_or_default())
            }
            _ => text.replace(CURSOR, cursor),
        };
        filled.into_bytes()
    }
}

/// Whether a text may stand where a request has its cursor: it must not name a secret there.
pub(super) fn is_cursor(text: &str) -> bool {
    text.len() <= CURSOR_BYTES && !text.contains("{{")
}

#[cfg(test)]
pub(super) fn plain(url: &str) -> wit::PollWish {
    wit::PollWish {
        name: "updates".to_owned(),
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        every_ms: 0,
        timeout_ms: 0,
        only_changes: false,
        items: None,
        next: None,
        first: String::new(),
        answer_headers: Vec::new(),
        meta: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_poll_that_cannot_be_made_says_why() {
        let url = "https://chat.example/updates";
        let wish = || plain(url);
        for (wish, word) in [
            (wit::PollWish { method: "PUT".to_owned(), ..wish() }, "GET and POST"),
            (plain("file:///etc/passwd"), "wrong address"),
            (plain("updates"), "wrong address"),
            (wit::PollWish { body: vec![b'x'; REQUEST_BYTES], ..wish() }, "larger than"),
            (wit::PollWish { headers: vec![pair("connection", "close")], ..wish() }, "only the host"),
            (wit::PollWish { headers: vec![pair("a b", "c")], ..wish() }, "wrong header"),
            (wit::PollWish { headers: vec![pair("a", "b\r\nc")], ..wish() }, "wrong header"),
            (wit::PollWish { items: Some("result".to_owned()), ..wish() }, "no JSON pointer"),
            (wit::PollWish { first: "{{secret:token}}".to_owned(), ..wish() }, "cursor"),
            (wit::PollWish { answer_headers: vec!["Set-Cookie".to_owned()], ..wish() }, "set-cookie"),
        ] {
            let refused = Poll::of(wish).unwrap_err().to_string();
            assert!(refused.contains(word) && refused.contains("`updates`"), "{refused}");
        }
        assert_eq!(Poll::of(wish()).unwrap().timeout_ms, LONGEST_WAIT_MS);
    }

    #[tokio::test]
    async fn the_cursor_stands_where_the_request_names_it_and_makes_nothing_else_of_it() {
        let wish = wit::PollWish {
            method: "POST".to_owned(),
            headers: vec![pair("x-from", CURSOR), pair("content-type", "application/json")],
            body: br#"{"buf":"{{cursor}}"}"#.to_vec(),
            ..plain("https://chat.example/updates?from={{cursor}}")
        };
        let poll = Poll::of(wish).unwrap();

        let request = poll.request("a\"b&c=d", "", "").unwrap();

        assert_eq!(request.uri(), "https://chat.example/updates?from=a%22b%26c%3Dd");
        assert_eq!(request.headers()["x-from"], "a\"b&c=d");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, br#"{"buf":"a\"b&c=d"}"#.as_slice());
        assert!(poll.request("a\nb", "", "").is_err(), "no cursor ends a header");
    }

    #[test]
    fn what_the_server_called_its_last_answer_is_said_only_where_changes_count() {
        let asks = |only_changes| {
            let poll = Poll::of(wit::PollWish { only_changes, ..plain("https://chat.example/") }).unwrap();
            let request = poll.request("", "\"v1\"", "yesterday").unwrap();
            request.headers().len()
        };
        assert_eq!((asks(true), asks(false)), (2, 0));
    }
}
