//! What only a file can do: be locked, be full.

use berth_core::port::store::{Store, StoreError};
use berth_store::SqlStore;

use crate::fixture::{Fixture, execute, message};

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
    assert!(fixture.store.health().await.ok);
}
