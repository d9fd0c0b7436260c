//! Who runs a call: Core, a plugin, or which endpoint.

use berth_core::operations::{Ask, Finished};
use berth_core::port::store::Store;
use berth_core::{CoreConfig, CoreError};
use berth_model::event::EventType;
use berth_model::workspace::DefaultTarget;
use berth_model::{EndpointId, WorkspaceId};
use serde_json::{Value, json};

use crate::devices::joins;
use crate::harness::{Harness, Piece, on_each};

async fn call(
    berth: &Harness,
    workspace: &'static str,
    tool: &str,
    target: Option<&str>,
) -> Result<Finished, CoreError> {
    let ask = Ask::of_owner(tool, json!({ "n": 1 }), WorkspaceId::fixed(workspace));
    berth.core.operate(Ask { target: target.map(str::to_owned), ..ask }).await
}

/// The code of a call that found nobody, and what is known about it.
async fn refused(
    berth: &Harness,
    workspace: &'static str,
    tool: &str,
    target: Option<&str>,
) -> (String, Value) {
    match call(berth, workspace, tool, target).await.unwrap_err() {
        CoreError::Tool(failure) => (failure.code, failure.details),
        other => panic!("{other}"),
    }
}

async fn rule(berth: &Harness, workspace: &'static str, target: DefaultTarget) {
    let mut tx = berth.store.write().await.unwrap();
    let mut place = tx.lookup_workspace(&WorkspaceId::fixed(workspace)).await.unwrap().unwrap();
    place.default_target = target;
    tx.update_workspace(&place).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn d2_the_chosen_endpoint_gets_the_call_once_and_the_operation_says_why() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["home-lab"], &["edge.echo"]).await;
        joins(&berth, "edge.two", &["study"], &["edge.echo"]).await;

        let finished = call(&berth, "home-lab", "edge.echo", None).await.unwrap();

        assert_eq!(finished.outcome.unwrap().content, json!({ "by": "edge.one" }));
        let calls = berth.devices.calls.lock().unwrap().clone();
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].1.as_str(), &calls[0].2), ("edge.echo", &json!({ "n": 1 })));
        let decision = finished.operation.routing;
        assert_eq!(decision["selected_endpoint_id"], "edge.one");
        assert_eq!(decision["candidate_count"], 2);
        assert_eq!(
            (&decision["breakdown"]["online"], &decision["breakdown"]["workspace"]),
            (&json!(100.0), &json!(28.0))
        );
        let rejected = decision["rejected_candidates"].as_array().unwrap();
        assert_eq!(rejected.len(), 1);
        assert_eq!(rejected[0]["endpoint_id"], "edge.two");
        assert_eq!(rejected[0]["reasons"], json!(["workspace_mismatch"]));
        assert_eq!(rejected[0]["breakdown"]["workspace"], 0.0);
    })
    .await;
}

#[tokio::test]
async fn d4_an_endpoint_that_is_gone_is_not_chosen_and_a_named_one_is_told_to_be_gone() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["home-lab"], &["edge.echo"]).await;
        joins(&berth, "edge.two", &["home-lab"], &["edge.echo"]).await;
        berth.devices.disconnect("edge.one");

        let chosen = call(&berth, "home-lab", "edge.echo", None).await.unwrap();
        assert_eq!(chosen.outcome.unwrap().content, json!({ "by": "edge.two" }));
        let named = call(&berth, "home-lab", "edge.echo", Some("edge.one")).await.unwrap_err();
        assert!(named.retryable());
        assert_eq!(named.code(), "target_endpoint_unavailable");

        berth.devices.disconnect("edge.two");
        let (code, details) = refused(&berth, "home-lab", "edge.echo", None).await;
        assert_eq!(code, "execution_target_unavailable");
        assert_eq!(details["rejected_candidates"][0]["reasons"], json!(["endpoint_disconnected"]));
    })
    .await;
}

#[tokio::test]
async fn what_is_named_wrongly_is_told_apart() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["home-lab"], &["edge.echo"]).await;
        for (tool, target, code) in [
            ("edge.echo", Some("edge.none"), "execution_target_not_found"),
            ("edge.other", Some("edge.one"), "endpoint_capability_not_found"),
            ("edge.echo", Some("core.local"), "core_tool_not_found"),
            ("notes_read", Some("plugin.other"), "core_tool_not_found"),
            ("edge.other", None, "execution_target_unavailable"),
            ("  ", None, "tool_key_required"),
        ] {
            assert_eq!(refused(&berth, "home-lab", tool, target).await.0, code, "{tool} at {target:?}");
        }
        assert_eq!(
            refused(&berth, "study", "edge.echo", Some("edge.one")).await.0,
            "endpoint_not_in_workspace"
        );
        assert!(berth.devices.calls.lock().unwrap().is_empty());
    })
    .await;
}

async fn learned(berth: &Harness, id: &'static str) -> Value {
    let endpoint = berth.core.endpoint(&EndpointId::fixed(id)).await.unwrap();
    endpoint.metadata.get("routing_stats").cloned().unwrap_or_default()
}

#[tokio::test]
async fn d5_the_router_learns_from_what_worked_and_what_did_not_and_chooses_by_it() {
    on_each(async |berth| {
        for id in ["edge.one", "edge.two"] {
            joins(&berth, id, &["home-lab"], &["edge.echo", "edge.broken"]).await;
        }
        assert_eq!(learned(&berth, "edge.one").await, Value::Null);

        let broken = call(&berth, "home-lab", "edge.broken", Some("edge.one")).await.unwrap();
        assert_eq!(broken.outcome.unwrap_err().code, "edge_broke");
        let chosen = call(&berth, "home-lab", "edge.echo", None).await.unwrap();

        assert_eq!(chosen.operation.target_id, "edge.two");
        let (one, two) = (learned(&berth, "edge.one").await, learned(&berth, "edge.two").await);
        assert_eq!((&one["failure_count"], &one["success_count"]), (&json!(1), &Value::Null));
        assert_eq!((&two["failure_count"], &two["success_count"]), (&Value::Null, &json!(1)));
        assert!(two["average_latency_ms"].is_number() && two["last_success_at"].is_string(), "{two}");
        let again = call(&berth, "home-lab", "edge.echo", None).await.unwrap().operation.routing;
        assert_eq!(again["breakdown"]["success"], 18.0);
        assert_eq!(again["selected_endpoint_id"], "edge.two");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_nobody_approved_says_nothing_about_its_endpoint() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["personal"], &["edge.risky"]).await;
        let tools = berth.core.tools(&WorkspaceId::fixed("personal")).await.unwrap();
        let name = tools.into_iter().map(|tool| tool.name.to_string()).find(|name| name.starts_with("ep_"));
        let name: &'static str = name.unwrap().leak();
        berth.model.round(vec![Piece::Call(name, json!({}))]);

        let run = berth.post(berth.thread().await, "go", None).await.unwrap().run.unwrap();
        let asked = berth.until(run, &[EventType::ApprovalRequired]).await;
        let payload = &asked.last().unwrap().event.payload;
        let approval = payload["approval_id"].as_str().unwrap().parse().unwrap();
        berth.core.decide_approval(approval, false, String::new()).await.unwrap();
        let told = berth.until_end(run).await;

        assert_eq!((&payload["tool_key"], &payload["tool_id"]), (&json!("edge.risky"), &json!(name)));
        let failed = told.iter().find(|event| event.event.kind == EventType::ToolCallFailed).unwrap();
        assert_eq!(failed.event.payload["tool_key"], "edge.risky");
        assert_eq!(failed.event.payload["status"], "rejected");
        assert!(berth.devices.calls.lock().unwrap().is_empty());
        assert_eq!(learned(&berth, "edge.one").await, Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_tool_whose_endpoint_left_is_told_to_be_away_and_not_unknown() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["personal"], &["edge.echo"]).await;
        let tools = berth.core.tools(&WorkspaceId::fixed("personal")).await.unwrap();
        let name = tools.into_iter().map(|tool| tool.name.to_string()).find(|name| name.starts_with("ep_"));
        berth.devices.disconnect("edge.one");
        berth.model.round(vec![
            Piece::Call(name.unwrap().leak(), json!({})),
            Piece::Call("ep_0000000000_nobody", json!({})),
        ]);

        let (_, told) = berth.turn("go").await;

        let failed = told.into_iter().filter(|event| event.event.kind == EventType::ToolCallFailed);
        let errors: Vec<_> = failed.map(|event| event.event.payload["error"].clone()).collect();
        assert_eq!(errors[0]["code"], "target_endpoint_unavailable");
        assert_eq!(errors[0]["message"], "edge.one is not connected");
        assert_eq!(errors[0]["retryable"], true);
        assert_eq!(errors[1]["code"], "tool_not_found");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_nobody_can_run_says_what_keeps_each_endpoint_from_it() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["home-lab"], &["edge.echo"]).await;
        joins(&berth, "edge.two", &["study"], &["edge.echo"]).await;
        berth.devices.disconnect("edge.one");

        let mixed = call(&berth, "home-lab", "edge.echo", None).await.unwrap_err().to_string();
        berth.devices.disconnect("edge.two");
        let offline = call(&berth, "home-lab", "edge.echo", None).await.unwrap_err().to_string();

        assert!(mixed.contains("edge.one is out as endpoint_disconnected"), "{mixed}");
        assert!(mixed.contains("edge.two is out as workspace_mismatch"), "{mixed}");
        assert!(
            offline.ends_with("every endpoint that offers it is offline (edge.one, edge.two)"),
            "{offline}"
        );
    })
    .await;
}

#[tokio::test]
async fn d10_the_model_is_offered_the_endpoints_of_its_workspace_and_reaches_no_other() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["personal"], &["edge.echo"]).await;
        joins(&berth, "edge.two", &["study"], &["edge.echo"]).await;
        let offered = |workspace: &'static str| {
            let core = berth.core.clone();
            async move {
                let tools = core.tools(&WorkspaceId::fixed(workspace)).await.unwrap();
                let mut names = tools.into_iter().map(|tool| tool.name.to_string());
                names.find(|name| name.starts_with("ep_")).unwrap()
            }
        };
        let (own, foreign) = (offered("personal").await, offered("study").await);
        assert_ne!(own, foreign);
        berth.model.round(vec![
            Piece::Call(own.clone().leak(), json!({ "n": 2 })),
            Piece::Call(foreign.leak(), json!({ "n": 3 })),
        ]);

        let (run, _) = berth.turn("go").await;

        assert_eq!(berth.core.run(run).await.unwrap().status.as_str(), "succeeded");
        let calls = berth.devices.calls.lock().unwrap().clone();
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert_eq!((calls[0].0.as_str(), calls[0].1.as_str()), ("edge.one", "edge.echo"));
    })
    .await;
}

#[tokio::test]
async fn the_default_target_of_a_workspace_rules_who_is_chosen() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["study"], &["edge.echo", "notes_read"]).await;

        for (target, endpoint_tool, own_tool) in [
            (DefaultTarget::CoreLocal, None, "plugin.notes"),
            (DefaultTarget::Endpoint, None, "plugin.notes"),
            (DefaultTarget::WorkspaceAnyEndpoint, Some("edge.one"), "plugin.notes"),
            (DefaultTarget::PreferEndpointFallbackCore, Some("edge.one"), "edge.one"),
        ] {
            rule(&berth, "study", target).await;
            let by =
                call(&berth, "study", "edge.echo", None).await.ok().map(|done| done.outcome.unwrap().content);
            assert_eq!(by, endpoint_tool.map(|id| json!({ "by": id })), "{target}");
            let own = call(&berth, "study", "notes_read", None).await.unwrap().operation;
            assert_eq!(own.target_id, own_tool, "{target}");
        }
        berth.devices.disconnect("edge.one");
        let own = call(&berth, "study", "notes_read", None).await.unwrap().operation;
        assert_eq!(own.target_id, "plugin.notes", "it falls back when the endpoint is gone");
    })
    .await;
}

#[tokio::test]
async fn a_workspace_of_core_alone_says_who_could_be_named() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["personal"], &["edge.echo"]).await;

        let one = call(&berth, "personal", "edge.echo", None).await.unwrap_err().to_string();
        let none = call(&berth, "personal", "edge.other", None).await.unwrap_err().to_string();

        assert!(one.ends_with("chooses no endpoint by itself, name one of: edge.one"), "{one}");
        assert!(none.ends_with("nothing here offers it"), "{none}");
        assert!(call(&berth, "personal", "edge.echo", Some("edge.one")).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn an_endpoints_tool_that_wants_a_yes_is_not_chosen_without_one() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["home-lab"], &["edge.risky"]).await;
        let ask = Ask::of_owner("edge.risky", json!({}), WorkspaceId::fixed("home-lab"));
        let ask = Ask { consent: berth_core::gate::Consent::Missing, ..ask };

        assert!(berth.core.operate(ask.clone()).await.is_err());
        assert!(berth.devices.calls.lock().unwrap().is_empty());
        let agreed = Ask { consent: berth_core::gate::Consent::Given, ..ask };
        assert!(berth.core.operate(agreed).await.unwrap().outcome.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a5_what_an_endpoint_declares_later_does_not_move_it_to_another_workspace() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["home-lab"], &["edge.echo"]).await;

        joins(&berth, "edge.one", &["study"], &["edge.echo"]).await;

        assert!(call(&berth, "home-lab", "edge.echo", Some("edge.one")).await.is_ok());
        assert_eq!(
            refused(&berth, "study", "edge.echo", Some("edge.one")).await.0,
            "endpoint_not_in_workspace"
        );
    })
    .await;
}

#[tokio::test]
async fn a6_a_new_list_of_tools_takes_away_what_it_does_not_name() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["home-lab"], &["edge.echo", "edge.old"]).await;
        joins(&berth, "edge.one", &[], &["edge.echo"]).await;

        let tools = berth.core.tools(&WorkspaceId::fixed("home-lab")).await.unwrap();
        let kept: Vec<_> = tools.iter().filter(|tool| tool.name.as_str().starts_with("ep_")).collect();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].title, "the edge.echo of edge.one");
        assert_eq!(kept[0].input_schema["properties"]["n"]["type"], "integer");
        assert_eq!(
            refused(&berth, "home-lab", "edge.old", Some("edge.one")).await.0,
            "endpoint_capability_not_found"
        );
    })
    .await;
}

#[tokio::test]
async fn a1_a_second_start_changes_nothing_and_undoes_no_edit() {
    on_each(async |mut berth| {
        let records = async |berth: &Harness| {
            let places = berth.core.list_workspaces().await.unwrap();
            let endpoints = berth.core.list_endpoints().await.unwrap();
            (places, endpoints.into_iter().map(|view| view.endpoint).collect::<Vec<_>>())
        };
        rule(&berth, "study", DefaultTarget::WorkspaceAnyEndpoint).await;
        let before = records(&berth).await;
        assert_eq!((before.0.len(), before.1.len()), (4, 4));

        berth.restart(CoreConfig::default()).await;

        assert_eq!(records(&berth).await, before);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_knows_no_dry_run_and_is_not_asked_for_one_that_changes_something() {
    on_each(async |berth| {
        joins(&berth, "edge.one", &["home-lab"], &["edge.echo", "edge.paint"]).await;
        let dry = async |tool: &str| {
            let ask = Ask::of_owner(tool, json!({ "n": 1 }), WorkspaceId::fixed("home-lab"));
            berth.core.operate(Ask { dry_run: true, ..ask }).await
        };

        let refused = dry("edge.paint").await.unwrap_err();
        let read = dry("edge.echo").await.unwrap();

        assert_eq!(refused.code(), "dry_run_unsupported");
        assert!(read.outcome.is_ok(), "to read changes nothing");
        assert_eq!(read.operation.routing["dry_run"], true);
        assert_eq!(berth.devices.calls.lock().unwrap().len(), 1);
    })
    .await;
}
