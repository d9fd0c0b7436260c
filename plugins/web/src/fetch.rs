//! Fetches text, with a bound on its size.

use std::time::Duration;

use berth_plugin::config;
use berth_plugin::http::{Request, Response};
use url::Url;

use crate::{Error, failure, told};

/// The most of a page that is read.
const MOST_BYTES: usize = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

pub enum Kind {
    Html,
    Plain,
}

/// What a server answered, as text.
pub struct Text {
    pub kind: Kind,
    pub text: String,
    pub truncated: bool,
}

/// Fetches `address`. Fails with `not_text` for anything that is none, `status` for a refusal of the server.
pub fn text(address: &Url, accept: &str) -> Result<Text, Error> {
    let request = Request::get(address.as_str()).with_header("accept", accept).at_most(MOST_BYTES);
    let answer = send(request)?.successful().map_err(told)?;
    let content_type = answer.header("content-type").unwrap_or_default().to_lowercase();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let head = &answer.body[..answer.body.len().min(512)];
    let looks_like_html = head.trim_ascii_start().starts_with(b"<");
    let kind = match essence {
        "text/html" | "application/xhtml+xml" => Kind::Html,
        "" if looks_like_html => Kind::Html,
        "" | "application/json" | "application/xml" | "application/javascript" => Kind::Plain,
        other if other.starts_with("text/") || other.ends_with("+xml") || other.ends_with("+json") => {
            Kind::Plain
        }
        other => return Err(failure("not_text", format!("{address} is of the kind `{other}`, not text"))),
    };
    let charset = content_type.split("charset=").nth(1).map(|name| name.trim_matches(['"', '\'', ' ', ';']));
    let truncated = answer.truncated;
    Ok(Text { kind, text: decoded(&answer, charset), truncated })
}

/// Sends a request as the plugin names itself.
pub fn send(request: Request) -> Result<Response, Error> {
    let agent = user_agent()?;
    request.within(PATIENCE).with_header("user-agent", agent).send().map_err(told)
}

pub fn user_agent() -> Result<String, Error> {
    Ok(config::get("user_agent").map_err(told)?.unwrap_or_else(|| "berth-web/0.1".to_owned()))
}

/// UTF-8, unless the server says that it is Latin-1, whose bytes are the characters of that number.
fn decoded(answer: &Response, charset: Option<&str>) -> String {
    match charset {
        Some("iso-8859-1" | "latin1" | "windows-1252" | "us-ascii") => {
            answer.body.iter().map(|byte| char::from(*byte)).collect()
        }
        _ => answer.text().trim_start_matches('\u{feff}').to_owned(),
    }
}
