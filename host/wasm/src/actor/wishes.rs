//! What a channel wants from the host: checked, and in the form that is stored.

use std::collections::HashSet;
use std::time::Duration;

use berth_model::channel::ChannelTimer;
use berth_model::{PluginId, Timestamp};
use serde::{Deserialize, Serialize};

use super::polls::wish::Poll;
use crate::wit::v0_1::channel as wit;

/// Web addresses of one channel.
pub const MAX_HOOKS: usize = 16;
/// Timers of one channel.
pub const MAX_TIMERS: usize = 32;
/// Sockets of one channel.
pub const MAX_SOCKETS: usize = 8;
/// Polls of one channel.
pub const MAX_POLLS: usize = 8;
/// Headers that one web address wants to see.
pub const MAX_HEADERS: usize = 32;
/// What a start may leave for the next one.
pub const STATE_BYTES: usize = 64 << 10;
/// The shortest period of a timer.
pub const SHORTEST_PERIOD: Duration = Duration::from_secs(1);
/// Headers that carry a secret of the host or of the way to it; no channel sees them.
const HIDDEN: [&str; 5] = ["authorization", "cookie", "set-cookie", "x-api-key", "proxy-authorization"];

/// The wishes of a start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wishes {
    pub hooks: Vec<Hook>,
    pub timers: Vec<Timer>,
    pub sockets: Vec<Socket>,
    #[serde(default)]
    pub polls: Vec<Poll>,
}

/// A web address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    pub name: String,
    /// `GET`, `POST`.
    pub methods: Vec<String>,
    /// In lower case.
    pub headers: Vec<String>,
}

/// A time to be woken at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    pub name: String,
    pub every_ms: Option<u64>,
    pub at_ms: Option<u64>,
}

/// A socket that the host keeps open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    pub name: String,
    /// The channel is asked each time when there is none.
    pub url: Option<String>,
    pub headers: Vec<(String, String)>,
}

/// What a component says of itself as a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    pub provider_type: String,
    pub display_name: String,
    pub address_kinds: Vec<String>,
    pub supports_markdown: bool,
    pub max_text_bytes: Option<u32>,
}

/// Why wishes cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadWish(String);

impl BadWish {
    pub(super) fn new(message: String) -> Self {
        Self(message)
    }
}

/// The first of these headers, in lower case, that no channel sees.
pub(super) fn hidden(headers: &[String]) -> Option<&str> {
    headers.iter().map(String::as_str).find(|header| HIDDEN.contains(header))
}

/// Whether a text may name a web address, a timer, a poll or a socket: 1 to 40 characters of `a-z`, `0-9`, `-` and `_`.
pub fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

impl Wishes {
    /// Takes over what a guest wished; what was left for the next start comes with it.
    pub(crate) fn of(wishes: wit::Wishes) -> Result<(Self, Vec<u8>), BadWish> {
        let bad = |message: String| Err(BadWish(message));
        for (what, count, most) in [
            ("web addresses", wishes.webhooks.len(), MAX_HOOKS),
            ("timers", wishes.timers.len(), MAX_TIMERS),
            ("sockets", wishes.sockets.len(), MAX_SOCKETS),
            ("polls", wishes.polls.len(), MAX_POLLS),
        ] {
            if count > most {
                return bad(format!("it wishes {count} {what}, the most are {most}"));
            }
        }
        if wishes.state.len() > STATE_BYTES {
            return bad(format!("it leaves {} bytes, the most are {STATE_BYTES}", wishes.state.len()));
        }
        unique("web address", wishes.webhooks.iter().map(|hook| hook.name.as_str()))?;
        unique("timer", wishes.timers.iter().map(|timer| timer.name.as_str()))?;
        unique("poll", wishes.polls.iter().map(|poll| poll.name.as_str()))?;
        unique("socket", wishes.sockets.iter().map(|socket| socket.name.as_str()))?;
        let hooks = wishes.webhooks.into_iter().map(hook).collect::<Result<_, _>>()?;
        let timers = wishes.timers.into_iter().map(timer).collect::<Result<_, _>>()?;
        let sockets = wishes.sockets.into_iter().map(|socket| Socket {
            name: socket.name,
            url: socket.url,
            headers: socket.headers,
        });
        let polls = wishes.polls.into_iter().map(Poll::of).collect::<Result<_, _>>()?;
        Ok((Self { hooks, timers, sockets: sockets.collect(), polls }, wishes.state))
    }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), BadWish> {
    let mut seen = HashSet::new();
    for name in names {
        if !is_name(name) {
            return Err(BadWish(format!(
                "`{}` is no name of a {what}: it has 1 to 40 characters of a-z, 0-9, - and _",
                name.escape_debug()
            )));
        }
        if !seen.insert(name) {
            return Err(BadWish(format!("it wishes the {what} `{name}` twice")));
        }
    }
    Ok(())
}

fn hook(wish: wit::WebhookWish) -> Result<Hook, BadWish> {
    let name = wish.name;
    if wish.methods.is_empty() || wish.methods.iter().any(|method| !matches!(method.as_str(), "GET" | "POST"))
    {
        return Err(BadWish(format!(
            "the web address `{name}` wants methods other than GET and POST, or none"
        )));
    }
    let headers: Vec<String> = wish.headers.iter().map(|header| header.to_ascii_lowercase()).collect();
    if headers.len() > MAX_HEADERS {
        return Err(BadWish(format!("the web address `{name}` wants more than {MAX_HEADERS} headers")));
    }
    if let Some(hidden) = hidden(&headers) {
        return Err(BadWish(format!("no channel sees the header `{hidden}`")));
    }
    Ok(Hook { name, methods: wish.methods, headers })
}

fn timer(wish: wit::TimerWish) -> Result<Timer, BadWish> {
    let name = wish.name;
    if wish.every_ms.is_none() && wish.at_ms.is_none() {
        return Err(BadWish(format!("the timer `{name}` says neither when nor how often")));
    }
    if wish.every_ms.is_some_and(|every| Duration::from_millis(every) < SHORTEST_PERIOD) {
        return Err(BadWish(format!(
            "the timer `{name}` is to fire more often than every {} ms",
            SHORTEST_PERIOD.as_millis()
        )));
    }
    Ok(Timer { name, every_ms: wish.every_ms, at_ms: wish.at_ms })
}

impl Description {
    pub(crate) fn of(description: wit::Description) -> Result<Self, BadWish> {
        let provider = &description.provider_type;
        if !is_name(provider) || provider == "core" {
            return Err(BadWish(format!("`{}` is no type of a provider", provider.escape_debug())));
        }
        let clean = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(255).collect() };
        Ok(Self {
            display_name: clean(&description.display_name),
            address_kinds: description.address_kinds.iter().take(16).map(|kind| clean(kind)).collect(),
            supports_markdown: description.supports_markdown,
            max_text_bytes: description.max_text_bytes,
            provider_type: description.provider_type,
        })
    }
}

/// The timers after a start: what was wished before keeps its next time.
pub(super) fn merged(
    plugin: &PluginId,
    wished: &[Timer],
    known: &[ChannelTimer],
    now: Timestamp,
) -> Vec<ChannelTimer> {
    let timers = wished.iter().map(|wish| {
        let every = wish.every_ms.map(Duration::from_millis);
        let first_at = wish
            .at_ms
            .map(|ms| Timestamp::from_micros(i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX)));
        let same = known
            .iter()
            .find(|timer| timer.name == wish.name && timer.every == every && timer.first_at == first_at);
        if let Some(same) = same {
            return same.clone();
        }
        let next_at = first_at.or_else(|| every.map(|every| now.plus(every)));
        ChannelTimer { plugin: plugin.clone(), name: wish.name.clone(), every, first_at, next_at }
    });
    timers.collect()
}

/// When a timer that fired at `now` fires next: missed times are not made up for.
pub(super) fn next(timer: &ChannelTimer, now: Timestamp) -> Option<Timestamp> {
    let every = timer.every?;
    let due = timer.next_at.unwrap_or(now);
    let late = now.since(due);
    let missed = u32::try_from(late.as_micros() / every.as_micros().max(1)).unwrap_or(u32::MAX);
    Some(due.plus(every.saturating_mul(missed.saturating_add(1))).max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> wit::Wishes {
        let (webhooks, timers, polls, sockets) = Default::default();
        wit::Wishes { webhooks, timers, polls, sockets, state: vec![], meta: vec![] }
    }

    fn hook(name: &str, methods: &[&str], headers: &[&str]) -> wit::WebhookWish {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        wit::WebhookWish {
            name: name.to_owned(),
            methods: texts(methods),
            headers: texts(headers),
            meta: vec![],
        }
    }

    fn timer(name: &str, every_ms: Option<u64>, at_ms: Option<u64>) -> wit::TimerWish {
        wit::TimerWish { name: name.to_owned(), every_ms, at_ms, meta: vec![] }
    }

    #[test]
    fn a_wish_that_cannot_be_met_says_why() {
        let hooks = |webhooks| wit::Wishes { webhooks, ..empty() };
        let timers = |timers| wit::Wishes { timers, ..empty() };
        for (wishes, word) in [
            (hooks(vec![hook("../up", &["POST"], &[])]), "no name"),
            (hooks(vec![hook("a", &["POST"], &[]), hook("a", &["GET"], &[])]), "twice"),
            (hooks(vec![hook("a", &["DELETE"], &[])]), "methods"),
            (hooks(vec![hook("a", &[], &[])]), "methods"),
            (hooks(vec![hook("a", &["POST"], &["Authorization"])]), "authorization"),
            (hooks((0..17).map(|n| hook(&format!("h{n}"), &["POST"], &[])).collect()), "the most are 16"),
            (timers(vec![timer("t", None, None)]), "neither"),
            (timers(vec![timer("t", Some(999), None)]), "more often"),
            (wit::Wishes { state: vec![0; STATE_BYTES + 1], ..empty() }, "leaves"),
        ] {
            let refused = Wishes::of(wishes).unwrap_err();
            assert!(refused.to_string().contains(word), "{refused}");
        }
        assert!(Wishes::of(hooks(vec![hook("events", &["GET", "POST"], &["X-Sign"])])).is_ok());
    }

    #[test]
    fn a_timer_that_is_wished_again_keeps_its_time_and_a_changed_one_does_not() {
        let plugin = PluginId::fixed("p");
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let wish = |every_ms| Timer { name: "t".to_owned(), every_ms: Some(every_ms), at_ms: None };

        let first = merged(&plugin, &[wish(5000)], &[], at(0));
        let again = merged(&plugin, &[wish(5000)], &first, at(3));
        let other = merged(&plugin, &[wish(6000)], &first, at(3));

        assert_eq!(first[0].next_at, Some(at(5)));
        assert_eq!(again, first);
        assert_eq!(other[0].next_at, Some(at(9)));
    }

    #[test]
    fn a_timer_that_is_late_fires_once_and_keeps_its_beat() {
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let timer = |every: Option<u64>| ChannelTimer {
            plugin: PluginId::fixed("p"),
            name: "t".to_owned(),
            every: every.map(Duration::from_secs),
            first_at: None,
            next_at: Some(at(10)),
        };
        for (every, now, next_at) in
            [(Some(5), 10, Some(15)), (Some(5), 12, Some(15)), (Some(5), 31, Some(35)), (None, 10, None)]
        {
            assert_eq!(next(&timer(every), at(now)), next_at.map(at), "{every:?} at {now}");
        }
    }
}
