//! Requests that are wrong in themselves. Each is refused, none is a failure of the host.

use axum::body::Body;
use axum::http::{Method, header};
use serde_json::{Value, json};

use crate::support::{Answer, Berth, on_each_database, request};

async fn raw(berth: &Berth, path: &str, kind: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = request(Method::POST, path);
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    berth.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn what_is_no_json_is_told_by_line_and_column() {
    let berth = Berth::start().await;
    for (body, place) in [
        ("{\n  \"title\": \"a\",\n  oops\n}", "line 3 column 3"),
        ("{", "line 1 column 1"),
        ("{} {}", "line 1 column 4"),
        ("\u{1}", "line 1 column 1"),
        ("{\"title\": \"\u{0}\"}", "line 1 column 12"),
    ] {
        let error = raw(&berth, "/runtime/threads", Some("application/json"), body)
            .await
            .refuses(400, "invalid_json");
        assert!(error["message"].as_str().unwrap().ends_with(place), "{error}");
    }
    let latin = raw(&berth, "/runtime/threads", None, vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}']).await;
    latin.refuses(400, "invalid_json");
    raw(&berth, "/runtime/threads", None, "[".repeat(100_000)).await.refuses(400, "invalid_json");
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let berth = Berth::start().await;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", ""]
    {
        raw(&berth, "/runtime/threads", Some(kind), "{}").await.refuses(415, "unsupported_media_type");
    }
    for kind in
        [None, Some("application/json"), Some("application/json; charset=utf-8"), Some("application/x+json")]
    {
        assert_eq!(raw(&berth, "/runtime/threads", kind, "{}").await.status, 200, "{kind:?}");
    }
}

#[tokio::test]
async fn a_field_of_another_type_is_told_by_its_name() {
    let berth = Berth::start().await;
    for (path, body, field) in [
        ("/runtime/threads", json!({ "title": 5 }), "title"),
        ("/runtime/threads", json!([]), "body"),
        ("/runtime/messages", json!({ "content": "x" }), "thread_id"),
        ("/runtime/messages", json!({ "thread_id": "t", "content": "x", "metadata": [] }), "metadata"),
        ("/runtime/messages", json!({ "thread_id": "t", "content": "x", "reply": "yes" }), "reply"),
        ("/runtime/operations", json!({ "thread_id": "t", "workspace_id": "w" }), "operation_type"),
    ] {
        let error = berth.post(path, body).await.refuses(422, "invalid_request");
        assert_eq!(error["details"]["errors"][0]["field"], field, "{error}");
        assert!(!error["details"]["errors"][0]["reason"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let berth = Berth::start().await;
    let filler = "x".repeat(300 << 10);
    let body = json!({ "title": filler }).to_string();
    let error = raw(&berth, "/runtime/threads", None, body.clone()).await.refuses(413, "body_too_large");
    assert_eq!(error["details"]["limit_bytes"], 256 << 10);
    let chunks = futures::stream::iter(
        body.into_bytes()
            .chunks(4096)
            .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
            .collect::<Vec<_>>(),
    );
    raw(&berth, "/runtime/threads", None, Body::from_stream(chunks)).await.refuses(413, "body_too_large");
    let lie = request(Method::POST, "/runtime/threads").header(header::CONTENT_LENGTH, "9999999999");
    berth.send(lie.body(Body::from("{}")).unwrap()).await.refuses(413, "body_too_large");

    let thread = berth.thread().await;
    let message = |bytes: usize| json!({ "thread_id": thread, "content": "x".repeat(bytes), "reply": false });
    assert_eq!(berth.post("/runtime/messages", message(512 << 10)).await.status, 200);
    berth.post("/runtime/messages", message((512 << 10) + 1)).await.refuses(422, "invalid_request");
    berth.post("/runtime/messages", message(5 << 20)).await.refuses(413, "body_too_large");
}

#[tokio::test]
async fn a_body_that_breaks_off_or_never_comes_is_refused() {
    let berth = Berth::start_with(|http, _| http.body_within = std::time::Duration::from_millis(20)).await;
    let broken = futures::stream::iter([Ok("{"), Err(std::io::Error::other("gone"))]);
    raw(&berth, "/runtime/threads", None, Body::from_stream(broken)).await.refuses(400, "body_incomplete");
    let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let error =
        raw(&berth, "/runtime/threads", None, Body::from_stream(never)).await.refuses(408, "request_timeout");
    assert_eq!(error["retryable"], true);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let berth = Berth::start_with(|http, _| http.answer_within = std::time::Duration::from_millis(20)).await;
    use berth_core::port::store::Store;
    let _busy = berth.store.write().await.unwrap();

    let error = berth.post("/runtime/threads", json!({})).await.refuses(503, "answer_overdue");

    assert_eq!(error["retryable"], true);
}

#[tokio::test]
async fn ids_that_nothing_has_are_not_found_and_named() {
    let berth = Berth::start().await;
    for (path, kind) in
        [("/runtime/threads/", "thread"), ("/runtime/runs/", "run"), ("/runtime/operations/", "operation")]
    {
        for id in ["nonsense", "thr_1", "..%2f..%2fetc", "%F0%9F%90%99", "a%0Ab", &"x".repeat(3000)] {
            let error = berth.get(&format!("{path}{id}")).await.refuses(404, &format!("{kind}_not_found"));
            assert!(error["message"].as_str().unwrap().starts_with(&format!("unknown {kind}: ")), "{error}");
            assert!(error["message"].as_str().unwrap().len() < 400, "{error}");
        }
    }
    // What is no text names no route's id.
    berth.get("/runtime/threads/%FF").await.refuses(404, "thread_not_found");
}

#[tokio::test]
async fn a_nul_is_refused_by_name_wherever_it_is_on_every_database() {
    on_each_database(async |url| {
        let berth = Berth::on(&url).await;
        let thread = berth.thread().await;
        let session = berth.session(&thread).await;
        let message = |change: Value| {
            let mut body = json!({ "thread_id": thread, "endpoint_id": "e", "content": "hi", "reply": false });
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            body
        };
        for (path, body, field) in [
            ("/runtime/threads", json!({ "title": "a\0" }), "title"),
            ("/runtime/threads", json!({ "home_workspace_id": "a\0" }), "home_workspace_id"),
            ("/runtime/threads/default", json!({ "default_key": "\0" }), "default_key"),
            ("/runtime/messages", message(json!({ "content": "\0" })), "content"),
            ("/runtime/messages", message(json!({ "endpoint_message_id": "\0" })), "endpoint_message_id"),
            ("/runtime/messages", message(json!({ "metadata": { "a": ["b", "\0"] } })), "metadata.a[1]"),
            ("/runtime/messages", message(json!({ "metadata": { "a\0": 1 } })), "metadata.a\u{fffd}"),
            ("/runtime/messages", message(json!({ "options": { "model": "\0" } })), "options.model"),
            ("/runtime/endpoint-sessions/resolve", json!({ "endpoint_id": "e", "conversation_key": "\0" }), "conversation_key"),
            ("/runtime/endpoint-sessions/resolve", json!({ "endpoint_id": "e", "conversation_key": "k", "display_name": "\0" }), "display_name"),
            ("/runtime/operations", json!({ "thread_id": thread, "workspace_id": "personal", "operation_type": "x", "tool_key": "notes_read", "title": "\0" }), "title"),
            (&format!("/runtime/approvals/approval_{:032x}/decision", 1), json!({ "decision": "approve", "reason": "\0" }), "reason"),
            (&format!("/runtime/sessions/{session}/confirm-response"), json!({ "accepted": true, "request_id": "\0" }), "request_id"),
            (&format!("/runtime/sessions/{session}/reply-control"), json!({ "action": "stop", "endpoint_request_id": "\0" }), "endpoint_request_id"),
            ("/operator/plugins/notes/grants", json!({ "capability": "files", "reason": "\0" }), "reason"),
        ] {
            let error = berth.post(path, body).await.refuses(400, "nul_character");
            assert_eq!(error["message"], format!("`{field}` has a NUL character"), "{path}");
        }
        for (path, field) in [
            ("/runtime/threads/thr_%00", "thread_id"),
            ("/runtime/workspaces/a%00/endpoints", "workspace_id"),
            ("/operator/plugins/a%00", "plugin_id"),
            ("/runtime/threads?workspace_id=a%00", "workspace_id"),
            ("/runtime/threads?limit=1&cursor=%00", "cursor"),
        ] {
            let error = berth.get(path).await.refuses(400, "nul_character");
            assert_eq!(error["details"]["field"], field, "{path}");
        }
        berth.delete("/runtime/threads/a%00").await.refuses(400, "nul_character");
        // What goes to a tool belongs to the tool.
        let call = json!({ "tool": "notes_read", "arguments": { "text": "a\0b" } });
        assert_eq!(berth.post("/operator/plugins/call", call).await.ok()["result"]["echo"]["text"], "a\0b");
    })
    .await;
}
