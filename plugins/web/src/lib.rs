//! Pages and feeds as plain text, and search.

mod feed;
mod fetch;
mod page;
mod robots;
mod search;

use berth_plugin::export_typed;
use url::Url;

export_typed!(Web: berth::web::web);

struct Web;

const USUAL_CHARS: u32 = 8000;
const MOST_CHARS: u32 = 50_000;
const USUAL_ENTRIES: u32 = 20;
const MOST_ENTRIES: u32 = 100;

impl Guest for Web {
    fn read(
        url: String,
        offset: Option<u32>,
        limit: Option<u32>,
        links: Option<bool>,
    ) -> Result<Page, Error> {
        let address = address(&url)?;
        robots::let_in(&address)?;
        let text = fetch::text(&address, "text/html, application/xhtml+xml, text/plain;q=0.9, */*;q=0.5")?;
        let read = match text.kind {
            fetch::Kind::Html => page::read(&text.text, &address),
            fetch::Kind::Plain => page::Read { text: text.text, ..page::Read::default() },
        };
        let (offset, limit) = (offset.unwrap_or(0), limit.unwrap_or(USUAL_CHARS).min(MOST_CHARS));
        let piece: String = read.text.chars().skip(offset as usize).take(limit as usize).collect();
        let goes_on = read.text.chars().count() > offset as usize + limit as usize;
        Ok(Page {
            url,
            title: read.title,
            text: piece,
            links: if links.unwrap_or(false) { read.links } else { Vec::new() },
            truncated: goes_on || text.truncated,
            next_offset: goes_on.then(|| offset + limit),
        })
    }

    fn search(query: String, limit: Option<u32>) -> Result<Vec<Hit>, Error> {
        search::search(&query, limit)
    }

    fn feed(url: String, limit: Option<u32>) -> Result<FeedContent, Error> {
        let address = address(&url)?;
        let text = fetch::text(
            &address,
            "application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.5",
        )?;
        let limit = limit.unwrap_or(USUAL_ENTRIES).min(MOST_ENTRIES) as usize;
        feed::read(&text.text, &address, limit)
    }
}

/// An address of the web. Fails with `invalid_arguments`.
fn address(text: &str) -> Result<Url, Error> {
    let wrong =
        |why: String| failure("invalid_arguments", format!("`{text}` is no address of a page: {why}"));
    let mut url = Url::parse(text.trim()).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it begins with neither https:// nor http://".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a name or a password".to_owned()));
    }
    url.set_fragment(None);
    Ok(url)
}

fn failure(code: &str, message: impl Into<String>) -> Error {
    Error { code: code.into(), message: message.into(), retryable: false }
}

fn told(error: berth_plugin::Error) -> Error {
    let error = error.with_grant_hint("web");
    Error { code: error.code, message: error.message, retryable: error.retryable }
}

#[cfg(test)]
mod tests;
