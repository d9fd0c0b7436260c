//! Feeds: RSS and Atom, as far as a reader needs them.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use url::Url;

use crate::{Entry, Error, FeedContent, failure, page};

const MOST_CHARS: usize = 1000;

/// Reads a feed whose links are relative to `base`. Fails with `not_a_feed`.
pub fn read(xml: &str, base: &Url, limit: usize) -> Result<FeedContent, Error> {
    let wrong = |why: &str| failure("not_a_feed", format!("{base} is no feed in RSS or Atom: {why}"));
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = false;
    let mut state = State::default();
    let mut feed = FeedContent { title: String::new(), entries: Vec::new(), truncated: false };
    loop {
        match reader.read_event() {
            Err(error) => return Err(wrong(&error.to_string())),
            Ok(Event::Eof) => break,
            Ok(Event::Start(tag)) => state.begin(&tag, base, false),
            Ok(Event::Empty(tag)) => state.begin(&tag, base, true),
            Ok(Event::End(tag)) => {
                if let Some(entry) = state.end(tag.local_name().as_ref(), &mut feed, base) {
                    if feed.entries.len() == limit {
                        feed.truncated = true;
                        break;
                    }
                    feed.entries.push(entry);
                }
            }
            Ok(Event::Text(text)) => state.text(&text.decode().map_err(|error| wrong(&error.to_string()))?),
            Ok(Event::CData(text)) => state.text(&text.decode().map_err(|error| wrong(&error.to_string()))?),
            Ok(Event::GeneralRef(name)) => {
                let name = name.decode().map_err(|error| wrong(&error.to_string()))?;
                state.text(&entity(&name));
            }
            Ok(_) => {}
        }
    }
    if state.is_feed { Ok(feed) } else { Err(wrong("it has neither `rss` nor `feed` nor `RDF` at its root")) }
}

#[derive(Default)]
struct State {
    is_feed: bool,
    has_root: bool,
    entry: Option<Raw>,
    /// The text of the element that is being read.
    text: String,
    /// Elements that are open within one whose text counts, such as XHTML in Atom.
    within: usize,
    /// The element whose text counts.
    open: Option<&'static str>,
}

#[derive(Default)]
struct Raw {
    title: String,
    link: String,
    id: String,
    date: String,
    text: String,
}

/// The elements whose text counts.
const READ: [&str; 12] = [
    "title",
    "link",
    "id",
    "guid",
    "published",
    "updated",
    "pubDate",
    "date",
    "description",
    "summary",
    "content",
    "encoded",
];

impl State {
    fn begin(&mut self, tag: &BytesStart<'_>, base: &Url, is_empty: bool) {
        let name = tag.local_name();
        if !self.has_root {
            self.has_root = true;
            self.is_feed = matches!(name.as_ref(), b"rss" | b"feed" | b"RDF");
        }
        if self.open.is_some() {
            self.within += usize::from(!is_empty);
            return;
        }
        if matches!(name.as_ref(), b"item" | b"entry") {
            self.entry = Some(Raw::default());
            return;
        }
        if name.as_ref() == b"link"
            && let Some(entry) = &mut self.entry
            && let Some(href) = attribute(tag, b"href")
            && attribute(tag, b"rel").is_none_or(|rel| rel == "alternate")
        {
            entry.link = absolute(&href, base);
        }
        if !is_empty {
            self.open = READ.into_iter().find(|known| known.as_bytes() == name.as_ref());
            self.text.clear();
        }
    }

    fn text(&mut self, text: &str) {
        if self.open.is_some() {
            self.text.push_str(text);
        }
    }

    fn end(&mut self, name: &[u8], feed: &mut FeedContent, base: &Url) -> Option<Entry> {
        if let Some(open) = self.open {
            if self.within > 0 {
                self.within -= 1;
                return None;
            }
            let text = std::mem::take(&mut self.text);
            self.open = None;
            match &mut self.entry {
                Some(entry) => entry.take(open, text, base),
                None if open == "title" && feed.title.is_empty() => feed.title = page::line(&text, base),
                None => {}
            }
            return None;
        }
        if !matches!(name, b"item" | b"entry") {
            return None;
        }
        self.entry.take().map(|raw| raw.entry(base))
    }
}

impl Raw {
    fn take(&mut self, name: &str, text: String, base: &Url) {
        let text = text.trim();
        match name {
            "title" => self.title = page::line(text, base),
            "link" if self.link.is_empty() => self.link = absolute(text, base),
            "id" | "guid" => text.clone_into(&mut self.id),
            "published" | "pubDate" => text.clone_into(&mut self.date),
            "updated" | "date" if self.date.is_empty() => text.clone_into(&mut self.date),
            "content" | "encoded" => text.clone_into(&mut self.text),
            "description" | "summary" if self.text.is_empty() => text.clone_into(&mut self.text),
            _ => {}
        }
    }

    fn entry(self, base: &Url) -> Entry {
        let link = match self.link.is_empty() {
            // An id that is an address will do.
            true if self.id.starts_with("http") => self.id,
            _ => self.link,
        };
        let text = page::line(&self.text, base).chars().take(MOST_CHARS).collect();
        Entry { title: self.title, url: link, date: self.date, text }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let value = tag.try_get_attribute(name).ok()??;
    value.unescape_value().ok().map(std::borrow::Cow::into_owned)
}

fn absolute(link: &str, base: &Url) -> String {
    let url = base.join(link.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.map(Into::into).unwrap_or_default()
}

/// What stands between `&` and `;`. The names of HTML are left to the reader of HTML.
fn entity(name: &str) -> String {
    match name {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        other => format!("&{other};"),
    }
}
