//! Upgrades, rollbacks and resumes over the operator's routes.

use serde_json::json;

use crate::support::{Berth, tidy};

#[tokio::test]
async fn an_upgrade_waits_for_consent_unless_it_comes_with_it() {
    let berth = Berth::start().await;
    let upgrade = async |body| berth.post("/operator/plugins/notes/upgrade", body).await;

    let waiting = upgrade(json!({ "path": "/srv/notes" })).await.ok();
    assert_eq!(waiting["outcome"], "waiting");
    assert_eq!(waiting["more"], json!(["new: endpoint", "no longer files (guest /)"]));
    insta::assert_snapshot!("capability_diff", tidy(&waiting["diff"]));
    let agreed = upgrade(json!({ "path": "/srv/notes", "accept": true })).await.ok();
    assert_eq!((&agreed["outcome"], &agreed["more"]), (&json!("active"), &json!([])));
    assert_eq!(agreed["diff"], waiting["diff"]);
    assert_eq!(upgrade(json!({ "accept": true })).await.ok()["generation"], 2);
    upgrade(json!({ "decline": true })).await.refuses(409, "PLUGIN_NOTHING_WAITS");

    for (body, field) in [
        (json!({}), "path"),
        (json!({ "path": "notes" }), "path"),
        (json!({ "accept": true, "decline": true }), "decline"),
        (json!({ "path": "/srv/notes", "decline": true }), "decline"),
    ] {
        let error = upgrade(body).await.refuses(422, "invalid_request");
        assert_eq!(error["details"]["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn an_answer_may_name_the_digest_that_it_is_for_and_another_one_is_refused() {
    let berth = Berth::start().await;
    let upgrade = async |body| berth.post("/operator/plugins/notes/upgrade", body).await;
    let waiting = upgrade(json!({ "path": "/srv/notes" })).await.ok();
    let digest = waiting["waiting_digest"].as_str().unwrap().to_owned();

    for place in [json!({}), json!({ "path": "/srv/notes" })] {
        let mut body = place;
        body["accept"] = json!(true);
        body["digest"] = json!("00".repeat(32));
        upgrade(body.clone()).await.refuses(409, "PLUGIN_OTHER_DIGEST");
        body["digest"] = json!(format!("sha256:{}", digest.to_uppercase()));
        assert_eq!(upgrade(body).await.ok()["outcome"], "active");
    }
    for (body, field) in [
        (json!({ "accept": true, "digest": "abc" }), "digest"),
        (json!({ "accept": true, "digest": format!("sha1:{digest}") }), "digest"),
        (json!({ "decline": true, "digest": digest }), "digest"),
    ] {
        let error = upgrade(body).await.refuses(422, "invalid_request");
        assert_eq!(error["details"]["errors"][0]["field"], field);
    }
    let body = json!({ "path": "/srv/diary", "digest": "ab" });
    berth.post("/operator/plugins/install", body).await.refuses(422, "invalid_request");
}

#[tokio::test]
async fn generations_are_listed_rolled_back_and_resumed() {
    let berth = Berth::start().await;

    let listed = berth.get("/operator/plugins/notes/generations").await.ok();
    assert_eq!((&listed[0]["generation"], &listed[0]["state"]), (&json!(1), &json!("active")));
    assert_eq!((&listed[0]["origin"], &listed[0]["retired_at"]), (&json!("install"), &json!("")));
    assert_eq!(berth.post("/operator/plugins/notes/rollback", json!({})).await.ok()["plugin_id"], "notes");
    let far = berth.post("/operator/plugins/notes/rollback", json!({ "to": 7 })).await;
    far.refuses(409, "PLUGIN_NO_EARLIER_GENERATION");
    assert_eq!(berth.post("/operator/plugins/notes/resume", json!({})).await.ok()["status"], "ready");
    berth.get("/operator/plugins/other/generations").await.refuses(404, "PLUGIN_NOT_FOUND");
    berth.post("/operator/plugins/other/resume", json!({})).await.refuses(404, "PLUGIN_NOT_FOUND");
}
