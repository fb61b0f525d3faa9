//! Upstreams that do everything wrong, under load: whatever they do, a request
//! that fails has a reason, no write comes twice, nobody gets another one's
//! answer, and nothing hangs.
//!
//! `BANYAN_CHAOS_SECONDS` says for how long (60), `BANYAN_CHAOS_SEED` which
//! chaos; the seed is printed.

use crate::support::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const CLIENTS: u64 = 64;

/// Answers that it takes to say anything; a starved machine gets more time.
const FINE: u64 = 500;

/// What the upstreams do wrong, and how often in a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mischief {
    /// It is answered as it should be.
    None,
    Chunked,
    /// Nothing comes, for longer than anybody waits.
    Stall,
    /// The connection is reset, with the request read and no answer.
    Reset,
    ResetInBody,
    /// Byte by byte.
    Trickle,
    /// The body stops in the middle.
    StallInBody,
    /// Less comes than was said.
    Short,
    /// More comes than was said: as if it were another answer.
    Long,
    /// Before the request's body was read; then it is closed.
    Early,
    /// 503.
    Refuse,
    /// Answered, and closed without having said so.
    CloseIdle,
    /// Answered, and reset when the next request's first bytes come.
    CloseAtNext,
    /// No head at all.
    Garbage,
}

const MISCHIEF: [(Mischief, u32); 14] = [
    (Mischief::None, 50),
    (Mischief::Chunked, 10),
    (Mischief::Stall, 1),
    (Mischief::Reset, 5),
    (Mischief::ResetInBody, 3),
    (Mischief::Trickle, 3),
    (Mischief::StallInBody, 1),
    (Mischief::Short, 4),
    (Mischief::Long, 6),
    (Mischief::Early, 4),
    (Mischief::Refuse, 4),
    (Mischief::CloseIdle, 4),
    (Mischief::CloseAtNext, 4),
    (Mischief::Garbage, 1),
];

fn mischief(rng: &mut ChaCha8Rng) -> Mischief {
    let mut at = rng.random_range(0..100);
    for (mischief, share) in MISCHIEF {
        if at < share {
            return mischief;
        }
        at -= share;
    }
    Mischief::None
}

/// How often each id came, over all upstreams.
type Counted = Arc<Mutex<BTreeMap<String, u32>>>;

async fn chaotic(seed: u64, counted: Counted) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            let rng = ChaCha8Rng::seed_from_u64(rng.next_u64());
            tokio::spawn(serve(stream, rng, Arc::clone(&counted)));
        }
    });
    address
}

/// One connection, until it ends or the mischief ends it.
async fn serve(mut stream: TcpStream, mut rng: ChaCha8Rng, counted: Counted) {
    let mut buffer = String::new();
    loop {
        // The head.
        let (id, length) = loop {
            if let Some((head, rest)) = buffer.split_once("\r\n\r\n") {
                let value = |name: &str| {
                    head.lines()
                        .find_map(|line| line.strip_prefix(name).map(str::to_owned))
                };
                let length = value("content-length: ").map_or(0, |text| text.parse().unwrap());
                let id = value("x-id: ").unwrap();
                buffer = rest.to_owned();
                break (id, length);
            }
            if !more(&mut stream, &mut buffer).await {
                return;
            }
        };
        // From here on it may have had its effect.
        *counted.lock().unwrap().entry(id.clone()).or_default() += 1;
        let mischief = mischief(&mut rng);
        if mischief == Mischief::Early {
            let _ = stream.write_all(&answer(&id, id.len())).await;
            return;
        }
        while buffer.len() < length {
            if !more(&mut stream, &mut buffer).await {
                return;
            }
        }
        buffer = buffer.split_off(length);
        if !act(&mut stream, mischief, &id).await {
            return;
        }
        if mischief == Mischief::CloseAtNext {
            if more(&mut stream, &mut buffer).await {
                // Somebody's request has come in part: it counts, too.
                if let Some(id) = buffer.lines().find_map(|line| line.strip_prefix("x-id: ")) {
                    *counted.lock().unwrap().entry(id.to_owned()).or_default() += 1;
                }
            }
            reset(&stream);
            return;
        }
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut String) -> bool {
    let mut part = [0; 4096];
    match stream.read(&mut part).await {
        Ok(length) if length > 0 => {
            buffer.push_str(std::str::from_utf8(&part[..length]).unwrap());
            true
        }
        _ => false,
    }
}

fn answer(id: &str, length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nx-answer: {id}\r\ncontent-length: {length}\r\n\r\n{id}")
        .into_bytes()
}

fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Longer than any client waits. Not until the gateway closes the connection: a write's
/// end it waits for a minute.
const STALL: Duration = Duration::from_secs(5);

/// Answers; whether the connection goes on.
async fn act(stream: &mut TcpStream, mischief: Mischief, id: &str) -> bool {
    let fine = answer(id, id.len());
    let half = fine.len() - id.len() / 2;
    match mischief {
        Mischief::None | Mischief::CloseAtNext | Mischief::Early => {
            stream.write_all(&fine).await.is_ok()
        }
        Mischief::Chunked => {
            let head =
                format!("HTTP/1.1 200 OK\r\nx-answer: {id}\r\ntransfer-encoding: chunked\r\n\r\n");
            let body = format!("{:x}\r\n{id}\r\n0\r\n\r\n", id.len());
            stream.write_all(head.as_bytes()).await.is_ok()
                && stream.write_all(body.as_bytes()).await.is_ok()
        }
        Mischief::Stall => {
            tokio::time::sleep(STALL).await;
            false
        }
        Mischief::Reset => {
            reset(stream);
            false
        }
        Mischief::ResetInBody => {
            let _ = stream.write_all(&fine[..half]).await;
            // For the half to be read before the reset, which else overtakes it.
            tokio::time::sleep(Duration::from_millis(5)).await;
            reset(stream);
            false
        }
        Mischief::Trickle => {
            for byte in fine {
                if stream.write_all(&[byte]).await.is_err() {
                    return false;
                }
                // Its pace is the mischief.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            true
        }
        Mischief::StallInBody => {
            let _ = stream.write_all(&fine[..half]).await;
            tokio::time::sleep(STALL).await;
            false
        }
        Mischief::Short => {
            let _ = stream.write_all(&answer(id, id.len() + 10)).await;
            false
        }
        Mischief::Long => {
            let mut both = fine;
            both.extend(answer("somebody-elses", 14));
            stream.write_all(&both).await.is_ok()
        }
        Mischief::Refuse => {
            let text = "HTTP/1.1 503 No\r\nretry-after: 0\r\ncontent-length: 7\r\n\r\ntold so";
            stream.write_all(text.as_bytes()).await.is_ok()
        }
        Mischief::CloseIdle => {
            let _ = stream.write_all(&fine).await;
            false
        }
        Mischief::Garbage => {
            let _ = stream.write_all(b"\0\x01nonsense\r\n\r\n").await;
            false
        }
    }
}

/// How requests ended.
#[derive(Debug, Default)]
struct Tally {
    fine: AtomicU64,
    refused: AtomicU64,
    told: AtomicU64,
    cut: AtomicU64,
}

async fn client(bed: Arc<Bed>, number: u64, seed: u64, end: Instant, tally: Arc<Tally>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut connection = bed.client().await;
    let mut count = 0;
    let has_enough = || {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        read(&tally.fine) >= FINE && read(&tally.cut) > 0 && read(&tally.refused) > 0
    };
    while Instant::now() < end || (!has_enough() && Instant::now() < end + DEADLINE) {
        count += 1;
        let write = rng.random_range(0..3) == 0;
        let (method, kind) = if write { ("POST", "w") } else { ("GET", "r") };
        let path = ["/api/contracts/x", "/stays"][rng.random_range(0..2)];
        // The body is the id, so that lengths differ.
        let id = format!(
            "{kind}-{number}-{count}-{}",
            "x".repeat(rng.random_range(0..200))
        );
        let body = if write { id.as_str() } else { "" };
        let user = format!("user-{number}");
        let mut request = build(method, path, Some(&user), body);
        request.headers_mut().insert("x-id", id.parse().unwrap());
        if connection.is_closed() {
            connection = bed.client().await;
        }
        let asking = tokio::time::timeout(DEADLINE, connection.request(request)).await;
        match asking.unwrap_or_else(|_| panic!("{id} hangs")) {
            Err(_) => {
                tally.cut.fetch_add(1, Ordering::Relaxed);
                connection = bed.client().await;
            }
            Ok(answer) if answer.status == 200 => {
                assert_eq!(answer.body, id, "somebody else's answer");
                assert_eq!(answer.header("x-answer"), Some(id.as_str()));
                tally.fine.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) if answer.body == "told so" => {
                assert_eq!(answer.status, 503);
                tally.told.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => {
                assert!([502, 503, 504].contains(&answer.status), "{answer:?}");
                assert!(answer.body.contains("\"reason\":"), "{answer:?}");
                tally.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_upstreams_do_no_request_is_doubled_mixed_up_or_forgotten() {
    let number = |name, default: u64| {
        std::env::var(name)
            .ok()
            .map_or(default, |text| text.parse().unwrap())
    };
    let seed = number("BANYAN_CHAOS_SEED", uuid::Uuid::new_v4().as_u64_pair().0);
    let seconds = number("BANYAN_CHAOS_SECONDS", 60);
    println!("BANYAN_CHAOS_SEED={seed} BANYAN_CHAOS_SECONDS={seconds}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let counted = Counted::default();
    let mut sides = Vec::new();
    for _ in 0..2 {
        let one = chaotic(rng.next_u64(), Arc::clone(&counted)).await;
        let two = chaotic(rng.next_u64(), Arc::clone(&counted)).await;
        sides.push(format!("urls: [\"http://{one}\", \"http://{two}\"]"));
    }
    let timeouts = "timeouts: { first-byte: 500ms, idle: 300ms, whole: 2s }, \
        retries: { attempts: 3, backoff: 2ms }, \
        balance: { ejection: { after: 2, for: 20ms, at-most: 100ms } }";
    let plan = shaped(
        &format!("{}, {timeouts}", sides[0]),
        &format!(
            "{}, {timeouts}, breaker: {{ open: 50ms, volume: 50 }}",
            sides[1]
        ),
        "",
    );
    let unused = Upstream::start("unused").await;
    let bed = Arc::new(Bed::of(&plan, unused.clone(), unused));
    bed.publish(1, TO_MONOLITH, 50);
    let tally = Arc::new(Tally::default());
    let end = Instant::now() + Duration::from_secs(seconds);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            tokio::spawn(client(
                Arc::clone(&bed),
                number,
                rng.next_u64(),
                end,
                Arc::clone(&tally),
            ))
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let counted = std::mem::take(&mut *counted.lock().unwrap());
    let doubled: Vec<_> = counted
        .iter()
        .filter(|(id, times)| id.starts_with("w-") && **times > 1)
        .collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let metrics = bed.metrics();
    let sum = |name: &str| -> u64 {
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    println!("{tally:?}, {} ids", counted.len());
    let samples = [
        "banyan_retries_total",
        "banyan_ejections_total",
        "banyan_answers_cut_total",
        "banyan_fallbacks_total",
    ];
    println!("{:?}", samples.map(|name| (name, sum(name))));
    // Each that failed has its reason.
    assert!(
        sum("banyan_refused_total") >= read(&tally.refused),
        "{metrics}"
    );
    assert!(
        sum("banyan_answers_cut_total") >= read(&tally.cut),
        "{metrics}"
    );
    assert!(read(&tally.fine) >= FINE, "hardly any load: {tally:?}");
    assert!(
        read(&tally.cut) > 0 && read(&tally.refused) > 0,
        "hardly any chaos: {tally:?}"
    );
    until("nothing is left in flight", || {
        let metrics = bed.metrics();
        let mut lines = metrics
            .lines()
            .filter(|line| line.starts_with("banyan_upstream_inflight"));
        lines.all(|line| line.ends_with(" 0"))
    })
    .await;
}
