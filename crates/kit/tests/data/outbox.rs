use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::backoff::Backoff;
use kit::database::{Database, DatabaseSettings, commit};
use kit::outbox::{
    Consumer, Delivery, DeliveryError, Event, Relay, RelaySettings, Transactional,
    TransactionalConsumer, backlog, dead_letters, emit, replay, sweep,
};
use parking_lot::Mutex;
use sqlx::PgConnection;
use testbed::deadline;
use testbed::process::{Process, Spec};
use tokio_util::sync::CancellationToken;

use crate::scene::{SCHEMA, Scene, TIMEOUT, applied, count};

const TOPIC: &str = "order.placed";

fn quick() -> RelaySettings {
    RelaySettings {
        concurrency: 4,
        delivery_timeout: Duration::from_secs(5),
        poll_interval: Duration::from_millis(200),
        backoff: Backoff {
            first: Duration::from_millis(10),
            longest: Duration::from_millis(50),
            attempts: 3,
        },
    }
}

/// Applies numbers to the table `applied`.
struct Applying;

#[async_trait]
impl TransactionalConsumer for Applying {
    fn name(&self) -> &'static str {
        "applying"
    }
    fn topics(&self) -> &'static [&'static str] {
        &[TOPIC]
    }
    async fn apply(
        &self,
        connection: &mut PgConnection,
        event: &Event,
    ) -> Result<(), DeliveryError> {
        sqlx::query("insert into applied (key, what) values ($1, $2)")
            .bind(&event.key)
            .bind(event.payload.as_i64())
            .execute(connection)
            .await
            .map_err(|error| DeliveryError::Transient(error.to_string()))?;
        Ok(())
    }
}

/// Remembers what it got; refuses what it is told to.
#[derive(Clone, Default)]
struct Listening {
    heard: Arc<Mutex<Vec<(String, i64, u32)>>>,
    refuse: Arc<Mutex<BTreeMap<i64, DeliveryError>>>,
}

#[async_trait]
impl Consumer for Listening {
    fn name(&self) -> &'static str {
        "listening"
    }
    fn topics(&self) -> &'static [&'static str] {
        &[TOPIC]
    }
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let number = delivery.event.payload.as_i64().unwrap();
        let entry = (delivery.event.key.clone(), number, delivery.attempt);
        self.heard.lock().push(entry);
        match self.refuse.lock().get(&number) {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(()),
        }
    }
}

async fn tell(database: &Database, key: &str, number: i64) {
    let mut transaction = database.begin().await.unwrap();
    emit(database, &mut transaction, TOPIC, key, &number)
        .await
        .unwrap();
    commit(transaction).await.unwrap();
}

async fn until_empty(database: &Database) {
    deadline::until("the outbox to be empty", TIMEOUT, async || {
        Ok((backlog(database).await?.waiting == 0).then_some(()))
    })
    .await
    .unwrap();
}

fn running(relay: Relay) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let task = tokio::spawn(async move { relay.run(told.cancelled_owned()).await });
    (stop, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_is_not_told_and_what_nobody_wants_is_not_kept() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    tell(&database, "a", 1).await;
    assert_eq!(count(&database, "outbox_events").await, 0);
    let listening = Listening::default();
    let relay = Relay::new(database.clone(), quick())
        .with(listening.clone())
        .await
        .unwrap();
    let mut transaction = database.begin().await.unwrap();
    emit(&database, &mut transaction, TOPIC, "a", &2)
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    tell(&database, "a", 3).await;
    let (stop, task) = running(relay);
    until_empty(&database).await;
    stop.cancel();
    task.await.unwrap();
    assert_eq!(*listening.heard.lock(), [("a".to_owned(), 3, 1)]);
    assert_eq!(count(&database, "outbox_events").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_keep_the_order_of_each_key_and_apply_once() {
    const KEYS: usize = 5;
    const NUMBERS: i64 = 30;
    let scene = Scene::new().await;
    let database = scene.database().await;
    let mut relays = Vec::new();
    for _ in 0..2 {
        let relay = Relay::new(database.clone(), quick())
            .with(Transactional::new(database.clone(), Applying))
            .await
            .unwrap();
        relays.push(running(relay));
    }
    let writers: Vec<_> = (0..KEYS)
        .map(|key| {
            let database = database.clone();
            tokio::spawn(async move {
                for number in 0..NUMBERS {
                    tell(&database, &key.to_string(), number).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    until_empty(&database).await;
    for (stop, task) in relays {
        stop.cancel();
        task.await.unwrap();
    }
    let expected: Vec<i64> = (0..NUMBERS).collect();
    for key in 0..KEYS {
        assert_eq!(applied(&database, &key.to_string()).await, expected);
    }
    sweep(&database, 1000).await.unwrap();
    assert_eq!(count(&database, "outbox_events").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_a_key_are_told_of_in_the_order_of_their_commits() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let listening = Listening::default();
    let relay = Relay::new(database.clone(), quick())
        .with(listening.clone())
        .await
        .unwrap();
    let (stop, task) = running(relay);
    let mut first = database.begin().await.unwrap();
    emit(&database, &mut first, TOPIC, "a", &1).await.unwrap();
    // Would have the larger number and the earlier commit.
    let second = tokio::spawn({
        let database = database.clone();
        async move { tell(&database, "a", 2).await }
    });
    tell(&database, "b", 3).await;
    deadline::poll("the other key", TIMEOUT, || {
        Ok((!listening.heard.lock().is_empty()).then_some(()))
    })
    .await
    .unwrap();
    commit(first).await.unwrap();
    second.await.unwrap();
    until_empty(&database).await;
    stop.cancel();
    task.await.unwrap();
    let heard: Vec<i64> = listening.heard.lock().iter().map(|(_, n, _)| *n).collect();
    assert_eq!(heard, [3, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_tried_again_then_dead_and_can_be_replayed() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let listening = Listening::default();
    listening.refuse.lock().extend([
        (1, DeliveryError::Transient("busy".to_owned())),
        (2, DeliveryError::Permanent("no\nsuch address".to_owned())),
    ]);
    let relay = Relay::new(database.clone(), quick())
        .with(listening.clone())
        .await
        .unwrap();
    for number in 1..=3 {
        tell(&database, "a", number).await;
    }
    let (stop, task) = running(relay);
    until_empty(&database).await;
    let heard: Vec<(i64, u32)> = listening
        .heard
        .lock()
        .drain(..)
        .map(|(_, n, a)| (n, a))
        .collect();
    assert_eq!(heard, [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1)]);
    let letters = dead_letters(&database, None, 10).await.unwrap();
    let told: Vec<_> = letters
        .iter()
        .map(|letter| {
            (
                letter.payload.as_i64(),
                letter.attempts,
                letter.last_error.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some(2), 1, Some("no such address")),
            (Some(1), 3, Some("busy")),
        ]
    );

    listening.refuse.lock().clear();
    let mut connection = database.pool().acquire().await.unwrap();
    for letter in &letters {
        let event = letter.event;
        assert!(
            replay(&database, &mut connection, "listening", event)
                .await
                .unwrap()
        );
        assert!(
            !replay(&database, &mut connection, "another", event)
                .await
                .unwrap()
        );
    }
    until_empty(&database).await;
    stop.cancel();
    task.await.unwrap();
    let backlog = backlog(&database).await.unwrap();
    assert_eq!((backlog.waiting, backlog.dead), (0, 0));
    assert_eq!(count(&database, "outbox_events").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_and_comes_back_loses_nothing() {
    let mut scene = Scene::new().await;
    let database = scene.database().await;
    let relay = Relay::new(database.clone(), quick())
        .with(Transactional::new(database.clone(), Applying))
        .await
        .unwrap();
    let (stop, task) = running(relay);
    for number in 0..20 {
        tell(&database, "a", number).await;
    }
    scene.cluster.kill().await;
    scene.cluster.start().await.unwrap();
    // Connections from before are noticed to be dead when they are used: all that
    // are there are, at once.
    deadline::until("live connections only", TIMEOUT, async || {
        let mut taken = Vec::new();
        for _ in 0..database.pool().size() {
            let Ok(mut connection) = database.pool().acquire().await else {
                return Ok(None);
            };
            if sqlx::query("select 1")
                .execute(&mut *connection)
                .await
                .is_err()
            {
                return Ok(None);
            }
            taken.push(connection);
        }
        Ok(Some(()))
    })
    .await
    .unwrap();
    for number in 20..40 {
        tell(&database, "a", number).await;
    }
    until_empty(&database).await;
    stop.cancel();
    task.await.unwrap();
    assert_eq!(applied(&database, "a").await, (0..40).collect::<Vec<_>>());
}

const WORKER_DATABASE: &str = "KIT_TEST_DATABASE";

/// Not a test: the process that the next one kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by a test"]
async fn worker() {
    let Ok(url) = std::env::var(WORKER_DATABASE) else {
        return;
    };
    let settings = DatabaseSettings::new(&url, SCHEMA, "worker").unwrap();
    let database = Database::new(&settings);
    let relay = Relay::new(database.clone(), quick())
        .with(Transactional::new(database, Applying))
        .await
        .unwrap();
    relay.run(std::future::pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_that_are_killed_apply_everything_once_and_in_order() {
    const NUMBERS: i64 = 200;
    let scene = Scene::new().await;
    let database = scene.database().await;
    kit::outbox::subscribe(&database, "applying", &[TOPIC])
        .await
        .unwrap();
    for number in 0..NUMBERS {
        tell(&database, &(number % 4).to_string(), number).await;
    }
    let start = |round: usize| {
        let spec = Spec::new(format!("worker-{round}"), std::env::current_exe().unwrap())
            .args(["outbox::worker", "--exact", "--ignored"])
            .env(WORKER_DATABASE, scene.url());
        Process::start(&spec, &scene.directory.path().join("logs")).unwrap()
    };
    for round in 0..4 {
        let before = count(&database, "applied").await;
        let mut worker = start(round);
        deadline::until("some work", TIMEOUT, async || {
            worker.ensure_running()?;
            Ok((count(&database, "applied").await >= (before + 20).min(NUMBERS)).then_some(()))
        })
        .await
        .unwrap();
        worker.kill().await;
        // What it held is due at once, so that the test need not wait for leases.
        sqlx::query("update outbox_deliveries set due_at = now() where lease is not null")
            .execute(database.pool())
            .await
            .unwrap();
    }
    let last = start(9);
    until_empty(&database).await;
    drop(last);
    for key in 0..4 {
        let expected: Vec<i64> = (0..NUMBERS).filter(|number| number % 4 == key).collect();
        assert_eq!(applied(&database, &key.to_string()).await, expected);
    }
}
