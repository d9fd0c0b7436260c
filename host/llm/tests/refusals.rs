//! What a host may answer instead of a stream, by a server that the test scripts.

#![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use berth_core::port::model::{ChatMessage, Model, ModelError, ModelEvent, ModelOptions, ModelRequest};
use berth_llm::openai::{OpenAiConfig, RetryPolicy};
use berth_llm::{ApiKey, OpenAi};
use futures::StreamExt;
use serde_json::{Value, json};

type Bodies = Arc<Mutex<Vec<Value>>>;

/// A host that answers the n-th request with `answers(n)`, and the bodies it was sent.
async fn host(answers: fn(usize) -> Response) -> (OpenAi, Bodies) {
    let bodies = Bodies::default();
    let seen = bodies.clone();
    let app = Router::new().route(
        "/v1/chat/completions",
        post(async move |Json(body): Json<Value>| {
            let turn = {
                let mut seen = seen.lock().unwrap();
                seen.push(body);
                seen.len() - 1
            };
            answers(turn)
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let model = OpenAi::new(OpenAiConfig {
        base_url: format!("http://{address}/v1/"),
        model: "m".to_owned(),
        key: ApiKey::new("canary-key-5a1f"),
        retry: RetryPolicy { retries: 2, base: Duration::from_millis(1), max: Duration::from_secs(1) },
    })
    .unwrap();
    (model, bodies)
}

async fn ask(model: &OpenAi) -> Result<String, ModelError> {
    let request = ModelRequest {
        messages: vec![ChatMessage::User("hi".to_owned())],
        tools: Vec::new(),
        options: ModelOptions { thinking_effort: Some("low".to_owned()), ..ModelOptions::default() },
    };
    let mut stream = model.stream(request).await?;
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        if let ModelEvent::Text(piece) = event? {
            text.push_str(&piece);
        }
    }
    Ok(text)
}

fn stream(text: &str) -> Response {
    let body = format!(
        "data: {}\n\ndata: [DONE]\n\n",
        json!({ "choices": [{ "delta": { "content": text }, "finish_reason": "stop" }] })
    );
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn error(status: StatusCode, error: Value) -> Response {
    (status, [(header::RETRY_AFTER, "0")], Json(json!({ "error": error }))).into_response()
}

fn unknown_field() -> Response {
    error(StatusCode::BAD_REQUEST, json!({ "param": "reasoning_effort", "message": "unknown" }))
}

#[tokio::test]
async fn a_busy_host_is_asked_again_and_the_answer_comes_once() {
    let (model, bodies) = host(|turn| match turn {
        0 => error(StatusCode::TOO_MANY_REQUESTS, json!({ "message": "slow down" })),
        1 => error(StatusCode::BAD_GATEWAY, json!({ "message": "restarting" })),
        _ => stream("there"),
    })
    .await;

    assert_eq!(ask(&model).await.unwrap(), "there");
    assert_eq!(bodies.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_unknown_optional_field_is_left_out_once_and_only_once() {
    let (model, bodies) = host(|turn| if turn == 0 { unknown_field() } else { stream("plain") }).await;

    assert_eq!(ask(&model).await.unwrap(), "plain");
    {
        let bodies = bodies.lock().unwrap();
        assert_eq!(bodies[0]["reasoning_effort"], "low");
        assert_eq!(bodies[1].get("reasoning_effort"), None);
        assert_eq!(bodies[1].get("stream_options"), None);
    }

    let (model, bodies) = host(|_| unknown_field()).await;
    assert_eq!(ask(&model).await.unwrap_err().code, "provider_invalid_request_fields");
    assert_eq!(bodies.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_wrong_key_is_not_tried_again_and_not_repeated() {
    let (model, bodies) =
        host(|_| error(StatusCode::UNAUTHORIZED, json!({ "message": "bad key canary-key-5a1f" }))).await;

    let error = ask(&model).await.unwrap_err();

    assert_eq!(error.code, "provider_auth_failed");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    assert_eq!(bodies.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (model, bodies) = host(|_| {
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://127.0.0.1:9/v1/chat/completions")])
            .into_response()
    })
    .await;

    assert_eq!(ask(&model).await.unwrap_err().code, "provider_request_failed");
    assert_eq!(bodies.lock().unwrap().len(), 1);
}

#[test]
fn a_base_url_that_is_none_is_refused_with_an_example() {
    for bad in ["", "api.openai.com/v1", "ftp://host/v1", "http://user:pw@host/v1"] {
        let config = OpenAiConfig {
            base_url: bad.to_owned(),
            model: "m".to_owned(),
            key: None,
            retry: RetryPolicy::default(),
        };
        let error = OpenAi::new(config).unwrap_err();
        assert!(error.to_string().contains("https://api.openai.com/v1"), "{error}");
    }
}
