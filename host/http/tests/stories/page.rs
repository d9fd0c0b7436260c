//! docs/http-api.md tells every route, and no other.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Berth;

const PAGE: &str = include_str!("../../../../docs/http-api.md");

/// `GET /path` and the like, between backticks.
fn routes_told() -> BTreeSet<String> {
    let prose = PAGE.split("```").step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2));
    let is_route = |text: &&str| {
        text.split_once(' ').is_some_and(|(method, path)| {
            ["GET", "POST", "PATCH", "PUT", "DELETE"].contains(&method) && path.starts_with('/')
        })
    };
    prose.filter(is_route).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_route_is_on_the_page_and_every_route_of_the_page_is_served() {
    let berth = Berth::start().await;
    let document = berth.get("/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap().iter();
    let served: BTreeSet<_> = paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();

    assert_eq!(routes_told(), served);
}

#[test]
fn every_example_is_json_and_every_event_type_is_told() {
    let blocks = PAGE.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let examples: Vec<Value> = blocks.map(|block| serde_json::from_str(block).unwrap()).collect();
    assert!(examples.len() > 6);
    for kind in berth_model::event::EventType::ALL {
        let row = PAGE.lines().find(|line| line.starts_with("| types |")).unwrap();
        let (_, stored) = row.split_once("| types |").unwrap();
        let (stored, transient) = stored.split_once(" | ").unwrap();
        let place = if kind.is_durable() { stored } else { transient };
        assert!(place.contains(&format!("`{kind}`")), "{kind} is not told, or in the wrong column");
    }
}
