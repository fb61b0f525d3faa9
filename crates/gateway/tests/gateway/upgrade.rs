//! WebSocket and other upgrades.

use crate::support::*;
use futures_util::{SinkExt, StreamExt};
use gateway::{BreakerState, Gateway};
use protocol::Epoch;
use std::sync::Arc;
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, accept_async, connect_async, tungstenite::Message,
};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A WebSocket server that says its name before each message.
pub async fn server(name: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let open = Arc::clone(&counted);
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else {
                    return;
                };
                open.fetch_add(1, Ordering::SeqCst);
                while let Some(Ok(message)) = socket.next().await {
                    if let Message::Text(text) = message {
                        let answer = Message::text(format!("{name}: {text}"));
                        if socket.send(answer).await.is_err() {
                            break;
                        }
                    }
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, open)
}

pub async fn connect(gateway: &Gateway, path: &str) -> Socket {
    let url = format!("ws://{}{path}", gateway.local_addr());
    let connecting = tokio::time::timeout(DEADLINE, connect_async(url));
    connecting.await.expect("not connected in time").unwrap().0
}

pub async fn say(socket: &mut Socket, text: &str) -> Option<String> {
    let _ = socket.send(Message::text(text.to_owned())).await;
    next(socket).await
}

pub async fn next(socket: &mut Socket) -> Option<String> {
    let message = tokio::time::timeout(DEADLINE, socket.next()).await;
    match message.expect("nothing said in time") {
        Some(Ok(Message::Text(text))) => Some(text.to_string()),
        _ => None,
    }
}

pub async fn drained(gateway: &Gateway, epoch: u64) {
    let name = contracts();
    let drained = gateway.drained(&name, Epoch(epoch));
    tokio::time::timeout(DEADLINE, drained)
        .await
        .expect("never drained");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_go_to_the_monolith_or_the_owner() {
    let ((monolith, _), (service, open)) = (server("monolith").await, server("service").await);
    let gateway = between(Knobs::default(), monolith, service);
    gateway.publish(&routing(2, TO_SERVICE, 0));
    let mut staying = connect(&gateway, "/chat").await;
    let mut moved = connect(&gateway, "/api/contracts/live").await;
    for text in ["one", "two"] {
        assert_eq!(
            say(&mut staying, text).await,
            Some(format!("monolith: {text}"))
        );
        assert_eq!(
            say(&mut moved, text).await,
            Some(format!("service: {text}"))
        );
    }
    let large = "x".repeat(1 << 20);
    assert_eq!(
        say(&mut moved, &large).await,
        Some(format!("service: {large}"))
    );
    moved.close(None).await.unwrap();
    while next(&mut moved).await.is_some() {}
    until("the upstream's end is closed, too", || {
        open.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_closes_the_sockets_of_its_extraction_only() {
    let ((monolith, open), (service, _)) = (server("monolith").await, server("service").await);
    let gateway = between(Knobs::default(), monolith, service);
    let mut staying = connect(&gateway, "/chat").await;
    let mut moved = connect(&gateway, "/api/contracts/live").await;
    assert_eq!(say(&mut moved, "hi").await.as_deref(), Some("monolith: hi"));
    // A new decision that names the same owner.
    gateway.publish(&routing(2, TO_MONOLITH, 50));
    drained(&gateway, 2).await;
    assert_eq!(
        say(&mut moved, "still").await.as_deref(),
        Some("monolith: still")
    );
    gateway.publish(&routing(3, HOLD, 50));
    drained(&gateway, 3).await;
    assert_eq!(next(&mut moved).await, None);
    until("the owner's end is closed", || {
        open.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(
        say(&mut staying, "hi").await.as_deref(),
        Some("monolith: hi")
    );
    // Who comes back is held like a write, and released to the new owner.
    let coming_back = tokio::spawn({
        let gateway = gateway.clone();
        async move { connect(&gateway, "/api/contracts/live").await }
    });
    until("it is held", || gateway.held(&contracts()).now == 1).await;
    gateway.publish(&routing(3, TO_SERVICE, 50));
    let mut back = coming_back.await.unwrap();
    assert_eq!(say(&mut back, "hi").await.as_deref(), Some("service: hi"));
    // A rollback without a hold, as after a restart.
    gateway.publish(&routing(4, TO_MONOLITH, 50));
    assert_eq!(next(&mut back).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_are_closed() {
    let ((monolith, open), (service, _)) = (server("monolith").await, server("service").await);
    let knobs = Knobs {
        stream: "200ms",
        ..Knobs::default()
    };
    let gateway = between(knobs, monolith, service);
    let mut socket = connect(&gateway, "/chat").await;
    assert_eq!(
        say(&mut socket, "hi").await.as_deref(),
        Some("monolith: hi")
    );
    assert_eq!(next(&mut socket).await, None);
    until("the upstream's end is closed, too", || {
        open.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_says_how_long_its_sockets_may_be_silent() {
    let ((monolith, _), (service, _)) = (server("monolith").await, server("service").await);
    let plan = extracting(
        monolith,
        service,
        "routes: { chat: { to: monolith, path: /chat, timeouts: { stream: 200ms } } }",
        "routes: [{ path: /api/contracts/* }, \
         { path: /api/contracts/live, timeouts: { stream: 200ms } }]",
    );
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    let mut others = Vec::new();
    for path in ["/", "/api/contracts/other"] {
        others.push(connect(&gateway, path).await);
    }
    for path in ["/chat", "/api/contracts/live"] {
        let mut socket = connect(&gateway, path).await;
        assert_eq!(next(&mut socket).await, None, "{path}");
    }
    for mut other in others {
        let said = say(&mut other, "hi").await;
        assert_eq!(said.as_deref(), Some("monolith: hi"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_sockets_and_then_ends_them() {
    let ((monolith, _), (service, _)) = (server("monolith").await, server("service").await);
    let gateway = between(Knobs::default(), monolith, service);
    let mut socket = connect(&gateway, "/chat").await;
    let stopping = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.shutdown(std::time::Duration::from_secs(2)).await }
    });
    until("it accepts no more", || {
        std::net::TcpStream::connect(gateway.local_addr()).is_err()
    })
    .await;
    assert_eq!(
        say(&mut socket, "still").await.as_deref(),
        Some("monolith: still")
    );
    let cut = stopping.await.unwrap();
    assert_eq!(cut.by_route(), "no route: 1 stream");
    assert_eq!(next(&mut socket).await, None);
}

const ASKING: &str =
    "GET /x HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: echo\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_any_protocol_pass_also_those_sent_early() {
    const SWITCH: &str = "HTTP/1.1 101 Fine\r\nconnection: upgrade\r\nupgrade: ECHO\r\n\r\nwelcome";
    let (upstream, seen) = raw_upstream(SWITCH).await;
    let gateway = between(Knobs::default(), upstream, upstream);
    let mut client = Raw::connect(gateway.local_addr()).await;
    client.write(&format!("{ASKING}early")).await;
    client.until("welcome").await;
    assert!(client.read.starts_with("HTTP/1.1 101 "), "{}", client.read);
    assert!(
        client.read.contains("\r\nupgrade: ECHO\r\n"),
        "{}",
        client.read
    );
    client.write(" late").await;
    until("all has come", || {
        seen.lock().unwrap().ends_with(b"\r\n\r\nearly late")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_that_are_declined_or_wrong() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let mut client = Raw::connect(bed.gateway.local_addr()).await;
    client.write(ASKING).await;
    client.until("monolith").await;
    assert!(client.read.starts_with("HTTP/1.1 200 "), "{}", client.read);
    assert_eq!(bed.monolith.seen()[0].header("upgrade"), Some("echo"));
    // The connection goes on; what is no upgrade for others is none for us.
    for (at, head) in [
        "connection: upgrade\r\nupgrade: h2c",
        "upgrade: websocket",
        "connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 1",
        "connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0",
    ]
    .iter()
    .enumerate()
    {
        client.read.clear();
        // A write that asks for an upgrade is a write.
        let method = if head.ends_with('0') { "POST" } else { "GET" };
        client
            .write(&format!(
                "{method} /x HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n"
            ))
            .await;
        if head.ends_with('1') {
            client.write("b").await;
        }
        client.until("monolith").await;
        assert_eq!(
            bed.monolith.seen()[at + 1].header("upgrade"),
            None,
            "{head}"
        );
    }
    for (answer, asking) in [
        (
            "HTTP/1.1 101 Fine\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n",
            ASKING,
        ),
        ("HTTP/1.1 101 Fine\r\n\r\n", ASKING),
        (
            "HTTP/1.1 101 Fine\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
            "GET /x HTTP/1.1\r\nhost: a\r\n\r\n",
        ),
    ] {
        let (upstream, _) = raw_upstream(answer).await;
        let gateway = between(Knobs::default(), upstream, upstream);
        let mut client = Raw::connect(gateway.local_addr()).await;
        client.write(asking).await;
        client.until("}").await;
        assert!(
            client.read.starts_with("HTTP/1.1 502 "),
            "{answer}: {}",
            client.read
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_ask_the_breaker_and_count_for_it() {
    let bed = Bed::shaped_and_settled("breaker: { volume: 4, open: 1h }", "", "").await;
    let breaker = || {
        let upstreams = bed.gateway.upstreams();
        let monolith = upstreams.into_iter().find(|one| one.name == "monolith");
        monolith.unwrap().breaker.unwrap()
    };
    let ask = async || {
        let mut client = Raw::connect(bed.gateway.local_addr()).await;
        client.write(ASKING).await;
        client.until("}").await;
        client.read
    };
    bed.monolith
        .behave(|_| async { text(503, "{\"from\":\"monolith\"}") });
    for _ in 0..4 {
        let declined = ask().await;
        assert!(declined.contains("from"), "{declined}");
    }
    until("they open it", || breaker() == BreakerState::Open).await;
    let asked = bed.monolith.count();
    let refused = ask().await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("breaker-open"), "{refused}");
    assert_eq!(bed.monolith.count(), asked);
}
