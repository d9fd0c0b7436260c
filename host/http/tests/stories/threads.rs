//! Workspaces and threads.

use axum::body::Body;
use axum::http::Method;
use berth_core::port::store::Store;
use serde_json::{Value, json};

use crate::support::{Berth, request, tidy};

#[tokio::test]
async fn a1_the_workspaces_of_the_first_start_are_there() {
    let berth = Berth::start().await;

    let workspaces = berth.get("/runtime/workspaces").await.ok();

    let ids: Vec<_> = workspaces.as_array().unwrap().iter().map(|one| one["workspace_id"].clone()).collect();
    assert_eq!(ids, ["desktop-main", "home-lab", "personal", "study"]);
    insta::assert_snapshot!("workspace", tidy(&workspaces[1]));
}

#[tokio::test]
async fn b9_a_workspace_lists_its_endpoints_with_the_state_of_their_connection() {
    let berth = Berth::start().await;
    berth.endpoint("desktop.main", "home-lab", true).await;
    berth.endpoint("desktop.old", "home-lab", false).await;
    berth.endpoint("desktop.other", "study", true).await;

    let endpoints = berth.get("/runtime/workspaces/home-lab/endpoints").await.ok();

    let states: Vec<_> =
        endpoints.as_array().unwrap().iter().map(|one| (&one["endpoint_id"], &one["status"])).collect();
    assert_eq!(
        states,
        [(&json!("desktop.main"), &json!("online")), (&json!("desktop.old"), &json!("offline"))]
    );
    insta::assert_snapshot!("endpoint_available", tidy(&endpoints[0]));
    let bare = berth.get("/runtime/workspaces/home-lab/endpoints?include_tools=false").await.ok();
    assert_eq!(bare[0]["executable_tools"], json!([]));
    assert_eq!(berth.get("/runtime/workspaces/nowhere/endpoints").await.ok(), json!([]));
}

#[tokio::test]
async fn a5_a_provider_joins_where_it_says_once_and_never_moves_itself_again() {
    let berth = Berth::start().await;
    berth.endpoint("desktop.main", "home-lab", true).await;

    berth.endpoint("desktop.main", "study", true).await;

    let endpoints = berth.get("/runtime/workspaces/home-lab/endpoints").await.ok();
    assert_eq!(endpoints[0]["workspace_ids"], json!(["home-lab"]));
    assert_eq!(berth.get("/runtime/workspaces/study/endpoints").await.ok(), json!([]));
}

#[tokio::test]
async fn a6_a_tool_that_an_endpoint_lists_no_more_is_gone() {
    let berth = Berth::start().await;
    berth.endpoint("desktop.main", "home-lab", true).await;
    let tools = async || {
        let endpoints = berth.get("/runtime/workspaces/home-lab/endpoints").await.ok();
        endpoints[0]["executable_tools"].clone()
    };

    berth.offers("desktop.main", &["screen.shot", "screen.lock"]).await;
    assert_eq!(tools().await, json!(["screen.lock", "screen.shot"]));
    let offered = berth.get("/runtime/tools?workspace_id=home-lab").await.ok();
    let shot = offered.as_array().unwrap().iter().find(|tool| tool["tool_key"] == "screen.shot").unwrap();
    assert_eq!((&shot["title"], &shot["input_schema"]["type"]), (&json!("Tool"), &json!("object")));

    berth.offers("desktop.main", &["screen.lock"]).await;
    assert_eq!(tools().await, json!(["screen.lock"]));
}

#[tokio::test]
async fn a_thread_is_made_read_and_listed() {
    let berth = Berth::start().await;
    let body = json!({ "home_workspace_id": "study", "title": "Latin", "mode": "office", "unknown": 1 });

    let thread = berth.post("/runtime/threads", body).await.ok();

    insta::assert_snapshot!("thread", tidy(&thread));
    let id = thread["thread_id"].as_str().unwrap();
    assert_eq!(berth.get(&format!("/runtime/threads/{id}")).await.ok(), thread);
    assert_eq!(berth.get("/runtime/threads?workspace_id=study").await.ok(), json!([thread]));
    assert_eq!(berth.get("/runtime/threads?workspace_id=personal").await.ok(), json!([]));
}

#[tokio::test]
async fn a_thread_that_names_no_workspace_is_personal_and_an_unknown_one_is_refused() {
    let berth = Berth::start().await;

    assert_eq!(berth.post("/runtime/threads", json!({})).await.ok()["workspace_id"], "personal");
    assert_eq!(
        berth.post("/runtime/threads", json!({ "workspace_id": "" })).await.ok()["workspace_id"],
        "personal"
    );

    for path in ["/runtime/threads", "/runtime/threads/default"] {
        let error =
            berth.post(path, json!({ "workspace_id": "nowhere" })).await.refuses(404, "workspace_not_found");
        assert_eq!(error["message"], "unknown workspace: nowhere");
    }
    berth.post("/runtime/threads", json!({ "project_id": "prj_1" })).await.refuses(404, "project_not_found");
    berth.get("/runtime/threads?project_id=prj_1").await.refuses(404, "project_not_found");
}

#[tokio::test]
async fn a3_a_default_thread_is_made_once_for_each_workspace_and_key() {
    let berth = Berth::start().await;
    let ask = async |body: Value| berth.post("/runtime/threads/default", body).await.ok();

    let first = ask(json!({})).await;

    assert_eq!((&first["title"], &first["workspace_id"]), (&json!("Desktop Chat"), &json!("personal")));
    assert_eq!(ask(json!({ "default_key": "frontend.default", "title": "Other" })).await, first);
    assert_ne!(ask(json!({ "default_key": "cli" })).await["thread_id"], first["thread_id"]);
    assert_ne!(ask(json!({ "workspace_id": "study" })).await["thread_id"], first["thread_id"]);
}

#[tokio::test]
async fn many_who_ask_for_the_same_default_thread_at_once_get_the_same() {
    let berth = Berth::start().await;
    let asks = (0..12).map(|_| berth.post("/runtime/threads/default", json!({ "default_key": "k" })));

    let answers = futures::future::join_all(asks).await;

    let ids: std::collections::BTreeSet<_> =
        answers.iter().map(|answer| answer.ok()["thread_id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a3_deleting_is_soft_always_answered_and_refused_for_a_default_thread() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let default = berth.post("/runtime/threads/default", json!({})).await.ok()["thread_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let unknown = format!("thr_{:032x}", 0xdead);
    let delete = async |id: &str| berth.delete(&format!("/runtime/threads/{id}")).await.ok();

    let done = delete(&thread).await;

    insta::assert_snapshot!("thread_delete", tidy(&done));
    for (id, ok, reason, is_default) in [
        (thread.as_str(), true, "already_deleted", false),
        (&default, false, "default_thread", true),
        (&unknown, false, "not_found", false),
        ("no-id", false, "not_found", false),
        ("%20", false, "thread_id_required", false),
    ] {
        let answer = delete(id).await;
        let told = (&answer["ok"], &answer["reason"], &answer["default_thread"]);
        assert_eq!(told, (&json!(ok), &json!(reason), &json!(is_default)), "{id}");
    }
    let forced = berth.delete(&format!("/runtime/threads/{default}?force=true")).await.ok();
    assert_eq!((&forced["ok"], &forced["reason"]), (&json!(true), &json!("deleted")));
    for id in [&thread, &default] {
        berth.get(&format!("/runtime/threads/{id}")).await.refuses(404, "thread_not_found");
        berth.get(&format!("/runtime/threads/{id}/messages")).await.refuses(404, "thread_not_found");
        berth.get(&format!("/runtime/threads/{id}/events")).await.refuses(404, "thread_not_found");
    }
    assert_eq!(berth.get("/runtime/threads").await.ok(), json!([]));
    let again = berth.post("/runtime/threads/default", json!({})).await.ok();
    assert_ne!(again["thread_id"], default);
}

#[tokio::test]
async fn a_long_list_of_threads_is_read_page_by_page_without_gap_or_repeat() {
    let berth = Berth::start().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.insert(0, berth.thread().await);
    }
    let mut read = Vec::new();
    let mut path = "/runtime/threads?limit=3".to_owned();

    loop {
        let page = berth.get(&path).await;
        read.extend(
            page.ok().as_array().unwrap().iter().map(|one| one["thread_id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page.headers.get("next-cursor") else { break };
        path = format!("/runtime/threads?limit=3&cursor={}", cursor.to_str().unwrap());
    }

    assert_eq!(read, made);
}

#[tokio::test]
async fn a_limit_is_kept_within_its_bounds_and_a_bad_cursor_is_refused() {
    let berth = Berth::start().await;
    for _ in 0..2 {
        berth.thread().await;
    }
    for (limit, count) in [("0", 1), ("-5", 1), ("1", 1), ("9999999", 2)] {
        let threads = berth.get(&format!("/runtime/threads?limit={limit}")).await.ok();
        assert_eq!(threads.as_array().unwrap().len(), count, "{limit}");
    }
    for limit in ["x", "1.5", "99999999999999999999"] {
        let error =
            berth.get(&format!("/runtime/threads?limit={limit}")).await.refuses(422, "invalid_request");
        assert_eq!(error["details"]["errors"][0]["field"], "limit");
    }
    for cursor in ["x", "1.thr_1", "0", "1.2.3"] {
        let error =
            berth.get(&format!("/runtime/threads?cursor={cursor}")).await.refuses(422, "invalid_request");
        assert_eq!(error["details"]["errors"][0]["field"], "cursor");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_asked_is_a_refusal_to_try_again() {
    let berth = Berth::start().await;
    assert!(berth.store.read().await.is_ok());
    berth.store.close().await;

    let answer = berth.send(request(Method::GET, "/runtime/threads").body(Body::empty()).unwrap()).await;

    let error = answer.refuses(503, "store_unavailable");
    assert_eq!((&error["retryable"], &error["category"]), (&json!(true), &json!("dependency")));
    assert_eq!(answer.headers["retry-after"], "1");
}
