//! What only a file can do: be locked, be full, outlive its process.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use berth_core::port::store::{Store, StoreError};
use berth_store::{DatabaseUrl, SqlStore};

use crate::fixture::{Fixture, execute, message, operation, run, thread, workspace};

#[tokio::test]
async fn a_second_host_on_the_same_file_is_refused() {
    let fixture = Fixture::sqlite().await;

    let error = SqlStore::open(&fixture.url).await.err().unwrap();

    assert!(matches!(&error, StoreError::InUse { path } if path.ends_with("berth.db")), "{error:?}");
}

#[tokio::test]
async fn the_lock_goes_with_the_store() {
    let mut fixture = Fixture::sqlite().await;
    let thread = fixture.thread().await;

    fixture.reopen().await;

    assert_eq!(fixture.read().await.lookup_thread(thread.id).await.unwrap(), Some(thread));
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_stored_is_lost() {
    let fixture = Fixture::sqlite().await;
    let thread = fixture.thread().await;
    fixture.store.limit_bytes(1 << 20).await.unwrap();

    let mut tx = fixture.write().await;
    let error = tx.insert_message(&message(thread.id, &"x".repeat(4 << 20))).await.unwrap_err();
    drop(tx);

    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    let small = message(thread.id, "still here");
    let mut tx = fixture.write().await;
    tx.insert_message(&small).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(fixture.read().await.list_messages(thread.id, None).await.unwrap(), [small]);
    execute(&fixture.raw(), "PRAGMA integrity_check").await;
    assert!(fixture.store.health().await.is_ok());
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_stored_alone_and_takes_what_fits_after_it() {
    let fixture = Fixture::sqlite().await;
    fixture.store.limit_bytes(1 << 20).await.unwrap();
    let mut large = operation(&run(None, 1));
    large.run = None;
    large.result = "x".repeat(4 << 20).into();

    let error = fixture.store.insert_operation(&large).await.unwrap_err();

    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    assert!(fixture.read().await.lookup_operation(large.id).await.unwrap().is_none());
    large.result = serde_json::Value::Null;
    fixture.store.insert_operation(&large).await.unwrap();
    assert!(fixture.read().await.lookup_operation(large.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_path_with_odd_characters_names_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("50%41 off? #1.db");

    let store = SqlStore::open(&DatabaseUrl::sqlite(&path)).await.unwrap();

    assert!(store.health().await.is_ok());
    assert!(path.is_file());
    store.close().await;
    assert_eq!(store.health().await.problem.as_deref(), Some("it was closed"));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none/berth.db");

    let error = SqlStore::open(&DatabaseUrl::sqlite(&path)).await.err().unwrap();

    assert!(
        matches!(&error, StoreError::Unavailable { message, .. } if message.contains("none")),
        "{error:?}"
    );
}

/// Names the file that [`child_that_writes_until_it_is_killed`] fills.
const CHILD: &str = "BERTH_TEST_CHILD_DATABASE";

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("berth.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::child_that_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept until the kill: a closed pipe would end the child by itself.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told: Vec<String> = lines
        .by_ref()
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("committed ").map(|(_, id)| id.trim().to_owned()))
        .take(25)
        .collect();
    child.kill().unwrap();
    let end = child.wait().unwrap();
    drop(lines);

    let store = SqlStore::open(&DatabaseUrl::sqlite(&path)).await.unwrap();

    assert_eq!((told.len(), end.signal()), (25, Some(9)));
    for id in told {
        let stored = store.read().await.unwrap().lookup_message(id.parse().unwrap()).await.unwrap();
        assert!(stored.is_some(), "{id} was promised");
    }
}

/// Does nothing but in the process that the story above starts.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = SqlStore::open(&DatabaseUrl::sqlite(path)).await.unwrap();
    let thread = thread();
    let mut tx = store.write().await.unwrap();
    tx.seed_workspace(&workspace()).await.unwrap();
    tx.insert_thread(&thread).await.unwrap();
    tx.commit().await.unwrap();
    // Bounded, should the one who kills it be gone.
    for _ in 0..5000 {
        let message = message(thread.id, "kept");
        let mut tx = store.write().await.unwrap();
        tx.insert_message(&message).await.unwrap();
        tx.commit().await.unwrap();
        println!("committed {}", message.id);
    }
}
