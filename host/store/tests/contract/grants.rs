//! Grants, their uses, consents and the audit.

use berth_core::port::store::{AuditFilter, Store};
use berth_model::audit::{AuditDecision, AuditRow};
use berth_model::plugin::{Consent, DigestRule, Grant, GrantMode, NewGrant};
use berth_model::{
    ApprovalId, AuditId, CallId, GrantId, OperationId, PluginId, RunId, Timestamp, WorkspaceId,
};
use serde_json::json;

use super::fixture::{Fixture, actor, at, uuid};

fn grant() -> Grant {
    let scope = json!({ "guest": "/", "host": "/srv", "access": "ro" });
    NewGrant::allow(PluginId::fixed("files"), "files", scope).into_grant(GrantId::from_uuid(uuid()), at(1))
}

pub async fn a_grant_reads_back_as_it_was_written(fixture: &Fixture) {
    let mut full = Grant {
        limit: json!({ "per_minute": 6 }),
        mode: GrantMode::Ask,
        rule: DigestRule::Publisher { key: "ed25519:AA".to_owned(), versions: "^1.2".to_owned() },
        workspace: Some(WorkspaceId::fixed("personal")),
        bound_to: Some("run_1".to_owned()),
        granted_by: "user:self".to_owned(),
        reason: "notes".to_owned(),
        approval: Some(ApprovalId::from_uuid(uuid())),
        starts_at: Some(at(2)),
        expires_at: Some(at(9)),
        uses_left: Some(3),
        ..grant()
    };
    let plain = Grant { created_at: at(2), ..grant() };
    let mut tx = fixture.write().await;
    tx.insert_grant(&full).await.unwrap();
    tx.insert_grant(&plain).await.unwrap();

    full.uses_left = Some(2);
    full.expires_at = Some(at(8));
    full.revoked_at = Some(at(4));
    full.revoked_by = Some("user:self".to_owned());
    tx.update_grant(&full).await.unwrap();

    assert_eq!(tx.lookup_grant(full.id).await.unwrap().unwrap(), full);
    assert_eq!(tx.list_grants(Some(&full.plugin)).await.unwrap(), [full.clone(), plain.clone()]);
    assert_eq!(tx.list_grants(Some(&PluginId::fixed("other"))).await.unwrap(), []);
    assert_eq!(tx.list_grants(None).await.unwrap(), [full, plain]);
}

pub async fn of_many_takers_each_use_goes_to_one(fixture: &Fixture) {
    let counted = Grant { uses_left: Some(7), ..grant() };
    let mut tx = fixture.write().await;
    tx.insert_grant(&counted).await.unwrap();
    tx.commit().await.unwrap();

    let takers = (0..20).map(|_| async {
        let mut tx = fixture.store.write().await.unwrap();
        let left = tx.take_use(counted.id, at(2)).await.unwrap();
        tx.commit().await.unwrap();
        left
    });
    let mut left: Vec<i64> = futures::future::join_all(takers).await.into_iter().flatten().collect();

    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3, 4, 5, 6]);
    let stored = fixture.read().await.lookup_grant(counted.id).await.unwrap().unwrap();
    assert_eq!(stored.uses_left, Some(0));
}

pub async fn a_grant_that_does_not_count_gives_no_use(fixture: &Fixture) {
    let now = at(5);
    let uncounted = grant();
    let revoked = Grant { uses_left: Some(1), revoked_at: Some(at(4)), ..grant() };
    let expired = Grant { uses_left: Some(1), expires_at: Some(now), ..grant() };
    let later = Grant { uses_left: Some(1), starts_at: Some(at(6)), ..grant() };
    let live = Grant { uses_left: Some(1), starts_at: Some(now), expires_at: Some(at(6)), ..grant() };
    let mut tx = fixture.write().await;
    for grant in [&uncounted, &revoked, &expired, &later, &live] {
        tx.insert_grant(grant).await.unwrap();
    }

    for grant in [&uncounted, &revoked, &expired, &later] {
        assert_eq!(tx.take_use(grant.id, now).await.unwrap(), None);
        assert_eq!(tx.lookup_grant(grant.id).await.unwrap().unwrap().uses_left, grant.uses_left);
    }
    assert_eq!(tx.take_use(live.id, now).await.unwrap(), Some(0));
    assert_eq!(tx.take_use(live.id, now).await.unwrap(), None);
}

pub async fn a_consent_takes_the_place_of_the_one_before(fixture: &Fixture) {
    let consent = |digest: &str, second| Consent {
        plugin: PluginId::fixed("files"),
        digest: digest.to_owned(),
        given_by: "user:self".to_owned(),
        given_at: at(second),
    };
    let mut tx = fixture.write().await;

    tx.give_consent(&consent("aa", 1)).await.unwrap();
    tx.give_consent(&consent("bb", 2)).await.unwrap();

    assert_eq!(tx.list_consents().await.unwrap(), [consent("bb", 2)]);
}

fn row(plugin: &'static str, decision: AuditDecision, created_at: Timestamp) -> AuditRow {
    AuditRow {
        id: AuditId::from_uuid(uuid()),
        plugin: PluginId::fixed(plugin),
        capability: "endpoint".to_owned(),
        scope: json!({ "tools": ["gpio.write"] }),
        decision,
        is_write: true,
        uses: 1,
        call: CallId::from_uuid(uuid()),
        operation: OperationId::from_uuid(uuid()),
        run: Some(RunId::from_uuid(uuid())),
        workspace: WorkspaceId::fixed("personal"),
        actor: actor(),
        grant: Some(GrantId::from_uuid(uuid())),
        approval: Some(ApprovalId::from_uuid(uuid())),
        created_at,
    }
}

pub async fn audit_rows_are_filtered_bounded_and_newest_first(fixture: &Fixture) {
    let mut first = row("pi", AuditDecision::Allowed, at(1));
    let second = row("pi", AuditDecision::Denied, at(2));
    let other =
        AuditRow { run: None, grant: None, approval: None, ..row("notes", AuditDecision::Observed, at(3)) };
    let mut tx = fixture.write().await;
    for row in [&first, &second, &other] {
        tx.append_audit(row).await.unwrap();
    }
    tx.set_audit_uses(first.id, 12).await.unwrap();
    first.uses = 12;

    let all = AuditFilter { limit: 10, ..AuditFilter::default() };
    let pi = AuditFilter { plugin: Some(PluginId::fixed("pi")), ..all.clone() };
    assert_eq!(tx.list_audit(&all).await.unwrap(), [other.clone(), second.clone(), first.clone()]);
    assert_eq!(
        tx.list_audit(&AuditFilter { limit: 1, ..pi.clone() }).await.unwrap(),
        std::slice::from_ref(&second)
    );
    let denied = AuditFilter { decision: Some(AuditDecision::Denied), ..all.clone() };
    assert_eq!(tx.list_audit(&denied).await.unwrap(), std::slice::from_ref(&second));
    let of_operation = AuditFilter { operation: Some(first.operation), ..all.clone() };
    assert_eq!(tx.list_audit(&of_operation).await.unwrap(), [first]);
    let late = AuditFilter { since: Some(at(2)), ..pi };
    assert_eq!(tx.list_audit(&late).await.unwrap(), [second]);

    assert_eq!(tx.trim_audit(at(3)).await.unwrap(), 2);
    assert_eq!(tx.list_audit(&all).await.unwrap(), [other]);
}
