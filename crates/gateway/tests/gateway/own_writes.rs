//! Two sides with data that follow each other, and clients that look for what
//! they have just written.

use crate::support::*;
use bytes::Bytes;
use gateway::{Positions, Sample};
use http::Response;
use http_body_util::Full;
use plan::ExtractionName;
use protocol::{Lsn, Side, routing::Writes};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

const CLIENTS: usize = 12;
const HAND_OVERS: u64 = 20;

/// Reads of one's own writes between two hand-overs, by side. Otherwise the
/// test shows nothing.
const LOOKS: usize = 10;

/// A side's database: rows, and the log of what its clients wrote.
#[derive(Default)]
struct Database {
    rows: HashSet<String>,
    log: Vec<String>,
}

/// Both databases and the followers between them.
struct World {
    databases: [Mutex<Database>; 2],
    applied: [watch::Sender<Lsn>; 2],
}

impl World {
    fn database(&self, side: Side) -> std::sync::MutexGuard<'_, Database> {
        self.databases[side as usize].lock().unwrap()
    }

    fn position(&self, side: Side) -> Lsn {
        Lsn(self.database(side).log.len() as u64)
    }

    fn serve(self: &Arc<Self>, upstream: &Upstream, side: Side) {
        let world = Arc::clone(self);
        upstream.behave(move |seen| {
            let world = Arc::clone(&world);
            async move {
                let id = String::from_utf8(seen.body.to_vec()).unwrap();
                if !id.is_empty() {
                    let mut database = world.database(side);
                    database.rows.insert(id.clone());
                    database.log.push(id);
                    return text(200, "written");
                }
                let id = seen.path.rsplit('/').next().unwrap().to_owned();
                let found = world.database(side).rows.contains(&id);
                let mut response = Response::new(Full::new(Bytes::from(id)));
                *response.status_mut() = if found { 200 } else { 404 }.try_into().unwrap();
                response
            }
        });
    }

    /// Applies the logs on the other sides, always a little late.
    async fn follow(self: Arc<Self>) {
        let mut round = 0;
        loop {
            round += 1;
            tokio::time::sleep(Duration::from_millis(round % 7)).await;
            for source in Side::BOTH {
                let from = usize::try_from(self.applied[source as usize].borrow().0).unwrap();
                let log = self.database(source).log[from..].to_vec();
                // Not always all of it.
                let part = log.len() - if round % 2 == 0 { log.len() / 3 } else { 0 };
                self.database(source.other())
                    .rows
                    .extend(log.into_iter().take(part));
                self.applied[source as usize].send_replace(Lsn((from + part) as u64));
            }
        }
    }
}

/// The world's positions, as a data mover sees them.
struct Mover(Arc<World>);

impl Positions for Mover {
    fn sample(&self, _: &ExtractionName, side: Side) -> Sample {
        let world = Arc::clone(&self.0);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Some(world.position(side))
        })
    }

    fn applied(&self, _: &ExtractionName, source: Side) -> watch::Receiver<Lsn> {
        self.0.applied[source as usize].subscribe()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_finds_what_it_has_just_written() {
    let (monolith, service) = (Upstream::start("").await, Upstream::start("").await);
    let applied = || watch::Sender::new(Lsn(0));
    let world = Arc::new(World {
        databases: Default::default(),
        applied: [applied(), applied()],
    });
    world.serve(&monolith, Side::Monolith);
    world.serve(&service, Side::Service);
    tokio::spawn(Arc::clone(&world).follow());
    let plan = plan(
        Knobs::default(),
        "127.0.0.1:0",
        monolith.address,
        service.address,
    );
    let gateway = with_lease(&plan, Arc::new(Mover(Arc::clone(&world))));
    // Reads always go to the side that does not own, unless pinned.
    let share = |owner| if owner == Side::Monolith { 100 } else { 0 };
    let mut owner = Side::Monolith;
    gateway.publish(&routing(1, Writes::To(owner), share(owner)));

    let stop = Arc::new(AtomicBool::new(false));
    let sides: Arc<[AtomicUsize; 2]> = Arc::default();
    let address = gateway.local_addr();
    let client = |number| write_and_look(number, address, Arc::clone(&stop), Arc::clone(&sides));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(number)))
        .collect();
    let looks = || [0, 1].map(|at| sides[at].load(Ordering::Relaxed));
    let name = contracts();
    for epoch in 2..HAND_OVERS + 2 {
        let before = looks();
        until("enough was read at both sides", || {
            let now = looks();
            (0..2).all(|at| now[at] >= before[at] + LOOKS)
                || clients.iter().any(tokio::task::JoinHandle::is_finished)
        })
        .await;
        gateway.publish(&routing(epoch, Writes::Hold { from: owner }, share(owner)));
        gateway.drained(&name, protocol::Epoch(epoch)).await;
        let mark = world.position(owner);
        let mut applied = world.applied[owner as usize].subscribe();
        applied.wait_for(|applied| *applied >= mark).await.unwrap();
        owner = owner.other();
        gateway.publish(&routing(epoch, Writes::To(owner), share(owner)));
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let [owner, other] = looks();
    println!("{owner} reads pinned to the owner, {other} not");
}

/// Counts how many of its reads of what it wrote went to the side that took
/// the write, and how many to the other one.
async fn write_and_look(
    number: usize,
    address: std::net::SocketAddr,
    stop: Arc<AtomicBool>,
    sides: Arc<[AtomicUsize; 2]>,
) {
    let mut client = Client::connect(address).await;
    // Several share a key, and write at the same time.
    let user = format!("user-{}", number / 2);
    let user = (number > 1).then_some(user.as_str());
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let id = format!("{number}-{round}");
        let written = client.send("POST", "/api/contracts", user, &id).await;
        assert_eq!(written.status, 200);
        for look in 0..4 {
            let path = format!("/api/contracts/{id}");
            let found = client.send("GET", &path, user, "").await;
            assert_eq!(found.status, 200, "look {look} for {id}: {found:?}");
            let at = usize::from(found.side() != written.side());
            sides[at].fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(look)).await;
        }
        let dependent = client
            .send("GET", &format!("/documents/of/{id}"), user, "")
            .await;
        assert_eq!(dependent.status, 200, "{id} is not there for its document");
    }
}
