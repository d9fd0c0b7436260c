//! Pairs of plugins: what is kept, what is counted, and who sees it.

use berth_core::port::store::{KeysFrom, KeyvalueSpace, KeyvalueUsage};
use berth_model::{PluginId, WorkspaceId};

use crate::fixture::{Fixture, at};

fn space(plugin: &str, workspace: &'static str) -> KeyvalueSpace {
    KeyvalueSpace { plugin: PluginId::new(plugin).unwrap(), workspace: WorkspaceId::fixed(workspace) }
}

async fn put(
    fixture: &Fixture,
    space: &KeyvalueSpace,
    bucket: &str,
    key: &str,
    value: &[u8],
) -> KeyvalueUsage {
    let mut tx = fixture.write().await;
    let usage = tx.put_keyvalue(space, bucket, key, value, at(1)).await.unwrap();
    tx.commit().await.unwrap();
    usage
}

pub async fn a_pair_is_kept_byte_for_byte_and_counted(fixture: &Fixture) {
    let notes = space("notes", "home");
    let every_byte: Vec<u8> = (0..=255).collect();

    put(fixture, &notes, "default", "all", &every_byte).await;
    put(fixture, &notes, "default", "empty", b"").await;
    let usage = put(fixture, &notes, "other", "all", b"x").await;

    let mut tx = fixture.read().await;
    let all = tx.lookup_keyvalue(&notes, "default", "all").await.unwrap().unwrap();
    assert_eq!(all.value, every_byte);
    assert_eq!(tx.lookup_keyvalue(&notes, "default", "empty").await.unwrap().unwrap().value, b"");
    assert_eq!(tx.lookup_keyvalue(&notes, "default", "gone").await.unwrap(), None);
    assert_eq!(usage, KeyvalueUsage { pairs: 3, bytes: 256 + 3 + 5 + 1 + 3, revision: 3 });
    assert_eq!(tx.keyvalue_usage(&notes).await.unwrap(), usage);
}

pub async fn what_is_replaced_or_removed_counts_no_more_and_its_revision_never_returns(fixture: &Fixture) {
    let notes = space("notes", "home");
    put(fixture, &notes, "default", "key", b"long value").await;

    let replaced = put(fixture, &notes, "default", "key", b"v").await;
    let mut tx = fixture.write().await;
    let first = tx.lookup_keyvalue(&notes, "default", "key").await.unwrap().unwrap();
    assert!(tx.remove_keyvalue(&notes, "default", "key").await.unwrap());
    assert!(!tx.remove_keyvalue(&notes, "default", "key").await.unwrap());
    let empty = tx.keyvalue_usage(&notes).await.unwrap();
    tx.put_keyvalue(&notes, "default", "key", b"v", at(2)).await.unwrap();
    let again = tx.lookup_keyvalue(&notes, "default", "key").await.unwrap().unwrap();
    tx.commit().await.unwrap();

    assert_eq!((replaced.pairs, replaced.bytes), (1, 4));
    assert_eq!((empty.pairs, empty.bytes), (0, 0));
    assert_eq!(again.value, first.value);
    assert!(again.revision > first.revision);
}

pub async fn no_plugin_and_no_workspace_sees_the_pairs_of_another(fixture: &Fixture) {
    let mine = space("notes", "home");
    put(fixture, &mine, "default", "key", b"mine").await;

    let mut tx = fixture.write().await;
    for other in [space("other", "home"), space("notes", "work")] {
        assert_eq!(tx.lookup_keyvalue(&other, "default", "key").await.unwrap(), None);
        assert!(!tx.remove_keyvalue(&other, "default", "key").await.unwrap());
        let keys = tx.list_keyvalue_keys(&other, "default", KeysFrom::Behind(""), 10).await.unwrap();
        assert_eq!(keys, Vec::<String>::new());
        assert_eq!(tx.keyvalue_usage(&other).await.unwrap(), KeyvalueUsage::default());
        tx.put_keyvalue(&other, "default", "key", b"theirs", at(2)).await.unwrap();
    }
    tx.commit().await.unwrap();

    let kept = fixture.read().await.lookup_keyvalue(&mine, "default", "key").await.unwrap().unwrap();
    assert_eq!(kept.value, b"mine");
}

pub async fn a_purge_takes_every_pair_of_one_plugin_and_no_other(fixture: &Fixture) {
    let (home, work, other) = (space("notes", "home"), space("notes", "work"), space("other", "home"));
    put(fixture, &home, "default", "a", b"1").await;
    put(fixture, &home, "more", "a", b"2").await;
    let before = put(fixture, &work, "default", "a", b"3").await;
    let beside = put(fixture, &other, "default", "a", b"4").await;

    let mut tx = fixture.write().await;
    let counted = tx.count_keyvalue(&home.plugin).await.unwrap();
    let purged = tx.purge_keyvalue(&home.plugin).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!((counted, purged), (3, 3));
    let mut tx = fixture.read().await;
    assert_eq!(tx.count_keyvalue(&home.plugin).await.unwrap(), 0);
    assert_eq!(tx.lookup_keyvalue(&work, "default", "a").await.unwrap(), None);
    let after = tx.keyvalue_usage(&work).await.unwrap();
    assert_eq!((after.pairs, after.bytes), (0, 0));
    assert!(after.revision > before.revision, "a pair that is set anew is none of before");
    assert_eq!(tx.keyvalue_usage(&other).await.unwrap(), beside);
}

pub async fn keys_are_listed_in_pages_that_miss_and_repeat_none(fixture: &Fixture) {
    let notes = space("notes", "home");
    let mut tx = fixture.write().await;
    let mut wanted: Vec<String> =
        ["a", "B", "b", "ä", "_x", "10", "9", "a-b", "ab", " "].map(str::to_owned).to_vec();
    for key in &wanted {
        tx.put_keyvalue(&notes, "default", key, b"v", at(1)).await.unwrap();
    }
    tx.put_keyvalue(&notes, "other", "elsewhere", b"v", at(1)).await.unwrap();

    let mut behind: Vec<String> = Vec::new();
    loop {
        let last = behind.last().cloned().unwrap_or_default();
        let page = tx.list_keyvalue_keys(&notes, "default", KeysFrom::Behind(&last), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 3);
        behind.extend(page);
    }
    let mut counted: Vec<String> = Vec::new();
    loop {
        let from = KeysFrom::Number(counted.len().try_into().unwrap());
        let page = tx.list_keyvalue_keys(&notes, "default", from, 4).await.unwrap();
        if page.is_empty() {
            break;
        }
        counted.extend(page);
    }

    assert_eq!(behind, counted);
    behind.sort();
    wanted.sort();
    assert_eq!(behind, wanted);
}

pub async fn of_many_who_swap_the_same_pair_each_one_builds_on_the_last(fixture: &Fixture) {
    let notes = space("notes", "home");
    put(fixture, &notes, "default", "count", b"0").await;

    let swaps = (0..20).map(|_| async {
        loop {
            let seen =
                fixture.read().await.lookup_keyvalue(&notes, "default", "count").await.unwrap().unwrap();
            let number: u32 = String::from_utf8(seen.value).unwrap().parse().unwrap();
            let mut tx = fixture.write().await;
            let now = tx.lookup_keyvalue(&notes, "default", "count").await.unwrap().unwrap();
            if now.revision == seen.revision {
                let next = (number + 1).to_string();
                tx.put_keyvalue(&notes, "default", "count", next.as_bytes(), at(2)).await.unwrap();
                tx.commit().await.unwrap();
                break;
            }
        }
    });
    futures::future::join_all(swaps).await;

    let mut tx = fixture.read().await;
    assert_eq!(tx.lookup_keyvalue(&notes, "default", "count").await.unwrap().unwrap().value, b"20");
    assert_eq!(tx.keyvalue_usage(&notes).await.unwrap().revision, 21);
}
