//! Hold and release without pause, under load.

use crate::support::*;
use http_body_util::Full;
use protocol::{Side, routing::Writes};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const CLIENTS: usize = 16;
const SWITCHES: u64 = 150;

/// Writes between two switches, so that there is load however slow the machine.
const WRITES: usize = 8;

/// Who may take writes at the moment. As in the databases: between the moment
/// that the old owner is fenced and the new one is opened, nobody.
#[derive(Default)]
struct Fence {
    owner: Mutex<Option<Side>>,
    refused: AtomicUsize,
    taken: Mutex<Vec<String>>,
}

impl Fence {
    fn guard(self: &Arc<Self>, upstream: &Upstream, side: Side) {
        let fence = Arc::clone(self);
        upstream.behave(move |seen| {
            let fence = Arc::clone(&fence);
            async move {
                // Some are slow: those are in flight when a hold comes.
                if seen.body.len() % 3 == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let id = String::from_utf8(seen.body.to_vec()).unwrap();
                if *fence.owner.lock().unwrap() == Some(side) {
                    fence.taken.lock().unwrap().push(id);
                    http::Response::new(Full::default())
                } else {
                    fence.refused.fetch_add(1, Ordering::Relaxed);
                    text(500, "fenced")
                }
            }
        });
    }

    fn set(&self, owner: Option<Side>) {
        *self.owner.lock().unwrap() = owner;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_meets_a_fence_and_none_is_lost_or_doubled() {
    let bed = Arc::new(Bed::start(Knobs::default(), TO_MONOLITH, 50).await);
    let fence = Arc::new(Fence::default());
    fence.set(Some(Side::Monolith));
    fence.guard(&bed.monolith, Side::Monolith);
    fence.guard(&bed.service, Side::Service);
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let (bed, stop) = (Arc::clone(&bed), Arc::clone(&stop));
        clients.push(tokio::spawn(async move {
            let mut client = bed.client().await;
            let user = format!("user-{number}");
            let mut acknowledged = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let id = format!("{number}-{}", acknowledged.len());
                let user = (number % 4 > 0).then_some(user.as_str());
                let answer = client.send("POST", "/api/contracts", user, &id).await;
                assert_eq!(answer.status, 200, "{id}: {answer:?}");
                acknowledged.push(id);
            }
            acknowledged
        }));
    }
    let mut owner = Side::Monolith;
    let mut epoch = 1;
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    for switch in 0..SWITCHES {
        epoch += 1;
        let held = Instant::now();
        bed.publish(epoch, Writes::Hold { from: owner }, 50);
        bed.drained(epoch).await;
        fence.set(None);
        // Every third one is aborted.
        if switch % 3 > 0 {
            owner = owner.other();
        }
        fence.set(Some(owner));
        bed.publish(epoch, Writes::To(owner), 50);
        longest = longest.max(held.elapsed());
        let before = fence.taken.lock().unwrap().len();
        until("there was load", || {
            let taken = fence.taken.lock().unwrap().len();
            taken >= before + WRITES || clients.iter().any(tokio::task::JoinHandle::is_finished)
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = BTreeSet::new();
    for client in clients {
        acknowledged.extend(client.await.unwrap());
    }
    assert_eq!(
        fence.refused.load(Ordering::Relaxed),
        0,
        "writes met a fence"
    );
    let taken = fence.taken.lock().unwrap();
    let distinct: BTreeSet<String> = taken.iter().cloned().collect();
    assert_eq!(distinct.len(), taken.len(), "writes were doubled");
    assert_eq!(distinct, acknowledged);
    println!(
        "{} writes, {SWITCHES} holds in {:?}, the longest {longest:?}",
        acknowledged.len(),
        begun.elapsed()
    );
}
