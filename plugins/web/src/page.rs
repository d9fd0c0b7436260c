//! From HTML to readable text, in one pass over its tags: there is no tree that a page could make too deep.

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{StartTag, Token, Tokenizer};
use url::Url;

use crate::Link;

const MOST_LINKS: usize = 200;
/// So many are looked at: those of frames around the main part are among them.
const MOST_SEEN: usize = 1000;
const LINK_CHARS: usize = 200;

/// What is never read.
const SILENT: [&[u8]; 11] = [
    b"script",
    b"style",
    b"noscript",
    b"template",
    b"svg",
    b"iframe",
    b"object",
    b"head",
    b"nav",
    b"select",
    b"button",
];
/// The main part, when the page marks one.
const MAIN: [&[u8]; 2] = [b"main", b"article"];
/// What begins on a line of its own.
const BLOCKS: [&[u8]; 27] = [
    b"p",
    b"div",
    b"section",
    b"article",
    b"main",
    b"header",
    b"footer",
    b"aside",
    b"ul",
    b"ol",
    b"li",
    b"table",
    b"tr",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"blockquote",
    b"pre",
    b"figure",
    b"figcaption",
    b"dl",
    b"dt",
    b"dd",
    b"form",
];

/// A page as text.
#[derive(Default)]
pub struct Read {
    pub title: String,
    pub text: String,
    pub links: Vec<Link>,
}

/// Reads `html`, whose links are relative to `base`.
pub fn read(html: &str, base: &Url) -> Read {
    let mut reader = Reader::new(base);
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    for token in Tokenizer::new_with_emitter(html, emitter) {
        // Reading a text that is there cannot fail.
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => reader.begin(&tag),
            Token::EndTag(tag) => reader.end(&tag.name),
            Token::String(text) => reader.text(&String::from_utf8_lossy(&text.value)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    reader.finish()
}

struct Reader {
    base: Url,
    all: Text,
    main: Text,
    title: String,
    in_title: bool,
    /// The silent element that is open, and how many of its name are open within.
    silent: Option<(Vec<u8>, usize)>,
    /// How many main parts are open.
    main_depth: usize,
    pre_depth: usize,
    link: Option<Link>,
    links: Vec<(Link, bool)>,
}

impl Reader {
    fn new(base: &Url) -> Self {
        Self {
            base: base.clone(),
            all: Text::default(),
            main: Text::default(),
            title: String::new(),
            in_title: false,
            silent: None,
            main_depth: 0,
            pre_depth: 0,
            link: None,
            links: Vec::new(),
        }
    }

    fn each(&mut self, with: impl Fn(&mut Text)) {
        with(&mut self.all);
        if self.main_depth > 0 {
            with(&mut self.main);
        }
    }

    fn begin(&mut self, tag: &StartTag<()>) {
        let name: &[u8] = &tag.name;
        if name == b"title" {
            self.in_title = self.title.is_empty();
            return;
        }
        if let Some((silent, depth)) = &mut self.silent {
            // What belongs into a body ends a head that nobody closed.
            if silent == b"head" && name == b"body" {
                self.silent = None;
            } else if silent == name && !tag.self_closing {
                *depth += 1;
            }
            return;
        }
        if SILENT.contains(&name) {
            if !tag.self_closing {
                self.silent = Some((name.to_vec(), 1));
            }
            return;
        }
        if MAIN.contains(&name) {
            self.main_depth += 1;
        }
        if BLOCKS.contains(&name) {
            self.each(Text::line);
        }
        match name {
            b"h1" => self.each(|text| text.mark("# ")),
            b"h2" => self.each(|text| text.mark("## ")),
            b"h3" | b"h4" | b"h5" | b"h6" => self.each(|text| text.mark("### ")),
            b"li" => self.each(|text| text.mark("- ")),
            b"br" | b"hr" => self.each(Text::line),
            b"td" | b"th" => self.each(|text| text.word(" | ")),
            b"pre" => self.pre_depth += 1,
            b"a" => self.open_link(tag),
            b"img" => {
                let alt = attribute(tag, b"alt");
                if !alt.trim().is_empty() {
                    self.text(&format!("[{}]", alt.trim()));
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &[u8]) {
        if name == b"title" {
            self.in_title = false;
            return;
        }
        if let Some((silent, depth)) = &mut self.silent {
            if silent == name {
                *depth -= 1;
                if *depth == 0 {
                    self.silent = None;
                }
            }
            return;
        }
        if BLOCKS.contains(&name) {
            self.each(Text::line);
        }
        if matches!(name, b"p" | b"h1" | b"h2" | b"h3" | b"ul" | b"ol" | b"table" | b"pre" | b"blockquote") {
            self.each(Text::paragraph);
        }
        match name {
            b"pre" => self.pre_depth = self.pre_depth.saturating_sub(1),
            b"a" => self.close_link(),
            _ if MAIN.contains(&name) => self.main_depth = self.main_depth.saturating_sub(1),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_title {
            self.title.push_str(text);
            return;
        }
        if self.silent.is_some() {
            return;
        }
        if let Some(link) = &mut self.link {
            link.text.push_str(text);
        }
        let is_pre = self.pre_depth > 0;
        self.each(|out| if is_pre { out.as_it_is(text) } else { out.word(text) });
    }

    fn open_link(&mut self, tag: &StartTag<()>) {
        self.close_link();
        if self.links.len() >= MOST_SEEN {
            return;
        }
        let target = self.base.join(attribute(tag, b"href").trim());
        let url = target.ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        self.link = url.map(|mut url| {
            url.set_fragment(None);
            Link { text: String::new(), url: url.into() }
        });
    }

    fn close_link(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        link.text =
            link.text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LINK_CHARS).collect();
        let is_known = self.links.iter().any(|(known, _)| known.url == link.url);
        let is_here = link.url == self.base.as_str();
        if !is_known && !is_here && !link.text.is_empty() {
            self.links.push((link, self.main_depth > 0));
        }
    }

    fn finish(mut self) -> Read {
        self.close_link();
        let main = self.main.finish();
        // A main part that is nearly empty is a frame that a script would fill.
        let all = self.all.finish();
        let is_marked = main.len() * 10 > all.len() && !main.is_empty();
        let links = self.links.into_iter().filter(|(_, in_main)| *in_main || !is_marked);
        Read {
            title: self.title.split_whitespace().collect::<Vec<_>>().join(" "),
            text: if is_marked { main } else { all },
            links: links.map(|(link, _)| link).take(MOST_LINKS).collect(),
        }
    }
}

fn attribute(tag: &StartTag<()>, name: &[u8]) -> String {
    tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

/// Text that is being written: runs of white space are one space, empty lines are single.
#[derive(Default)]
struct Text {
    text: String,
    /// A space is due before the next word.
    space: bool,
}

impl Text {
    fn word(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.space = true;
            } else {
                if self.space && !self.text.is_empty() && !self.text.ends_with(['\n', ' ']) {
                    self.text.push(' ');
                }
                self.space = false;
                self.text.push(c);
            }
        }
    }

    fn as_it_is(&mut self, text: &str) {
        self.space = false;
        self.text.push_str(text);
    }

    /// A sign before what comes next on this line.
    fn mark(&mut self, mark: &str) {
        self.line();
        self.text.push_str(mark);
    }

    fn line(&mut self) {
        self.space = false;
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn paragraph(&mut self) {
        self.line();
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Without marks that nothing followed.
    fn finish(&self) -> String {
        let lines = self.text.lines().map(str::trim_end);
        let mut text = String::new();
        for line in lines.filter(|line| !matches!(line.trim(), "-" | "#" | "##" | "###" | "|")) {
            if !(line.is_empty() && (text.is_empty() || text.ends_with("\n\n"))) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text.trim_end().to_owned()
    }
}

/// A piece of HTML, such as the text of an entry of a feed, as one line.
pub fn line(html: &str, base: &Url) -> String {
    read(html, base).text.split_whitespace().collect::<Vec<_>>().join(" ")
}
