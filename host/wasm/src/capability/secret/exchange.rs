//! A secret for a token: the request goes out with the secret in it, the token of the answer stays in the host.

use std::time::Duration;

use berth_broker::{
    Broker, BrokerError, Caller, Finder, OriginPattern, RequestBody, ResponseBody, no_body, whole_body,
};
use berth_secrets::{Asker, Desk, NewDerived, SecretName, SecretValue};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::capability::CapabilityError;

/// The most bytes of the request's body, and of the answer.
pub const BODY_BYTES: usize = 256 << 10;
/// The most headers of a request.
const HEADERS: usize = 64;
/// How long a token lives of which nobody says how long.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How much of a refusal a guest is shown.
const SHOWN_BYTES: usize = 2048;
/// The shortest token: a shorter one could not be told apart from ordinary text.
const TOKEN_BYTES: usize = 8;

/// What a guest wants sent, and where the token is in the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The name of what it yields.
    pub name: SecretName,
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// JSON pointers.
    pub token: String,
    pub expires: Option<String>,
    pub lifetime: Option<Duration>,
    pub audience: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchanged {
    /// Microseconds since the Unix epoch.
    pub expires_at: i64,
    pub status: u16,
    /// The answer without the token.
    pub answer: Value,
}

impl Recipe {
    /// Refuses what no exchange can be: the request must name the secret that it is made with.
    pub fn check(&self, with: &SecretName) -> Result<(), CapabilityError> {
        let bad = |message: String| Err(CapabilityError::new("EXCHANGE_RECIPE_INVALID", message));
        if self.name == *with {
            return bad("what it yields cannot have the name of the secret that it is made with".to_owned());
        }
        for pointer in std::iter::once(&self.token).chain(&self.expires) {
            if !pointer.starts_with('/') || pointer.len() > 512 {
                return bad(
                    "`token` and `expires` are JSON pointers, such as /tenant_access_token".to_owned()
                );
            }
        }
        if self.body.len() > BODY_BYTES || self.headers.len() > HEADERS {
            return bad(format!("the request has at most {HEADERS} headers and {BODY_BYTES} bytes of body"));
        }
        for origin in &self.audience {
            if let Err(error) = OriginPattern::parse(origin) {
                return bad(format!("`audience`: {error}"));
            }
        }
        let placeholder = format!("{{{{secret:{with}}}}}");
        let body = String::from_utf8_lossy(&self.body);
        let is_named = self.url.contains(&placeholder)
            || body.contains(&placeholder)
            || self.headers.iter().any(|(_, value)| value.contains(&placeholder));
        if is_named { Ok(()) } else { bad(format!("the request does not name {placeholder}")) }
    }

    fn request(&self) -> Result<http::Request<RequestBody>, CapabilityError> {
        let bad = |error: http::Error| CapabilityError::new("EXCHANGE_RECIPE_INVALID", error.to_string());
        // A brace cannot stand in a URL; the broker finds the placeholder behind its percent code as well.
        let url = self.url.replace('{', "%7B").replace('}', "%7D");
        let mut request = http::Request::builder().method(self.method.as_str()).uri(url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = if self.body.is_empty() { no_body() } else { whole_body(Bytes::from(self.body.clone())) };
        request.body(body).map_err(bad)
    }
}

/// Sends the request of `recipe` and keeps the token of the answer for `asker`. The grants have been asked before.
pub async fn exchange(
    broker: &Broker,
    caller: &Caller,
    desk: &Desk,
    asker: Asker<'_>,
    with: &SecretName,
    recipe: Recipe,
) -> Result<Exchanged, CapabilityError> {
    recipe.check(with)?;
    let answer = broker.send(caller, recipe.request()?).await.map_err(|error| failed(&error))?;
    let status = answer.status().as_u16();
    let body = whole(answer.into_body()).await?;
    if !(200..300).contains(&status) {
        let shown = String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES)]).into_owned();
        let mut error =
            CapabilityError::new("EXCHANGE_FAILED", format!("the exchange was answered with {status}"));
        error.retryable = status == 429 || status >= 500;
        return Err(error.with_details(json!({ "status": status, "answer": shown })));
    }
    let (token, expires, rest) = cut(&body, &recipe)?;
    let lifetime = expires.or(recipe.lifetime).unwrap_or(LIFETIME);
    let new = NewDerived {
        name: recipe.name,
        value: token,
        from: with.clone(),
        lifetime,
        audience: recipe.audience,
    };
    let expires_at = desk.keep(asker, new).await?;
    Ok(Exchanged { expires_at, status, answer: rest })
}

async fn whole(body: ResponseBody) -> Result<Zeroizing<Vec<u8>>, CapabilityError> {
    let collected = Limited::new(body, BODY_BYTES).collect().await.map_err(|error| {
        match error.downcast_ref::<BrokerError>() {
            Some(error) => failed(error),
            None => CapabilityError::new(
                "EXCHANGE_FAILED",
                format!("the answer is larger than {BODY_BYTES} bytes"),
            ),
        }
    })?;
    Ok(Zeroizing::new(collected.to_bytes().to_vec()))
}

/// The token, how long it lives, and the answer without it.
fn cut(body: &[u8], recipe: &Recipe) -> Result<(SecretValue, Option<Duration>, Value), CapabilityError> {
    let none = |message: &str| CapabilityError::new("EXCHANGE_NO_TOKEN", message);
    let mut answer: Value = serde_json::from_slice(body).map_err(|_| none("the answer is no JSON"))?;
    let expires = recipe.expires.as_ref().and_then(|pointer| {
        let value = answer.pointer(pointer)?;
        let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        Some(Duration::from_secs(seconds))
    });
    let slot = answer.pointer_mut(&recipe.token).map(Value::take);
    let Some(Value::String(token)) = slot else {
        return Err(none("the answer has no text where `token` points"));
    };
    let token = SecretValue::new(token.into_bytes()).map_err(|error| none(&error.to_string()))?;
    if token.expose().len() < TOKEN_BYTES {
        return Err(none("the token is too short to be kept apart from ordinary text"));
    }
    let finder = Finder::new(&[token.expose()]).map_err(|error| none(&error.to_string()))?;
    if finder.is_in(answer.to_string().as_bytes()) {
        let message = "the answer has the token in another place as well, so nothing of it is handed out";
        return Err(CapabilityError::new("EXCHANGE_TOKEN_REPEATED", message));
    }
    Ok((token, expires, answer))
}

/// A request that failed, in words that hold no address.
fn failed(error: &BrokerError) -> CapabilityError {
    let mut failure = CapabilityError::new(error.code(), "the request of the exchange failed");
    failure.retryable = error.is_retryable();
    failure.retry_after_ms =
        error.retry_after().map(|after| u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
    // What is missing, and what the operator can do about it.
    if error.is_denial() {
        failure.message = error.to_string();
    }
    failure
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            name: "tenant_token".parse().unwrap(),
            method: "POST".to_owned(),
            url: "https://open.feishu.cn/auth".to_owned(),
            headers: Vec::new(),
            body: br#"{"app_secret": "{{secret:app_secret}}"}"#.to_vec(),
            token: "/data/token".to_owned(),
            expires: Some("/data/expire".to_owned()),
            lifetime: None,
            audience: Vec::new(),
        }
    }

    fn with() -> SecretName {
        "app_secret".parse().unwrap()
    }

    #[test]
    fn the_token_is_cut_out_and_the_rest_is_handed_on() {
        let body = br#"{"code": 0, "data": {"token": "t-0123456789", "expire": 7200}}"#;

        let (token, expires, rest) = cut(body, &recipe()).unwrap();

        assert_eq!(token.expose(), b"t-0123456789");
        assert_eq!(expires, Some(Duration::from_secs(7200)));
        assert_eq!(rest, json!({ "code": 0, "data": { "token": null, "expire": 7200 } }));
    }

    #[test]
    fn a_token_that_stands_elsewhere_too_is_handed_to_nobody() {
        let hex = hex::encode("t-0123456789");
        for other in ["t-0123456789", "Bearer t-0123456789", &hex, "dC0wMTIzNDU2Nzg5"] {
            let body = json!({ "data": { "token": "t-0123456789", "again": other } }).to_string();

            let error = cut(body.as_bytes(), &recipe()).err().unwrap();

            assert_eq!(error.code, "EXCHANGE_TOKEN_REPEATED", "{other}");
            assert!(!error.message.contains(other));
        }
    }

    #[test]
    fn an_answer_without_a_token_is_none() {
        for body in [
            "",
            "no json",
            "{}",
            r#"{"data": {"token": 5}}"#,
            r#"{"data": {"token": ""}}"#,
            r#"{"data": {"token": "short"}}"#,
        ] {
            assert_eq!(cut(body.as_bytes(), &recipe()).err().unwrap().code, "EXCHANGE_NO_TOKEN", "{body}");
        }
    }

    #[test]
    fn a_recipe_names_the_secret_that_it_is_made_with() {
        assert_eq!(recipe().check(&with()), Ok(()));
        let changed = |change: &dyn Fn(&mut Recipe)| {
            let mut recipe = recipe();
            change(&mut recipe);
            recipe.check(&with()).unwrap_err().code
        };
        for code in [
            changed(&|recipe| recipe.body = b"{}".to_vec()),
            changed(&|recipe| recipe.name = with()),
            changed(&|recipe| recipe.token = "token".to_owned()),
            changed(&|recipe| recipe.expires = Some(String::new())),
            changed(&|recipe| recipe.audience = vec!["https://*".to_owned()]),
            changed(&|recipe| recipe.headers = vec![(String::new(), String::new()); 65]),
        ] {
            assert_eq!(code, "EXCHANGE_RECIPE_INVALID");
        }
        let in_header = Recipe {
            body: Vec::new(),
            headers: vec![("authorization".to_owned(), "Basic {{secret:app_secret}}".to_owned())],
            ..recipe()
        };
        assert_eq!(in_header.check(&with()), Ok(()));
    }
}
