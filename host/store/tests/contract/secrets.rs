//! Sealed secrets.

use berth_model::secret::{SecretKey, SecretRow};

use crate::fixture::{Fixture, at};

fn secret(owner: &str, name: &str, sealed: &str) -> SecretRow {
    SecretRow {
        key: SecretKey { owner: owner.to_owned(), name: name.to_owned(), workspace: String::new() },
        plugins: Vec::new(),
        sealed: sealed.to_owned(),
        recipient: "age1first".to_owned(),
        version: 1,
        created_at: at(1),
        updated_at: at(1),
    }
}

pub async fn a_new_value_of_a_secret_counts_up_and_keeps_when_it_was_made(fixture: &Fixture) {
    let first = secret("feishu", "token", "one");
    let mut tx = fixture.write().await;
    tx.put_secret(&first).await.unwrap();
    assert_eq!(tx.lookup_secret(&first.key).await.unwrap().unwrap(), first);

    let second = SecretRow { created_at: at(9), updated_at: at(9), ..secret("feishu", "token", "two") };
    tx.put_secret(&second).await.unwrap();
    tx.commit().await.unwrap();

    let stored = fixture.read().await.lookup_secret(&first.key).await.unwrap().unwrap();
    assert_eq!(stored, SecretRow { version: 2, created_at: at(1), ..second });
}

pub async fn a_secret_is_sealed_anew_only_where_its_value_is_still_the_same(fixture: &Fixture) {
    let first = secret("feishu", "token", "one");
    let mut tx = fixture.write().await;
    tx.put_secret(&first).await.unwrap();
    let moved = SecretRow { sealed: "uno".to_owned(), recipient: "age1second".to_owned(), ..first.clone() };
    assert!(tx.reseal_secret(&moved).await.unwrap());
    assert_eq!(tx.lookup_secret(&first.key).await.unwrap().unwrap(), moved);

    tx.put_secret(&secret("feishu", "token", "two")).await.unwrap();

    assert!(!tx.reseal_secret(&moved).await.unwrap());
    assert_eq!(tx.lookup_secret(&first.key).await.unwrap().unwrap().sealed, "two");
    tx.commit().await.unwrap();
}

pub async fn secrets_of_one_name_are_told_apart_by_owner_and_workspace(fixture: &Fixture) {
    let mut shared = secret("", "token", "shared");
    shared.plugins = vec!["feishu".to_owned(), "wechat".to_owned()];
    let own = secret("feishu", "token", "own");
    let mut home = own.clone();
    home.key.workspace = "home".to_owned();
    let other = secret("feishu", "zeta", "other");
    let mut tx = fixture.write().await;
    for row in [&other, &home, &own, &shared] {
        tx.put_secret(row).await.unwrap();
    }

    assert_eq!(tx.list_secrets(Some("token")).await.unwrap(), [shared.clone(), own.clone(), home.clone()]);
    assert!(tx.remove_secret(&own.key).await.unwrap());
    assert!(!tx.remove_secret(&own.key).await.unwrap());
    assert_eq!(tx.list_secrets(None).await.unwrap(), [shared, home, other]);
    tx.commit().await.unwrap();
}
