#![allow(clippy::unwrap_used)]

use berth_plugin::testing;

use super::*;

fn services_say(answer: Response) {
    testing::host(|host| host.on_request(move |_| Ok(answer.clone())));
}

fn sent() -> Request {
    testing::host(|host| host.requests.pop()).unwrap()
}

fn pair(name: &str, value: &str) -> Pair {
    Pair { name: name.into(), value: value.into() }
}

fn read(url: &str) -> Result<Answer, Error> {
    Http::read(url.into(), None, None, None, None, None)
}

fn post(body: Body, headers: Option<Vec<Pair>>) -> Result<Answer, Error> {
    Http::send(Method::Post, "https://a.example/x".into(), Some(body), None, headers, None, None, None)
}

fn with_secret(place: Place) -> Request {
    let secret = Secret { name: "token".into(), place };
    Http::read("https://a.example/x?a=1#part".into(), None, None, Some(secret), None, None).unwrap();
    sent()
}

#[test]
fn an_answer_comes_with_status_headers_and_body_whatever_it_is() {
    services_say(Response::new(404, "not here").with_header("Content-Type", "text/plain"));

    let answer = read("https://a.example/x").unwrap();

    assert_eq!((answer.status, answer.body.as_str(), answer.truncated), (404, "not here", false));
    assert_eq!(
        (answer.headers[0].name.as_str(), answer.headers[0].value.as_str()),
        ("content-type", "text/plain")
    );
    assert_eq!(sent().method, "GET");
}

fn sent_nothing() -> bool {
    testing::host(|host| host.requests.is_empty())
}

#[test]
fn bytes_come_as_base64_and_text_that_was_cut_stays_text() {
    services_say(Response::new(200, vec![0xff, 0]));
    let answer = read("https://a.example/x").unwrap();
    assert_eq!((answer.encoding, answer.body.as_str()), (Encoding::Base64, "/wA="));

    services_say(Response::new(200, "aé"));
    let answer = Http::read("https://a.example/x".into(), None, None, None, None, Some(2)).unwrap();
    assert_eq!((answer.encoding, answer.body.as_str(), answer.truncated), (Encoding::Text, "a", true));
}

#[test]
fn a_query_is_escaped_and_added() {
    services_say(Response::new(200, ""));
    let query = Some(vec![pair("q", "a&b=c d/é"), pair("page", "2")]);

    Http::read("https://a.example/x?a=1#part".into(), query, None, None, None, None).unwrap();

    assert_eq!(sent().url, "https://a.example/x?a=1&q=a%26b%3Dc%20d%2F%C3%A9&page=2");
}

#[test]
fn a_secret_is_a_placeholder_where_it_is_wanted_and_nowhere_else() {
    services_say(Response::new(200, ""));

    assert_eq!(with_secret(Place::Bearer).header("authorization"), Some("Bearer {{secret:token}}"));
    assert_eq!(with_secret(Place::Header("x-key".into())).header("X-Key"), Some("{{secret:token}}"));
    let in_query = with_secret(Place::Query("key".into()));
    assert_eq!(in_query.url, "https://a.example/x?a=1&key={{secret:token}}");

    let odd = Secret { name: "a}}{{secret:b".into(), place: Place::Bearer };
    let refused = Http::read("https://a.example/".into(), None, None, Some(odd), None, None).unwrap_err();
    assert_eq!(refused.code, "invalid_arguments");
}

#[test]
fn a_body_is_json_a_form_or_text_and_says_which() {
    services_say(Response::new(201, ""));

    post(Body::Json(r#"{"a":  "{{secret:token}}"}"#.into()), None).unwrap();
    let json = sent();
    assert_eq!(
        (json.header("content-type"), &json.body[..]),
        (Some("application/json"), &br#"{"a":"{{secret:token}}"}"#[..])
    );
    post(Body::Form(vec![pair("a b", "1+1"), pair("key", "{{secret:token}}")]), None).unwrap();
    assert_eq!(sent().body, b"a%20b=1%2B1&key={{secret:token}}");
    post(Body::Text("<a/>".into()), Some(vec![pair("Content-Type", "text/xml")])).unwrap();
    let text = sent();
    assert_eq!((text.header("content-type"), text.headers.len()), (Some("text/xml"), 1));

    assert_eq!(post(Body::Json("{".into()), None).unwrap_err().code, "invalid_arguments");
}

#[test]
fn a_header_cannot_bring_a_second_one_with_it() {
    services_say(Response::new(200, ""));

    let refused = post(Body::Text(String::new()), Some(vec![pair("x", "a\r\nhost: b")])).unwrap_err();

    assert_eq!(refused.code, "invalid_arguments");
    assert!(sent_nothing());
}

#[test]
fn a_denial_names_the_grant_that_is_missing() {
    let denied = read("https://b.example:8443/v1/items?x=1").unwrap_err();

    assert_eq!(denied.code, "denied");
    let grant = r#"berth plugin grant http http --scope '{"hosts":["https://b.example:8443"],"paths":["/v1/items"],"methods":["GET"]}'"#;
    assert!(denied.message.contains(grant), "{}", denied.message);
}

#[test]
fn a_dry_run_sends_nothing() {
    testing::host(|host| host.context.dry_run = true);

    assert_eq!(post(Body::Text("x".into()), None).unwrap().status, 0);

    assert!(sent_nothing());
}
