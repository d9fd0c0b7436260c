#![allow(clippy::unwrap_used)]

use berth_plugin::http::{Request, Response};
use berth_plugin::{json, testing};

use super::*;

const PAGE: &str = r##"<!doctype html><html><head><title> A
  page </title><style>p { color: red }</style><script>if (a < b) { alert("<p>no</p>") }</script></head>
<body><nav><a href="/menu">Menu</a></nav><header>Head &amp; shoulders</header>
<main><h1>Title</h1><p>One   two<br>three <a href="b.html?x=1#part">the <b>link</b></a>.</p>
<ul><li>first<li>second &eacute;</ul><pre>a
  b</pre><table><tr><td>1<td>2</table><img alt="A cat"></main>
<footer><a href="mailto:a@b.c">Mail</a></footer></body></html>"##;

fn base() -> Url {
    Url::parse("https://a.example/dir/page").unwrap()
}

/// The web of a test: what each address answers.
fn web_is(pages: &'static [(&'static str, u16, &'static str, &'static str)]) {
    testing::host(|host| {
        host.on_request(move |request| {
            let found = pages.iter().find(|(url, ..)| *url == request.url);
            let (_, status, kind, body) = found.copied().unwrap_or(("", 404, "text/plain", "no"));
            Ok(Response::new(status, body).with_header("content-type", kind))
        });
    });
}

fn asked() -> Vec<Request> {
    testing::host(|host| std::mem::take(&mut host.requests))
}

fn read(url: &str) -> Result<Page, Error> {
    Web::read(url.into(), None, None, Some(true))
}

#[test]
fn the_main_part_of_a_page_becomes_readable_text() {
    let read = page::read(PAGE, &base());

    assert_eq!(read.title, "A page");
    assert_eq!(
        read.text,
        "# Title\n\nOne two\nthree the link.\n\n- first\n- second é\n\na\n  b\n\n| 1 | 2\n\n[A cat]"
    );
    let links: Vec<_> = read.links.iter().map(|link| (link.text.as_str(), link.url.as_str())).collect();
    assert_eq!(links, [("the link", "https://a.example/dir/b.html?x=1")]);
}

#[test]
fn a_page_without_a_main_part_is_read_whole_and_bare_of_scripts() {
    let read = page::read("<title>T</title><p>one<script>two</script><p>three<div hidden>", &base());

    assert_eq!((read.title.as_str(), read.text.as_str()), ("T", "one\nthree"));
    assert_eq!(page::read("just <b>text", &base()).text, "just text");
    assert_eq!(
        page::read("<head><title>T</title><body><p>no end of the head", &base()).text,
        "no end of the head"
    );
}

#[test]
fn a_page_that_is_deeper_than_any_stack_is_read_all_the_same() {
    let deep = format!("{}end", "<div><b>".repeat(100_000));

    assert_eq!(page::read(&deep, &base()).text, "end");
}

#[test]
fn a_page_is_read_in_pieces() {
    web_is(&[("https://a.example/x", 200, "text/plain; charset=utf-8", "äbcdef")]);

    let first = Web::read("https://a.example/x#part".into(), None, Some(4), None).unwrap();
    let rest = Web::read("https://a.example/x".into(), first.next_offset, Some(4), None).unwrap();

    assert_eq!((first.text.as_str(), first.truncated, first.next_offset), ("äbcd", true, Some(4)));
    assert_eq!((rest.text.as_str(), rest.truncated, rest.next_offset), ("ef", false, None));
}

#[test]
fn robots_txt_is_asked_first_and_obeyed() {
    web_is(&[
        ("https://a.example/robots.txt", 200, "text/plain", "User-agent: *\nDisallow: /no\nAllow: /no/but"),
        ("https://a.example/yes", 200, "text/html", "<p>hello"),
        ("https://a.example/no/but?x=1", 200, "text/html", "<p>hello"),
        ("https://b.example/robots.txt", 503, "text/plain", ""),
        ("https://b.example/x", 200, "text/html", "<p>hello"),
        ("https://c.example/x", 200, "text/html", "<p>hello"),
    ]);

    assert_eq!(read("https://a.example/yes").unwrap().text, "hello");
    let urls: Vec<_> = asked().into_iter().map(|request| request.url).collect();
    assert_eq!(urls, ["https://a.example/robots.txt", "https://a.example/yes"]);
    assert_eq!(read("https://a.example/no/x").unwrap_err().code, "robots");
    assert_eq!(asked().len(), 1, "the page itself was not asked for");
    assert_eq!(read("https://a.example/no/but?x=1").unwrap().text, "hello");
    let later = read("https://b.example/x").unwrap_err();
    assert_eq!((later.code.as_str(), later.retryable), ("robots", true));
    assert_eq!(read("https://c.example/x").unwrap().text, "hello", "no robots.txt, no rules");

    testing::host(|host| host.settings.insert("robots".into(), "false".into()));
    assert_eq!(read("https://b.example/x").unwrap().text, "hello");
}

#[test]
fn the_plugin_says_who_it_is() {
    web_is(&[("https://a.example/x", 200, "text/html", "x")]);
    testing::host(|host| host.settings.insert("user_agent".into(), "my-bot/2 (me)".into()));

    read("https://a.example/x").unwrap();

    assert!(asked().iter().all(|request| request.header("user-agent") == Some("my-bot/2 (me)")));
}

#[test]
fn what_is_no_page_is_refused_with_a_reason() {
    web_is(&[
        ("https://a.example/cat", 200, "image/png", "\u{89}PNG"),
        ("https://a.example/gone", 410, "text/html", "<p>gone"),
    ]);

    assert_eq!(read("https://a.example/cat").unwrap_err().code, "not_text");
    assert_eq!(read("https://a.example/gone").unwrap_err().code, "status");
    for url in ["", "a.example", "file:///etc/passwd", "https://me:pw@a.example/", "javascript:alert(1)"] {
        assert_eq!(read(url).unwrap_err().code, "invalid_arguments", "{url}");
    }
}

#[test]
fn a_denial_names_the_grant_that_is_missing() {
    let denied = Web::feed("https://b.example/feed".into(), None).unwrap_err();

    assert_eq!(denied.code, "denied");
    let grant = r#"berth plugin grant web http --scope '{"hosts":["https://b.example"]"#;
    assert!(denied.message.contains(grant), "{}", denied.message);
}

#[test]
fn a_search_asks_the_service_that_was_set_and_reads_its_list() {
    testing::host(|host| {
        let settings = [
            ("search_url", "https://s.example/q?q={query}&n={limit}"),
            ("search_header", "Authorization: Bearer {{secret:search}}"),
            ("search_results", "/web/results"),
            ("search_text", "description"),
        ];
        host.settings.extend(settings.map(|(key, value)| (key.to_owned(), value.to_owned())));
        host.on_request(|_| {
            let result = |number: u8| json!({ "title": "T", "url": format!("https://a/{number}"), "description": "D" });
            let body = json!({ "web": { "results": [result(1), { "title": "no address" }, result(2), result(3)] } });
            Ok(Response::new(200, body.to_string()))
        });
    });

    let hits = Web::search(" rust & wasm ".into(), Some(2)).unwrap();

    let told: Vec<_> =
        hits.iter().map(|hit| (hit.title.as_str(), hit.url.as_str(), hit.text.as_str())).collect();
    assert_eq!(told, [("T", "https://a/1", "D"), ("T", "https://a/2", "D")]);
    let request = asked().pop().unwrap();
    assert_eq!(request.url, "https://s.example/q?q=rust+%26+wasm&n=2");
    assert_eq!(request.header("authorization"), Some("Bearer {{secret:search}}"));
}

#[test]
fn a_search_without_a_service_or_with_an_odd_one_says_what_to_set() {
    let unset = Web::search("x".into(), None).unwrap_err();
    assert_eq!(unset.code, "no_search");
    assert!(unset.message.contains("search_url"), "{}", unset.message);
    assert_eq!(Web::search(" ".into(), None).unwrap_err().code, "invalid_arguments");

    testing::host(|host| {
        host.settings.insert("search_url".into(), "https://s.example/{query}".into());
        host.on_request(|_| Ok(Response::new(200, "{}")));
    });
    assert_eq!(Web::search("x".into(), None).unwrap_err().code, "invalid_answer");
}

#[test]
fn a_feed_in_rss_is_read() {
    let rss = r#"<?xml version="1.0"?><rss version="2.0"><channel><title>News &amp; more</title>
        <link>https://a.example/</link><image><title>no</title></image>
        <item><title>One &lt;b&gt;two&lt;/b&gt;</title><link>/1?a=1&amp;b=2</link><pubDate>Mon, 1 Jan 2024</pubDate>
        <description><![CDATA[<p>Hello <i>there</i></p>]]></description></item>
        <item><title>Second</title><guid>https://a.example/2</guid></item></channel></rss>"#;

    let feed = feed::read(rss, &base(), 10).unwrap();

    assert_eq!(feed.title, "News & more");
    let first = &feed.entries[0];
    assert_eq!((first.title.as_str(), first.url.as_str()), ("One two", "https://a.example/1?a=1&b=2"));
    assert_eq!((first.date.as_str(), first.text.as_str()), ("Mon, 1 Jan 2024", "Hello there"));
    assert_eq!(
        (feed.entries[1].url.as_str(), feed.entries.len(), feed.truncated),
        ("https://a.example/2", 2, false)
    );
    assert!(feed::read(rss, &base(), 1).unwrap().truncated);
}

#[test]
fn a_feed_in_atom_is_read() {
    let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title type="text">Atom</title>
        <entry><title>One</title><link rel="self" href="https://a.example/self"/><link href="one"/>
        <id>tag:1</id><updated>2024-01-02T00:00:00Z</updated><published>2024-01-01T00:00:00Z</published>
        <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Text <b>bold</b></p></div></content>
        </entry></feed>"#;

    let feed = feed::read(atom, &base(), 10).unwrap();

    let entry = &feed.entries[0];
    assert_eq!((feed.title.as_str(), entry.url.as_str()), ("Atom", "https://a.example/dir/one"));
    assert_eq!((entry.date.as_str(), entry.text.as_str()), ("2024-01-01T00:00:00Z", "Text bold"));
}

#[test]
fn what_is_no_feed_is_refused() {
    for text in ["", "hello", "<html><title>x</title></html>", "<rss", "{}"] {
        let error = feed::read(text, &base(), 10).map(|feed| feed.title).unwrap_err();
        assert_eq!(error.code, "not_a_feed", "{text:?}");
    }
}
