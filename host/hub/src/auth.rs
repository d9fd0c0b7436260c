//! Who may connect: the token that a request carries and the page that asks, for the socket and for the other routes.
//!
//! Source: MeetYou V4, connecting and authentication.

use axum::http::{HeaderMap, Uri, header};

/// The token in the headers of a request: `Authorization: Bearer`, else `X-Api-Key`. The first that is not empty decides.
pub fn header_token(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        // Any other scheme counts as none.
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.filter(|token| !token.is_empty()).or_else(|| text("x-api-key").filter(|token| !token.is_empty()))
}

/// The token of a socket: the one in its headers, else the one in its query, which browsers cannot do without.
pub(crate) fn token(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let query = || query_token(uri).filter(|token| !token.is_empty());
    header_token(headers).map(str::to_owned).or_else(query)
}

fn query_token(uri: &Uri) -> Option<String> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    pairs.0.into_iter().find(|(key, _)| key == "access_token").map(|(_, value)| value.trim().to_owned())
}

/// The origin that a request names and that may not connect.
pub(crate) fn refused_origin(headers: &HeaderMap, allowed: &[String]) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?;
    let Ok(origin) = origin.to_str() else { return Some(String::new()) };
    let may = origin.is_empty() || is_allowed(origin, allowed);
    (!may).then(|| origin.to_owned())
}

/// Whether pages of `origin` may ask: it is one of the `allowed`, or this machine.
pub fn is_allowed(origin: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|one| one == origin) || is_this_machine(origin)
}

/// A page that this machine itself serves, over any port: MeetYou's desktop is one.
fn is_this_machine(origin: &str) -> bool {
    let origin = origin.to_ascii_lowercase();
    let Some(host) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| match host.strip_prefix(name) {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix(':')
            .is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_first_token_that_is_not_empty_decides() {
        let uri: Uri = "/endpoint/ws?x=1&access_token=from%2Dquery".parse().unwrap();
        for (given, wanted) in [
            (&[("authorization", "bEaReR   one "), ("x-api-key", "two")][..], "one"),
            (&[("authorization", "Basic x"), ("x-api-key", "two")], "two"),
            (&[("authorization", "Bearer "), ("x-api-key", "two")], "two"),
            (&[("authorization", "one")], "from-query"),
            (&[("authorization", "Bearer "), ("x-api-key", " ")], "from-query"),
            (&[("authorization", "Basic x")], "from-query"),
            (&[], "from-query"),
        ] {
            assert_eq!(token(&headers(given), &uri).as_deref(), Some(wanted), "{given:?}");
        }
        assert_eq!(token(&headers(&[]), &"/endpoint/ws".parse().unwrap()), None);
    }

    #[test]
    fn pages_of_this_machine_and_of_the_list_may_connect() {
        let allowed = ["https://home.example".to_owned()];
        for origin in [
            "",
            "http://localhost",
            "HTTP://LOCALHOST:3000",
            "https://127.0.0.1:1",
            "http://[::1]:80",
            "https://home.example",
        ] {
            assert_eq!(refused_origin(&headers(&[("origin", origin)]), &allowed), None, "{origin}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://localhost.evil.example",
            "http://localhost:",
            "http://localhost:80x",
            "ftp://localhost",
            "https://home.example.evil",
        ] {
            assert_eq!(refused_origin(&headers(&[("origin", origin)]), &allowed).as_deref(), Some(origin));
        }
    }
}
