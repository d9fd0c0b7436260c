//! Compiled plugins on disk: only what this host wrote is loaded.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::Arc;

use berth_wasm::{ComponentSource, Docs, EngineConfig, LoadError, PluginEngine, PluginSpec};
use serde_json::json;
use support::*;

fn with_cache(dir: &Path) -> PluginEngine {
    PluginEngine::new(EngineConfig { cache: Some(dir.to_owned()), ..config() }).unwrap()
}

/// A plugin whose component cannot be read any more: only the cache can serve it.
fn lost() -> PluginSpec {
    let bytes = component(ADD);
    let manifest = manifest("");
    let inspection = berth_wasm::inspect::inspect(&bytes, &manifest, &Docs::default()).unwrap();
    PluginSpec {
        digest: inspection.digest,
        component: ComponentSource::File("/nowhere/gone.wasm".into()),
        manifest: Arc::new(manifest),
        tools: inspection.tools,
    }
}

fn entry(dir: &Path) -> std::path::PathBuf {
    let found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "bin"))
        .collect();
    assert_eq!(found.len(), 1);
    found[0].clone()
}

#[tokio::test]
async fn a_second_start_takes_the_compiled_plugin_from_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    load(&with_cache(dir.path()), ADD, "").await;

    let plugin = with_cache(dir.path()).load(lost()).await.unwrap();

    assert_eq!(call(&plugin, "next", json!({ "number": 1 })).await.unwrap().content, json!(2));
}

#[tokio::test]
async fn an_entry_with_one_flipped_bit_is_a_miss_wherever_the_bit_is() {
    let dir = tempfile::tempdir().unwrap();
    load(&with_cache(dir.path()), ADD, "").await;
    let path = entry(dir.path());
    let good = std::fs::read(&path).unwrap();

    for at in [0, 9, 39, 40, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, bad).unwrap();

        let error = with_cache(dir.path()).load(lost()).await.err().unwrap();

        assert!(matches!(error, LoadError::Read { .. }), "bit at {at} of {}", good.len());
    }
    for cut in [0, 8, 39, good.len() - 1] {
        std::fs::write(&path, &good[..cut]).unwrap();
        assert!(with_cache(dir.path()).load(lost()).await.is_err(), "cut at {cut}");
    }
    std::fs::write(&path, good).unwrap();
    assert!(with_cache(dir.path()).load(lost()).await.is_ok());
}

#[tokio::test]
async fn a_miss_is_compiled_again_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    load(&with_cache(dir.path()), ADD, "").await;
    std::fs::write(entry(dir.path()), b"garbage").unwrap();

    load(&with_cache(dir.path()), ADD, "").await;

    assert!(with_cache(dir.path()).load(lost()).await.is_ok());
}

#[tokio::test]
async fn an_entry_of_another_key_or_another_name_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    let keyed = |key: [u8; 32]| {
        PluginEngine::new(EngineConfig {
            cache: Some(dir.path().to_owned()),
            cache_key: Some(key),
            ..config()
        })
        .unwrap()
    };
    load(&keyed([1; 32]), ADD, "").await;

    assert!(keyed([1; 32]).load(lost()).await.is_ok());
    assert!(keyed([2; 32]).load(lost()).await.is_err());

    let path = entry(dir.path());
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let other = name.replacen(&name[..64], &"0".repeat(64), 1);
    std::fs::rename(&path, dir.path().join(other)).unwrap();
    let mut spec = lost();
    spec.digest = "0".repeat(64);
    assert!(keyed([1; 32]).load(spec).await.is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_and_the_key_are_for_this_user_only() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("compiled");
    with_cache(&cache);

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    assert_eq!(mode(&cache.join("key")), 0o600);

    let before = std::fs::read(cache.join("key")).unwrap();
    std::fs::set_permissions(cache.join("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    with_cache(&cache);
    assert_ne!(std::fs::read(cache.join("key")).unwrap(), before, "a key that others could read is replaced");
}

#[tokio::test]
async fn a_component_that_changed_on_disk_is_not_compiled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("component.wasm");
    std::fs::write(&path, component(&runs(SPIN))).unwrap();
    let mut spec = lost();
    spec.component = ComponentSource::File(path);

    let error = engine().load(spec).await.err().unwrap();

    assert_eq!(error.code(), "PLUGIN_COMPONENT_CHANGED");
}
