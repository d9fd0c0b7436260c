//! What follows from the status of an answer.

use http::{HeaderMap, Method, StatusCode, header};

/// The most redirects that are followed.
pub const REDIRECTS: u32 = 5;

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Hand it to the caller.
    Answer,
    /// Ask again, there.
    Follow { method: Method, keeps_body: bool, location: String },
}

/// Reads status and `Location` as browsers do: 303, and 301 or 302 to a POST, become a GET without a body.
pub(crate) fn next(status: StatusCode, method: &Method, headers: &HeaderMap) -> Next {
    let becomes_get = match status.as_u16() {
        301 | 302 => *method == Method::POST,
        303 => *method != Method::GET && *method != Method::HEAD,
        307 | 308 => false,
        _ => return Next::Answer,
    };
    let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else {
        return Next::Answer;
    };
    let method = if becomes_get { Method::GET } else { method.clone() };
    Next::Follow { method, keeps_body: !becomes_get, location: location.to_owned() }
}

/// Takes away what was meant for another origin.
pub(crate) fn strip_credentials(headers: &mut HeaderMap) {
    for name in [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, header::REFERER] {
        headers.remove(name);
    }
}

/// Takes away what described a body.
pub(crate) fn strip_body(headers: &mut HeaderMap) {
    let about: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("content-")).cloned().collect();
    for name in about {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_redirect_keeps_or_changes_the_method_as_browsers_do() {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, "/next".parse().unwrap());
        for (status, method, becomes, keeps) in [
            (301, Method::GET, Method::GET, true),
            (301, Method::POST, Method::GET, false),
            (302, Method::POST, Method::GET, false),
            (302, Method::PUT, Method::PUT, true),
            (303, Method::PUT, Method::GET, false),
            (303, Method::HEAD, Method::HEAD, true),
            (307, Method::POST, Method::POST, true),
            (308, Method::DELETE, Method::DELETE, true),
        ] {
            let wanted = Next::Follow { method: becomes, keeps_body: keeps, location: "/next".to_owned() };
            assert_eq!(next(StatusCode::from_u16(status).unwrap(), &method, &headers), wanted, "{status}");
        }
        for status in [200, 201, 300, 304, 305, 306, 400] {
            assert_eq!(next(StatusCode::from_u16(status).unwrap(), &Method::GET, &headers), Next::Answer);
        }
        assert_eq!(next(StatusCode::FOUND, &Method::GET, &HeaderMap::new()), Next::Answer);
    }
}
