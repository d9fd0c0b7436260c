//! robots.txt: what a server asks programs to leave alone. Source: RFC 9309.

use berth_plugin::config;
use berth_plugin::http::Request;
use url::Url;

use crate::{Error, failure, fetch};

/// What of a robots.txt counts, by the standard at least 500 KiB.
const MOST_BYTES: usize = 512 * 1024;

/// Fails with `robots` when the server keeps the page from programs, or cannot say.
pub fn let_in(page: &Url) -> Result<(), Error> {
    if config::get("robots").map_err(crate::told)?.as_deref() == Some("false") {
        return Ok(());
    }
    let mut address = page.clone();
    address.set_path("/robots.txt");
    address.set_query(None);
    if page.path() == address.path() {
        return Ok(());
    }
    let answer = fetch::send(Request::get(address.as_str()).at_most(MOST_BYTES))?;
    let rules = match answer.status {
        200..300 => answer.text().into_owned(),
        // There is none, or it is kept from us: then nothing is asked for.
        400..500 => return Ok(()),
        status => {
            let message =
                format!("{address} answers with {status}: until it does better, no page is read there");
            return Err(Error { retryable: true, ..failure("robots", message) });
        }
    };
    let agent = fetch::user_agent()?;
    let product = agent.split(['/', ' ']).next().unwrap_or_default();
    let path = &page.as_str()[page.origin().ascii_serialization().len()..];
    if allows(&rules, product, path) {
        return Ok(());
    }
    Err(failure("robots", format!("{address} asks programs not to read {page}")))
}

/// Whether the rules let `product` read `path`, which has its query with it.
fn allows(rules: &str, product: &str, path: &str) -> bool {
    let groups = groups(rules);
    let own: Vec<_> = groups.iter().filter(|group| group.is_for(product)).collect();
    let of_all: Vec<_> = groups.iter().filter(|group| group.agents.contains(&"*")).collect();
    let rules = if own.is_empty() { of_all } else { own };
    let matching = rules.iter().flat_map(|group| &group.rules).filter(|rule| fits(rule.pattern, path));
    // The longest one counts, and among equals the one that allows.
    let best = matching.max_by_key(|rule| (rule.pattern.len(), rule.allow));
    best.is_none_or(|rule| rule.allow)
}

struct Group<'a> {
    agents: Vec<&'a str>,
    rules: Vec<Rule<'a>>,
}

struct Rule<'a> {
    allow: bool,
    pattern: &'a str,
}

impl Group<'_> {
    fn is_for(&self, product: &str) -> bool {
        self.agents.iter().any(|agent| !product.is_empty() && agent.eq_ignore_ascii_case(product))
    }
}

fn groups(text: &str) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        match (key.as_str(), groups.last_mut()) {
            // Names one after the other are of one group.
            ("user-agent", Some(group)) if group.rules.is_empty() => group.agents.push(value),
            ("user-agent", _) => groups.push(Group { agents: vec![value], rules: Vec::new() }),
            ("allow" | "disallow", Some(group)) => {
                // An empty pattern covers nothing, but ends the names of the group.
                group.rules.push(Rule { allow: key == "allow" || value.is_empty(), pattern: value });
            }
            _ => {}
        }
    }
    groups
}

/// Whether `path` begins as the pattern says: `*` is any text, `$` at the end the end.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, to_the_end) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return !to_the_end || rest.is_empty() };
    for part in between {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    if to_the_end { rest.ends_with(last) } else { rest.contains(last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "# all\nUser-agent: *\nDisallow: /private/\nAllow: /private/open\nDisallow: /*.pdf$\n\n\
                         User-Agent: other\nuser-agent: BERTH-web\nDisallow: /for-us\n";

    #[test]
    fn the_longest_rule_of_the_own_group_counts() {
        assert!(allows(RULES, "someone", "/"));
        assert!(!allows(RULES, "someone", "/private/x"));
        assert!(allows(RULES, "someone", "/private/open/x"));
        assert!(!allows(RULES, "someone", "/a/b.pdf"));
        assert!(allows(RULES, "someone", "/a/b.pdf?x=1"));
        assert!(
            allows(RULES, "berth-web", "/private/x"),
            "a group of its own takes the place of that for all"
        );
        assert!(!allows(RULES, "berth-web", "/for-us"));
    }

    #[test]
    fn a_file_that_says_nothing_allows_everything() {
        for text in ["", "nonsense", "Disallow: /\n", "User-agent: *\nDisallow:\n", "<html></html>"] {
            assert!(allows(text, "berth-web", "/x"), "{text:?}");
        }
        assert!(!allows("User-agent: *\nDisallow: /", "berth-web", "/x"));
    }

    #[test]
    fn patterns_take_any_text_and_the_end() {
        assert!(fits("/a*b*c", "/a1b2c3"));
        assert!(!fits("/a*b*c$", "/a1b2c3"));
        assert!(fits("/a*c$", "/abcabc"));
        assert!(!fits("/a*b", "/a"));
        assert!(fits("*", "/"));
        assert!(fits("/$", "/") && !fits("/$", "/x"));
    }
}
