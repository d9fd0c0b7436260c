//! A database from before generations were kept.

use berth_model::PluginId;
use berth_model::generation::{GenerationState, Origin};

use crate::fixture::{Fixture, at, execute};

/// Takes the database back to before `plugin_generation`, with plugins in it, and opens it again.
async fn what_is_installed_becomes_its_first_generation(fixture: &mut Fixture) {
    let raw = fixture.raw();
    fixture.store.close().await;
    execute(&raw, "DROP TABLE plugin_generation").await;
    // What later versions have changed about the table comes with it.
    execute(&raw, "DELETE FROM _sqlx_migrations WHERE version IN (6, 8)").await;
    for (id, status) in [("notes", "active"), ("off", "disabled"), ("bad", "quarantined")] {
        let row = format!(
            "INSERT INTO plugin (plugin_id, version, digest, manifest, tools, status, last_error, installed_at, \
             updated_at) VALUES ('{id}', '1.2.3', 'd-{id}', 'm-{id}', '[]', '{status}', '', 5000000, 6000000)"
        );
        execute(&raw, &row).await;
    }

    fixture.reopen().await;

    let all = fixture.read().await.list_generations(None).await.unwrap();
    assert_eq!(all.len(), 3, "{all:?}");
    for (id, state) in [
        ("notes", GenerationState::Active),
        ("off", GenerationState::Active),
        ("bad", GenerationState::Quarantined),
    ] {
        let one = all.iter().find(|one| one.plugin == PluginId::new(id).unwrap()).unwrap();
        assert_eq!((one.number, one.origin, &one.state), (1, Origin::Install, &state), "{id}");
        assert_eq!((one.digest.as_str(), one.manifest.as_str()), (&*format!("d-{id}"), &*format!("m-{id}")));
        assert_eq!((one.version.as_str(), one.failed_starts, one.last_error.as_str()), ("1.2.3", 0, ""));
        assert!(one.is_proven, "it has been in use for a while");
        assert_eq!((one.created_at, one.activated_at, one.retired_at), (at(5), Some(at(5)), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_of_an_older_database_become_generations_on_sqlite() {
    let mut fixture = Fixture::sqlite().await;
    what_is_installed_becomes_its_first_generation(&mut fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_of_an_older_database_become_generations_on_postgres() {
    let Some(mut fixture) = Fixture::postgres().await else { return };
    what_is_installed_becomes_its_first_generation(&mut fixture).await;
    fixture.remove().await;
}
