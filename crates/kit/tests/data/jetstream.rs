use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream::Stream};
use futures_util::StreamExt;
use kit::backoff::Backoff;
use kit::database::{Database, commit};
use kit::outbox::{
    Consumer, Delivery, Event, JetStream, JetStreamSettings, Relay, RelaySettings, backlog, emit,
};
use serde_json::{Value, json};
use testbed::deadline;
use testbed::ports;
use testbed::process::{Process, Spec};
use tokio_util::sync::CancellationToken;

use crate::scene::{Scene, TIMEOUT};

const TOPIC: &str = "order.placed";

fn start_server(scene: &Scene, port: u16) -> Process {
    // Debian puts it where only root looks.
    let installed = std::path::Path::new("/usr/sbin/nats-server");
    let program = if installed.is_file() {
        installed.as_os_str()
    } else {
        "nats-server".as_ref()
    };
    let spec = Spec::new("nats", program)
        .args(["--jetstream", "--addr", "127.0.0.1", "--port"])
        .arg(port.to_string())
        .arg("--store_dir")
        .arg(scene.directory.path().join("nats"));
    Process::start(&spec, &scene.directory.path().join("logs")).unwrap()
}

fn settings(port: u16) -> JetStreamSettings {
    JetStreamSettings {
        url: format!("nats://127.0.0.1:{port}"),
        stream: "SHOP".to_owned(),
        prefix: "shop".to_owned(),
        consumer: "jetstream",
        topics: &[TOPIC],
    }
}

async fn connect(server: &mut Process, port: u16) -> JetStream {
    deadline::until("the NATS server", TIMEOUT, async || {
        server.ensure_running()?;
        Ok(JetStream::connect(settings(port)).await.ok())
    })
    .await
    .unwrap()
}

async fn stream(port: u16) -> Stream {
    let client = async_nats::connect(settings(port).url).await.unwrap();
    jetstream::new(client).get_stream("SHOP").await.unwrap()
}

/// All that the server has stored, as subjects and documents.
async fn stored(stream: &mut Stream) -> Vec<(String, Value)> {
    let count = stream.info().await.unwrap().state.messages;
    let consumer = stream
        .create_consumer(consumer::pull::Config::default())
        .await
        .unwrap();
    let messages = consumer.messages().await.unwrap();
    let all = messages
        .take(usize::try_from(count).unwrap())
        .map(|message| {
            let message = message.unwrap();
            let document = serde_json::from_slice(&message.payload).unwrap();
            (message.subject.to_string(), document)
        });
    tokio::time::timeout(TIMEOUT, all.collect()).await.unwrap()
}

async fn tell(database: &Database, key: &str, number: i64) {
    let mut transaction = database.begin().await.unwrap();
    emit(
        database,
        &mut transaction,
        TOPIC,
        key,
        &json!({ "number": number }),
    )
    .await
    .unwrap();
    commit(transaction).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_once_and_in_order_though_the_server_dies() {
    const NUMBERS: i64 = 60;
    let scene = Scene::new().await;
    let database = scene.database().await;
    let port = ports::free().unwrap();
    let mut server = start_server(&scene, port);
    let publisher = connect(&mut server, port).await;
    let quick = RelaySettings {
        poll_interval: Duration::from_millis(100),
        backoff: Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
            attempts: 100,
        },
        ..RelaySettings::default()
    };
    let relay = Relay::new(database.clone(), quick)
        .with(publisher)
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(relay.run(stop.clone().cancelled_owned()));
    for number in 0..NUMBERS {
        if number == NUMBERS / 3 {
            server.kill().await;
        }
        if number == NUMBERS / 2 {
            server = start_server(&scene, port);
        }
        tell(&database, &(number % 3).to_string(), number).await;
    }
    deadline::until("the outbox to be empty", TIMEOUT, async || {
        server.ensure_running()?;
        Ok((backlog(&database).await?.waiting == 0).then_some(()))
    })
    .await
    .unwrap();
    stop.cancel();
    task.await.unwrap();
    let stored = stored(&mut stream(port).await).await;
    assert!(
        stored
            .iter()
            .all(|(subject, _)| subject == "shop.order.placed")
    );
    for key in 0..3 {
        let name = key.to_string();
        let of_key = stored.iter().filter(|(_, event)| event["key"] == *name);
        let numbers: Vec<i64> = of_key
            .map(|(_, event)| event["payload"]["number"].as_i64().unwrap())
            .collect();
        let expected: Vec<i64> = (0..NUMBERS).filter(|number| number % 3 == key).collect();
        assert_eq!(numbers, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_stored_once() {
    let scene = Scene::new().await;
    let port = ports::free().unwrap();
    let mut server = start_server(&scene, port);
    let publisher = connect(&mut server, port).await;
    let delivery = |payload: i64| Delivery {
        event: Event {
            id: uuid::Uuid::new_v4(),
            topic: TOPIC.to_owned(),
            key: "a".to_owned(),
            payload: json!(payload),
            emitted_at: time::OffsetDateTime::UNIX_EPOCH,
        },
        attempt: 1,
    };
    let (first, second) = (delivery(1), delivery(2));
    for one in [&first, &first, &second, &first] {
        publisher.deliver(one).await.unwrap();
    }
    let stored = stored(&mut stream(port).await).await;
    let payloads: Vec<_> = stored
        .iter()
        .map(|(_, event)| event["payload"].clone())
        .collect();
    assert_eq!(payloads, [1, 2]);
}
