#![allow(clippy::unwrap_used)]

use berth_model::plugin::{DigestRule, Grant, NewGrant};
use berth_model::{OperationId, Origin, PluginId, RunId, WorkspaceId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// Scopes of these tests are sets of numbers; each use is one number.
fn scope(numbers: &[u8]) -> Value {
    json!({ "tools": numbers })
}

fn covers(scope: &Value, number: u8) -> bool {
    scope["tools"].as_array().is_none_or(|tools| tools.contains(&json!(number)))
}

fn grant(mode: GrantMode, scope: Value) -> Grant {
    let new = NewGrant { mode, ..NewGrant::allow(PluginId::fixed("pi"), "endpoint", scope) };
    new.into_grant(GrantId::from_uuid(Uuid::nil()), Timestamp::from_micros(0))
}

#[derive(Debug)]
struct World {
    requests: Vec<Request>,
    grants: Vec<Grant>,
    ceilings: Vec<Ceiling>,
    digest: String,
    version: semver::Version,
    publisher: Option<String>,
    is_approved: bool,
    workspace: WorkspaceId,
    origin: Origin,
    run: Option<RunId>,
    now: i64,
}

impl World {
    fn new(grants: Vec<Grant>) -> Self {
        Self {
            requests: vec![Request::new(Capability::Endpoint, json!({}))],
            grants,
            ceilings: Vec::new(),
            digest: "aa".repeat(32),
            version: semver::Version::new(1, 2, 3),
            publisher: None,
            is_approved: true,
            workspace: WorkspaceId::fixed("home"),
            origin: Origin::User,
            run: None,
            now: 100,
        }
    }

    fn view(&self) -> GrantView {
        let subject = Subject {
            plugin: "pi",
            digest: &self.digest,
            version: &self.version,
            publisher: self.publisher.as_deref(),
            is_approved: self.is_approved,
            workspace: &self.workspace,
            origin: self.origin,
            run: self.run,
            operation: OperationId::from_uuid(Uuid::from_u128(9)),
        };
        let grants: Vec<HeldGrant> = self.grants.iter().cloned().map(HeldGrant::from).collect();
        let now = Timestamp::from_micros(self.now);
        GrantView::compile(1, &subject, Arc::new(self.requests.clone()), &grants, &self.ceilings, now)
    }

    fn says(&self, number: u8) -> Permission {
        match self.view().decision(Capability::Endpoint, &scope(&[number]), |scope| covers(scope, number)) {
            Decision::Allowed(_) => Permission::Allowed,
            Decision::Ask => Permission::Asked,
            Decision::Denied(_) => Permission::Denied,
        }
    }
}

fn says(grant: Grant) -> Permission {
    World::new(vec![grant]).says(1)
}

#[test]
fn what_nobody_granted_is_denied_with_the_command_that_would_grant_it() {
    let denied = World::new(Vec::new())
        .view()
        .decide(Capability::Endpoint, json!({ "tools": ["gpio.read"] }), |_| true)
        .unwrap_err();

    assert_eq!(denied.hint, r#"berth plugin grant pi endpoint --scope '{"tools":["gpio.read"]}'"#);
}

#[test]
fn one_refusal_beats_every_permission() {
    let allow = grant(GrantMode::Allow, json!({}));
    let deny = grant(GrantMode::Deny, json!({}));

    assert_eq!(World::new(vec![allow.clone(), deny.clone()]).says(1), Permission::Denied);
    assert_eq!(World::new(vec![deny, allow]).says(1), Permission::Denied);
}

#[test]
fn a_grant_that_the_manifest_never_asked_for_gives_nothing() {
    let mut world = World::new(vec![grant(GrantMode::Allow, json!({}))]);
    world.requests = vec![Request::new(Capability::Files, json!({}))];

    assert_eq!(world.says(1), Permission::Denied);
    assert_eq!(world.view().granted(), Vec::<&str>::new());
}

#[test]
fn a_grant_with_mode_ask_asks_until_another_allows() {
    let ask = grant(GrantMode::Ask, json!({}));
    let allow = grant(GrantMode::Allow, scope(&[1]));

    assert_eq!(says(ask.clone()), Permission::Asked);
    assert_eq!(World::new(vec![ask.clone(), allow.clone()]).says(1), Permission::Allowed);
    assert_eq!(World::new(vec![ask, allow]).says(2), Permission::Asked);
}

#[test]
fn a_grant_counts_from_its_start_to_its_end_while_uses_are_left() {
    let at = |micros| Some(Timestamp::from_micros(micros));
    let allow = grant(GrantMode::Allow, json!({}));
    for (grant, expected) in [
        (Grant { starts_at: at(101), ..allow.clone() }, Permission::Denied),
        (Grant { starts_at: at(100), ..allow.clone() }, Permission::Allowed),
        (Grant { expires_at: at(100), ..allow.clone() }, Permission::Denied),
        (Grant { expires_at: at(101), ..allow.clone() }, Permission::Allowed),
        (Grant { uses_left: Some(0), ..allow.clone() }, Permission::Denied),
        (Grant { uses_left: Some(1), ..allow.clone() }, Permission::Allowed),
        (Grant { revoked_at: at(1), ..allow.clone() }, Permission::Denied),
    ] {
        assert_eq!(says(grant.clone()), expected, "{grant:?}");
    }
}

#[test]
fn the_view_knows_when_time_alone_changes_it() {
    let at = |micros| Some(Timestamp::from_micros(micros));
    let allow = grant(GrantMode::Allow, json!({}));
    let elsewhere =
        Grant { workspace: Some(WorkspaceId::fixed("work")), expires_at: at(110), ..allow.clone() };
    let world = World::new(vec![
        Grant { expires_at: at(300), ..allow.clone() },
        Grant { starts_at: at(200), expires_at: at(400), ..allow.clone() },
        Grant { expires_at: at(90), ..allow.clone() },
        elsewhere,
    ]);

    assert_eq!(world.view().next_change(), at(200));
    assert_eq!(World { now: 250, ..world }.view().next_change(), at(300));
    assert_eq!(World::new(vec![allow]).view().next_change(), None);
}

#[test]
fn a_grant_of_one_workspace_gives_nothing_in_another() {
    let mut world = World::new(vec![Grant {
        workspace: Some(WorkspaceId::fixed("home")),
        ..grant(GrantMode::Allow, json!({}))
    }]);

    assert_eq!(world.says(1), Permission::Allowed);
    world.workspace = WorkspaceId::fixed("work");
    assert_eq!(world.says(1), Permission::Denied);
}

#[test]
fn a_grant_of_one_run_gives_nothing_in_another() {
    let run = RunId::from_uuid(Uuid::from_u128(1));
    let mut world =
        World::new(vec![Grant { bound_to: Some(run.to_string()), ..grant(GrantMode::Allow, json!({})) }]);

    assert_eq!(world.says(1), Permission::Denied);
    world.run = Some(run);
    assert_eq!(world.says(1), Permission::Allowed);
    world.run = Some(RunId::from_uuid(Uuid::from_u128(2)));
    assert_eq!(world.says(1), Permission::Denied);
}

#[test]
fn an_exact_digest_is_lost_with_another_build_and_a_refusal_is_not() {
    let exact = DigestRule::Exact("aa".repeat(32));
    let mut world = World::new(vec![Grant { rule: exact.clone(), ..grant(GrantMode::Allow, json!({})) }]);

    assert_eq!(world.says(1), Permission::Allowed);
    world.digest = "bb".repeat(32);
    assert_eq!(world.says(1), Permission::Denied);

    world.grants =
        vec![grant(GrantMode::Allow, json!({})), Grant { rule: exact, ..grant(GrantMode::Deny, json!({})) }];
    assert_eq!(world.says(1), Permission::Denied);
}

#[test]
fn a_publishers_grant_is_for_his_builds_in_its_range_of_versions() {
    let rule = DigestRule::Publisher { key: "ed25519:AA".to_owned(), versions: "^1.2".to_owned() };
    let mut world = World::new(vec![Grant { rule, ..grant(GrantMode::Allow, json!({})) }]);

    assert_eq!(world.says(1), Permission::Denied, "nobody signed it");
    world.publisher = Some("ed25519:BB".to_owned());
    assert_eq!(world.says(1), Permission::Denied, "somebody else signed it");
    world.publisher = Some("ed25519:AA".to_owned());
    assert_eq!(world.says(1), Permission::Allowed);
    world.version = semver::Version::new(2, 0, 0);
    assert_eq!(world.says(1), Permission::Denied, "another range");
}

#[test]
fn a_build_that_nobody_approved_may_do_nothing() {
    let mut world = World::new(vec![grant(GrantMode::Allow, json!({}))]);
    world.is_approved = false;

    assert_eq!(world.says(1), Permission::Denied);
    assert_eq!(world.view().granted(), Vec::<&str>::new());
    assert_eq!(world.view().grants(Capability::Endpoint).count(), 0);
}

#[test]
fn a_stranger_runs_no_program_and_what_he_changes_needs_a_yes() {
    let programs = Grant { capability: "process".to_owned(), ..grant(GrantMode::Allow, json!({})) };
    let mut world = World::new(vec![grant(GrantMode::Allow, json!({})), programs]);
    world.requests.push(Request::new(Capability::Process, json!({})));
    world.ceilings = policy::standard();
    let of = |world: &World, capability| world.view().decision(capability, &json!({}), |_| true);

    assert!(matches!(of(&world, Capability::Endpoint), Decision::Allowed(_)));
    assert!(matches!(of(&world, Capability::Process), Decision::Allowed(_)));
    world.origin = Origin::Stranger;
    assert_eq!(of(&world, Capability::Endpoint), Decision::Ask);
    assert!(matches!(of(&world, Capability::Process), Decision::Denied(_)));
}

#[test]
fn a_ceiling_of_a_workspace_or_a_plugin_bounds_nothing_beside_it() {
    let over = Ceiling::over_all(Permission::Denied);
    for (ceiling, expected) in [
        (Ceiling { workspace: Some(WorkspaceId::fixed("home")), ..over.clone() }, Permission::Denied),
        (Ceiling { workspace: Some(WorkspaceId::fixed("work")), ..over.clone() }, Permission::Allowed),
        (Ceiling { plugin: Some("pi".to_owned()), ..over.clone() }, Permission::Denied),
        (Ceiling { plugin: Some("other".to_owned()), ..over.clone() }, Permission::Allowed),
        (Ceiling { capability: Some(Capability::Endpoint), ..over.clone() }, Permission::Denied),
        (Ceiling { capability: Some(Capability::Files), ..over.clone() }, Permission::Allowed),
        (Ceiling { origin: Some(Origin::Schedule), ..over }, Permission::Allowed),
    ] {
        let mut world = World::new(vec![grant(GrantMode::Allow, json!({}))]);
        world.ceilings = vec![ceiling.clone()];
        assert_eq!(world.says(1), expected, "{ceiling:?}");
    }
}

#[test]
fn a_ceiling_that_asks_is_content_with_a_grant_that_was_asked_for() {
    let mut world = World::new(vec![grant(GrantMode::Allow, json!({}))]);
    world.ceilings = vec![Ceiling::over_all(Permission::Asked)];
    assert_eq!(world.says(1), Permission::Asked);

    let approval = Some(berth_model::ApprovalId::from_uuid(Uuid::nil()));
    world.grants.push(Grant { approval, ..grant(GrantMode::Allow, scope(&[1])) });

    assert_eq!(world.says(1), Permission::Allowed);
    assert_eq!(world.says(2), Permission::Asked);
}

#[test]
fn limits_are_what_manifest_and_grant_both_allow() {
    let limited = |limit: Value| Grant { limit, ..grant(GrantMode::Allow, json!({})) };
    let mut world = World::new(vec![limited(json!({ "per_minute": 9 }))]);
    world.requests[0].limit = Limit::parse(Capability::Endpoint, &json!({ "timeout_ms": 50 })).unwrap();
    let bound = |world: &World, name| world.view().limit(Capability::Endpoint, |_| true).get(name);

    assert_eq!((bound(&world, "per_minute"), bound(&world, "timeout_ms")), (Some(9), Some(50)));
    world.grants.push(limited(json!({ "per_minute": 20 })));
    assert_eq!(bound(&world, "per_minute"), Some(20));
}

#[test]
fn a_limit_that_cannot_be_read_takes_its_grant_with_it() {
    let odd = json!({ "per_century": 1 });

    assert_eq!(says(Grant { limit: odd.clone(), ..grant(GrantMode::Allow, json!({})) }), Permission::Denied);
    let refusal = Grant { limit: odd, ..grant(GrantMode::Deny, json!({})) };
    assert_eq!(World::new(vec![grant(GrantMode::Allow, json!({})), refusal]).says(1), Permission::Denied);
}

#[test]
fn an_uncounted_grant_is_used_before_a_counted_one() {
    let (one, two) = (GrantId::from_uuid(Uuid::from_u128(1)), GrantId::from_uuid(Uuid::from_u128(2)));
    let counted = Grant { id: one, uses_left: Some(3), ..grant(GrantMode::Allow, json!({})) };
    let plain = Grant { id: two, ..grant(GrantMode::Observe, json!({})) };
    let permit = |grants| match World::new(grants).view().decision(Capability::Endpoint, &json!({}), |_| true)
    {
        Decision::Allowed(permit) => permit,
        other => panic!("{other:?}"),
    };

    let both = permit(vec![counted.clone(), plain]);
    assert_eq!((both.grant, both.is_counted, both.is_observed), (Some(two), false, true));
    let alone = permit(vec![counted]);
    assert_eq!((alone.grant, alone.is_counted, alone.is_observed), (Some(one), true, false));
}

prop_compose! {
    fn any_scope()(numbers in proptest::option::of(proptest::collection::vec(0_u8..4, 0..4))) -> Value {
        numbers.map_or_else(|| json!({}), |numbers| scope(&numbers))
    }
}

prop_compose! {
    fn any_grant()(
        mode in proptest::sample::select(GrantMode::ALL.to_vec()),
        scope in any_scope(),
        starts in proptest::option::of(0_i64..200),
        ends in proptest::option::of(0_i64..200),
        uses in proptest::option::of(0_i64..2),
        here in any::<bool>(),
        mine in any::<bool>(),
        asked in any::<bool>(),
        revoked in any::<bool>(),
    ) -> Grant {
        Grant {
            starts_at: starts.map(Timestamp::from_micros),
            expires_at: ends.map(Timestamp::from_micros),
            uses_left: uses,
            workspace: (!here).then(|| WorkspaceId::fixed("work")),
            rule: if mine { DigestRule::Any } else { DigestRule::Exact("bb".repeat(32)) },
            approval: asked.then(|| berth_model::ApprovalId::from_uuid(Uuid::nil())),
            revoked_at: revoked.then(|| Timestamp::from_micros(1)),
            ..grant(mode, scope)
        }
    }
}

prop_compose! {
    fn any_ceiling()(
        most in proptest::sample::select(vec![Permission::Denied, Permission::Asked, Permission::Allowed]),
        origin in proptest::option::of(proptest::sample::select(Origin::ALL.to_vec())),
        writes in any::<bool>(),
    ) -> Ceiling {
        let uses = if writes { Uses::Writes } else { Uses::All };
        Ceiling { origin, uses, ..Ceiling::over_all(most) }
    }
}

prop_compose! {
    fn any_world()(
        requests in proptest::collection::vec(any_scope(), 0..4),
        grants in proptest::collection::vec(any_grant(), 0..6),
        ceilings in proptest::collection::vec(any_ceiling(), 0..3),
        origin in proptest::sample::select(Origin::ALL.to_vec()),
        is_approved in proptest::bool::weighted(0.9),
    ) -> World {
        let requests = requests.into_iter().map(|scope| Request::new(Capability::Endpoint, scope)).collect();
        World { requests, ceilings, origin, is_approved, ..World::new(grants) }
    }
}

/// What the world says to each use there can be.
fn all(world: &World) -> Vec<Permission> {
    (0..4).map(|number| world.says(number)).collect()
}

fn never_more(now: &[Permission], before: &[Permission]) -> bool {
    now.iter().zip(before).all(|(now, before)| now <= before)
}

proptest! {
    #[test]
    fn a_further_ceiling_never_adds(mut world in any_world(), ceiling in any_ceiling()) {
        let before = all(&world);
        world.ceilings.push(ceiling);
        prop_assert!(never_more(&all(&world), &before));
    }

    #[test]
    fn a_narrower_manifest_never_adds(mut world in any_world(), at in any::<prop::sample::Index>()) {
        prop_assume!(!world.requests.is_empty());
        let before = all(&world);
        let at = at.index(world.requests.len());
        world.requests.remove(at);
        prop_assert!(never_more(&all(&world), &before));
    }

    #[test]
    fn a_grant_that_is_taken_back_never_adds(mut world in any_world(), at in any::<prop::sample::Index>()) {
        prop_assume!(!world.grants.is_empty());
        let before = all(&world);
        let at = at.index(world.grants.len());
        // To take a refusal back is to give something.
        prop_assume!(world.grants[at].mode != GrantMode::Deny);
        world.grants[at].revoked_at = Some(Timestamp::from_micros(1));
        prop_assert!(never_more(&all(&world), &before));
    }

    #[test]
    fn a_refusal_wins_in_any_order(mut world in any_world(), at in any::<prop::sample::Index>()) {
        let at = at.index(world.grants.len() + 1);
        world.grants.insert(at, grant(GrantMode::Deny, json!({})));
        prop_assert!(all(&world).iter().all(|permission| *permission == Permission::Denied));
    }

    #[test]
    fn the_order_of_grants_changes_nothing(mut world in any_world(), by in any::<usize>()) {
        let before = all(&world);
        if !world.grants.is_empty() {
            let by = by % world.grants.len();
            world.grants.rotate_left(by);
        }
        prop_assert_eq!(all(&world), before);
    }

    #[test]
    fn authority_never_grows_by_combining(a in any_world(), b in any_world()) {
        // Both manifests and both lists of ceilings, with the grants of one: no more than with its own.
        let before = all(&a);
        let requests = a.requests.iter().filter(|request| b.requests.contains(request)).cloned().collect();
        let ceilings = a.ceilings.iter().chain(&b.ceilings).cloned().collect();
        let combined = World { requests, ceilings, ..a };
        prop_assert!(never_more(&all(&combined), &before));
    }

    #[test]
    fn nothing_changes_before_the_view_says_so(world in any_world()) {
        let before = all(&world);
        let last = world.view().next_change().map_or(i64::MAX, |change| change.as_micros() - 1);
        prop_assert_eq!(all(&World { now: last.max(world.now), ..world }), before);
    }
}
