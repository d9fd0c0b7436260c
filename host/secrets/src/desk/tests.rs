#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::name::Owner;
use crate::testing::Rows;
use crate::vault::Change;

const FEISHU: Asker<'static> = Asker { plugin: "feishu", workspace: "home" };

struct World {
    _folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
    desk: Desk,
}

impl World {
    async fn with(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(1_000_000));
        let time = now.clone();
        let place = KeyPlace::find(folder.path(), None, None);
        let clock = Arc::new(move || time.load(Ordering::Relaxed));
        let vault = Vault::new(Arc::new(Rows::default()), place, clock);
        let world = Self { _folder: folder, now, desk: Desk::new(Arc::new(vault)) };
        world.set(name).await;
        world
    }

    async fn set(&self, name: &str) {
        let value = SecretValue::new(b"stored".to_vec()).unwrap();
        self.desk.vault.put(id(name), Vec::new(), value, Change::Set).await.unwrap();
    }

    async fn exchange(&self, name: &str, seconds: u64) -> Result<i64, &'static str> {
        let new = NewDerived {
            name: name.parse().unwrap(),
            value: SecretValue::new(b"derived".to_vec()).unwrap(),
            from: "app_secret".parse().unwrap(),
            lifetime: Duration::from_secs(seconds),
            audience: vec!["https://open.example".to_owned()],
        };
        self.desk.keep(FEISHU, new).await.map_err(|error| error.code())
    }

    async fn find(&self, asker: Asker<'_>, name: &str) -> Result<Found, &'static str> {
        self.desk.find(asker, &name.parse().unwrap()).await.map_err(|error| error.code())
    }
}

fn id(name: &str) -> SecretId {
    SecretId { owner: Owner::of("feishu"), name: name.parse().unwrap(), workspace: None }
}

#[tokio::test]
async fn what_an_exchange_yields_is_its_plugins_until_its_time_is_over() {
    let world = World::with("app_secret").await;
    let expires_at = world.exchange("token", 60).await.unwrap();

    let found = world.find(FEISHU, "token").await.unwrap();
    assert_eq!(found.value.expose(), b"derived");
    let derived = found.derived.unwrap();
    assert_eq!((derived.name.as_str(), derived.expires_at), ("app_secret", 61_000_000));
    assert_eq!(expires_at, 61_000_000);
    for stranger in [Asker { plugin: "other", ..FEISHU }, Asker { workspace: "work", ..FEISHU }] {
        assert_eq!(world.find(stranger, "token").await.err(), Some("SECRET_NOT_FOUND"));
    }

    world.now.store(61_000_000, Ordering::Relaxed);
    assert_eq!(world.find(FEISHU, "token").await.err(), Some("SECRET_NOT_FOUND"));
}

#[tokio::test]
async fn what_an_exchange_yields_ends_with_the_value_that_paid_for_it() {
    let world = World::with("app_secret").await;
    world.exchange("token", 60).await.unwrap();
    world.set("app_secret").await;
    assert_eq!(world.find(FEISHU, "token").await.err(), Some("SECRET_NOT_FOUND"));

    world.exchange("token", 60).await.unwrap();
    world.desk.vault.remove(&id("app_secret")).await.unwrap();
    assert_eq!(world.find(FEISHU, "token").await.err(), Some("SECRET_NOT_FOUND"));
}

#[tokio::test]
async fn a_stored_secret_is_never_hidden_by_an_exchange() {
    let world = World::with("app_secret").await;
    world.exchange("token", 60).await.unwrap();

    assert_eq!(world.exchange("app_secret", 60).await, Err("SECRET_NAME_TAKEN"));
    world.set("token").await;
    assert_eq!(world.find(FEISHU, "token").await.unwrap().value.expose(), b"stored");
}

#[tokio::test]
async fn secrets_from_exchanges_are_bounded_in_number_and_in_time() {
    let world = World::with("app_secret").await;
    for number in 0..DERIVED {
        world.exchange(&format!("token{number}"), u64::MAX).await.unwrap();
    }

    assert_eq!(world.exchange("one-more", 60).await, Err("SECRET_TOO_MANY"));
    let again = world.exchange("token0", u64::MAX).await.unwrap();
    assert_eq!(again - 1_000_000, i64::try_from(LIFETIME.as_micros()).unwrap());
}

#[tokio::test]
async fn operations_and_wrong_guesses_run_out() {
    let world = World::with("app_secret").await;
    let now = Instant::now();
    let name: SecretName = "app_secret".parse().unwrap();
    for _ in 0..OPERATIONS.burst {
        world.desk.count(FEISHU, &name, now).unwrap();
    }
    for _ in 0..GUESSES.burst {
        world.desk.may_guess(FEISHU, &name, now).unwrap();
        world.desk.wrong_guess(FEISHU, &name, now).unwrap();
    }

    assert_eq!(world.desk.count(FEISHU, &name, now).unwrap_err().code(), "SECRET_RATE_LIMITED");
    assert_eq!(world.desk.may_guess(FEISHU, &name, now).unwrap_err().code(), "SECRET_RATE_LIMITED");
    world.desk.count(FEISHU, &"other".parse().unwrap(), now).unwrap();
}

#[tokio::test]
async fn a_closed_desk_has_nothing_and_takes_nothing() {
    let desk = Desk::closed();
    let value = SecretValue::new(b"x".to_vec()).unwrap();

    let found = desk.find(FEISHU, &"token".parse().unwrap()).await;

    assert_eq!(found.err().unwrap().code(), "SECRET_NOT_FOUND");
    assert!(desk.vault.put(id("token"), Vec::new(), value, Change::Set).await.is_err());
}
