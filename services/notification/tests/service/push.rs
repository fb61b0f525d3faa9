use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use testbed::deadline;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::token;
use crate::scene::{Scene, TIMEOUT};

/// A query, headers, and the status that they get.
type Refused<'a> = (&'a str, &'a [(&'static str, &'a str)], u16);
type Socket = WebSocketStream<TcpStream>;

async fn try_open(
    scene: &Scene,
    query: &str,
    headers: &[(&'static str, &str)],
) -> Result<Socket, u16> {
    let port = scene.client.port;
    let url = format!("ws://127.0.0.1:{port}/notifications/stream{query}");
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn open(scene: &Scene, user: &str, query: &str) -> Socket {
    let bearer = format!("Bearer {}", token(user, 600));
    try_open(scene, query, &[("authorization", &bearer)])
        .await
        .unwrap()
}

/// The next message; pings are answered on the way.
async fn next(socket: &mut Socket) -> Option<Value> {
    let message = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    };
    // In all: pings come for ever.
    tokio::time::timeout(TIMEOUT, message).await.unwrap()
}

async fn push(scene: &Scene, user: &str, text: &str) {
    scene
        .notify(json!({
            "user_id": user, "template": "message", "channels": ["push"],
            "data": { "subject": "s", "text": text },
        }))
        .await;
}

async fn expect(socket: &mut Socket, id: i64, text: &str) {
    let message = next(socket).await.unwrap();
    assert_eq!(
        (&message["id"], &message["text"]),
        (&json!(id), &json!(text))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_live_and_those_missed_come_after_a_reconnect() {
    let mut scene = Scene::new().await;
    push(&scene, "7", "before").await;
    let mut first = open(&scene, "7", "").await;
    let mut second = open(&scene, "7", "?last_id=0").await;
    let mut other = open(&scene, "8", "").await;
    expect(&mut second, 1, "before").await;
    push(&scene, "7", "live").await;
    expect(&mut first, 2, "live").await;
    expect(&mut second, 2, "live").await;
    drop(first);
    for number in 3..=250 {
        push(&scene, "7", &number.to_string()).await;
    }
    let mut back = open(&scene, "7", "?last_id=2").await;
    for number in 3..=250 {
        expect(&mut back, number, &number.to_string()).await;
    }
    push(&scene, "8", "for eight").await;
    expect(&mut other, 1, "for eight").await;

    // Also over a kill of the service, and from whatever instance.
    scene.kill().await;
    assert_eq!(next(&mut back).await, None);
    scene.start().await;
    push(&scene, "7", "after").await;
    let mut again = open(&scene, "7", "?last_id=250").await;
    expect(&mut again, 251, "after").await;
    // One that was never given begins with what comes now.
    let mut strange = open(&scene, "7", "?last_id=9999").await;
    push(&scene, "7", "now").await;
    expect(&mut strange, 252, "now").await;
    expect(&mut again, 252, "now").await;
    // An orderly end says so.
    scene.stop().await;
    assert_eq!(next(&mut again).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_kept_is_named() {
    let scene = Scene::new().await;
    for number in 1..=5 {
        push(&scene, "7", &number.to_string()).await;
    }
    let superuser = scene.bed.cluster.superuser("notification").await.unwrap();
    superuser
        .batch_execute("delete from notification_service.push_messages where number < 4")
        .await
        .unwrap();
    let mut socket = open(&scene, "7", "?last_id=1").await;
    let gap = next(&mut socket).await.unwrap();
    assert_eq!(gap, json!({ "gap": { "after": 1, "before": 4 } }));
    expect(&mut socket, 4, "4").await;
    expect(&mut socket, 5, "5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_see_messages_gets_a_socket() {
    let scene = Scene::new().await;
    let bearer = format!("Bearer {}", token("7", 600));
    let expired = format!("Bearer {}", token("7", -600));
    let protocol = format!("bearer, {}", token("7", 600));
    let table: &[Refused<'_>] = &[
        ("", &[], 401),
        ("", &[("authorization", &expired)], 401),
        ("?user_id=8", &[("authorization", &bearer)], 403),
        ("", &[("x-api-key", crate::scene::KEY)], 422),
        ("?last_id=x", &[("authorization", &bearer)], 422),
        (
            "",
            &[("authorization", &bearer), ("sec-websocket-version", "12")],
            426,
        ),
    ];
    for (query, headers, status) in table {
        let refused = try_open(&scene, query, headers).await.err();
        assert_eq!(refused, Some(*status), "{query} {headers:?}");
    }
    let plain = scene.client.get("/notifications/stream").user("7");
    plain
        .send()
        .await
        .unwrap()
        .is_problem(426, "upgrade-required");
    let mut by_browser = try_open(&scene, "", &[("sec-websocket-protocol", &protocol)])
        .await
        .unwrap();
    let by_service = try_open(&scene, "?user_id=7", &[("x-api-key", crate::scene::KEY)]).await;
    assert!(by_service.is_ok());
    push(&scene, "7", "hello").await;
    expect(&mut by_browser, 1, "hello").await;
    for _ in 0..18 {
        std::mem::forget(open(&scene, "7", "").await);
    }
    let one_more = try_open(&scene, "", &[("authorization", &bearer)]).await;
    assert_eq!(one_more.err(), Some(429));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_ends_with_its_token() {
    let scene = Scene::new().await;
    let bearer = format!("Bearer {}", token("7", 2));
    let mut socket = try_open(&scene, "", &[("authorization", &bearer)])
        .await
        .unwrap();
    let ended = tokio::time::timeout(TIMEOUT, next(&mut socket)).await;
    assert_eq!(ended.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_holds_up_nobody() {
    let scene = Scene::new().await;
    let slow = open(&scene, "7", "").await;
    let mut quick = open(&scene, "7", "").await;
    let long = "x".repeat(60_000);
    for number in 1..=60 {
        push(&scene, "7", &long).await;
        expect(&mut quick, number, &long).await;
    }
    drop(slow);
    // The places of those who have gone are free again.
    deadline::until("room", TIMEOUT + Duration::from_secs(1), async || {
        let mut all = Vec::new();
        for _ in 0..19 {
            let bearer = format!("Bearer {}", token("7", 600));
            match try_open(&scene, "", &[("authorization", &bearer)]).await {
                Ok(socket) => all.push(socket),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(()))
    })
    .await
    .unwrap();
}
