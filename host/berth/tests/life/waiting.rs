//! What waits for the owner while the host is away.

use serde_json::json;

use super::api::{Api, run_of};
use super::databases::PostgresDatabase;
use crate::support::{Host, Options, plugin};

#[tokio::test]
async fn what_waits_for_the_owner_outlives_kill_9_and_goes_on_when_it_is_approved() {
    asked_killed_and_approved(Host::start(Options::default())).await;
}

#[tokio::test]
async fn what_waits_for_the_owner_outlives_kill_9_beside_postgresql_too() {
    let Some(database) = PostgresDatabase::create().await else { return };
    let options = Options::default().arg("--database").arg(database.url());
    asked_killed_and_approved(Host::start(options)).await;
    database.remove().await;
}

async fn asked_killed_and_approved(mut host: Host) {
    host.cli(&["plugin", "install", plugin("files").to_str().unwrap()]).ok();
    let folder = host.scratch().join("notes");
    std::fs::create_dir(&folder).unwrap();
    let place = folder.to_str().unwrap().to_owned();
    let grant =
        ["plugin", "grant", "files", "files", "--folder", &place, "--write", "--as", "/", "--mode", "ask"];
    host.cli(&grant).ok();
    let api = Api::of(&host);
    let thread = api.new_thread().await;
    let mut listener = api.listen(&thread, 0).await;
    let text = "/call files_write {\"path\":\"/kept.md\",\"content\":\"once\"}";
    let run = run_of(&api.message(&thread, "1", text).await);
    while listener.stored().await.unwrap().kind != "approval.required" {}

    for killed in [true, false] {
        if killed {
            host.kill9();
        } else {
            host.stop();
        }
        host.restart();
        let api = Api::of(&host);
        assert_eq!(api.get(&format!("/runtime/runs/{run}")).await["status"], "waiting_for_approval");
    }
    let pending = host.cli(&["approvals", "--json"]).json();
    assert_eq!(pending.as_array().unwrap().len(), 1, "{pending}");
    assert!(!folder.join("kept.md").exists());
    host.cli(&["approvals", "approve", pending[0]["approval_id"].as_str().unwrap()]).ok();

    let api = Api::of(&host);
    let told = api.listen(&thread, 0).await.until_end(&run).await;
    assert_eq!(told.last().unwrap().kind, "run.completed");
    assert_eq!(std::fs::read_to_string(folder.join("kept.md")).unwrap(), "once");
    let said = api.get(&format!("/runtime/threads/{thread}/messages")).await;
    let said: Vec<_> = said.as_array().unwrap().iter().map(|one| one["role"].clone()).collect();
    assert_eq!(said, [json!("user"), json!("assistant")], "one answer");
    let audit = host.cli(&["plugin", "audit", "files", "--json"]).json();
    assert_eq!((&audit[0]["run_id"], &audit[0]["approval_id"]), (&json!(run), &pending[0]["approval_id"]));
}
