//! A gateway that is replaced under load.

use crate::support::*;
use gateway::{
    Gateway, Listeners, Positions,
    socket_handoff::{Offer, Taken},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Starts a gateway on sockets of a predecessor.
fn start_on(
    address: SocketAddr,
    workers: usize,
    upstream: SocketAddr,
    listeners: Listeners,
) -> Gateway {
    let knobs = Knobs {
        workers,
        ..Knobs::default()
    };
    let plan = plan(knobs, &address.to_string(), upstream, upstream);
    let mover: Arc<dyn Positions> = FakeMover::new();
    let gateway = Gateway::prepare(&plan, mover, listeners).unwrap();
    gateway.renew_lease(std::time::Instant::now() + Duration::from_hours(1));
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    gateway.accept();
    gateway
}

/// Requests without a pause, on connections that are kept as long as the
/// gateway likes, or on new ones. Returns how many; the first failure panics.
async fn load(
    address: SocketAddr,
    keeps: bool,
    is_over: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
) {
    'connections: while !is_over.load(Ordering::SeqCst) {
        let mut client = Client::connect(address).await;
        while !is_over.load(Ordering::SeqCst) {
            let answer = client.send("POST", "/api/contracts", None, "x").await;
            assert_eq!(answer.status, 200, "{answer:?}");
            served.fetch_add(1, Ordering::SeqCst);
            if !keeps || answer.header("connection") == Some("close") {
                continue 'connections;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn successors_take_over_without_a_refused_or_lost_request() {
    let upstream = Upstream::start("monolith").await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("handover");
    let mut gateway = start_on(
        "127.0.0.1:0".parse().unwrap(),
        3,
        upstream.address,
        Listeners::none(),
    );
    let address = gateway.local_addr();
    let is_over = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (is_over, served) = (Arc::clone(&is_over), Arc::clone(&served));
            tokio::spawn(load(address, number % 2 == 0, is_over, served))
        })
        .collect();
    // More workers, fewer, and one that shares.
    for workers in [4, 1, 2] {
        let before = served.load(Ordering::SeqCst);
        until("requests are served", || {
            served.load(Ordering::SeqCst) > before + 100
        })
        .await;
        let offer = Offer::bind(&path).unwrap();
        let predecessor = gateway.clone();
        let given = tokio::task::spawn_blocking(move || {
            let mut handing = offer.wait(&predecessor)?;
            handing.give()?;
            std::io::Result::Ok(handing)
        });
        let (upstream, path) = (upstream.address, path.clone());
        let successor = tokio::task::spawn_blocking(move || {
            let (mut taken, listeners) = Taken::ask(&path).unwrap();
            assert!(!listeners.is_empty());
            taken.ready().unwrap();
            let successor = start_on(address, workers, upstream, listeners);
            taken.accepting().unwrap();
            (successor, taken)
        });
        let (successor, taken) = successor.await.unwrap();
        let handing = given.await.unwrap().unwrap();
        gateway.retire(Duration::from_secs(10)).await;
        drop(handing);
        tokio::task::spawn_blocking(|| taken.gone()).await.unwrap();
        assert_eq!(successor.local_addr(), address);
        gateway = successor;
    }
    let before = served.load(Ordering::SeqCst);
    until("requests are served", || {
        served.load(Ordering::SeqCst) > before + 100
    })
    .await;
    is_over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(upstream.count(), served.load(Ordering::SeqCst));
    gateway.shutdown(Duration::from_secs(1)).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_fails_changes_nothing() {
    let upstream = Upstream::start("monolith").await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("handover");
    let gateway = start_on(
        "127.0.0.1:0".parse().unwrap(),
        2,
        upstream.address,
        Listeners::none(),
    );
    let offer = Offer::bind(&path).unwrap();
    let predecessor = gateway.clone();
    let given = tokio::task::spawn_blocking(move || (offer.wait(&predecessor), offer));
    let asked = tokio::task::spawn_blocking({
        let path = path.clone();
        move || drop(Taken::ask(&path).unwrap())
    });
    asked.await.unwrap();
    let (outcome, _offer) = given.await.unwrap();
    assert!(outcome.is_err());
    for _ in 0..10 {
        let mut client = Client::connect(gateway.local_addr()).await;
        assert_eq!(client.send("GET", "/x", None, "").await.status, 200);
    }
}
