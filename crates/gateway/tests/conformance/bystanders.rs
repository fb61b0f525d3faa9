//! Hostile clients and bystanders over the same connections to an upstream that
//! reads wrongly: no bystander gets another's answer.

use crate::{
    bed::before,
    careless::{self, Fault, MARK, READINGS},
    client::{Pieces, exchange},
    frames,
    message::{Body, Message},
    python::python,
    skip::skip,
    stream,
    table::all,
    text::{Step, steps},
    upstream::DEADLINE,
};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// How many requests there are at least, of both kinds; a quarter are hostile. In
/// `./x test` few, by hand 100,000.
const REQUESTS: &str = "BANYAN_BYSTANDER_REQUESTS";
const REQUESTS_DEFAULT: usize = 4_000;

/// One in so many is hostile, or more.
const HOSTILE_SHARE: usize = 4;

/// How many clients of each kind there are at once.
const HOSTILE: usize = 4;
const BYSTANDERS: usize = 4;

/// How long a hostile client listens to a gateway that waits for more.
const PATIENCE: Duration = Duration::from_millis(20);

/// Behind each hostile request.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: a\r\nx-mark: smuggled\r\n\r\n";

fn requests() -> usize {
    let said = std::env::var(REQUESTS).ok();
    said.map_or(REQUESTS_DEFAULT, |said| said.parse().expect(REQUESTS))
}

/// What bystanders have got.
#[derive(Debug, Default)]
struct Tally {
    own: AtomicUsize,
    refused: AtomicUsize,
    hostile: AtomicUsize,
}

/// A hostile request: a row, or one that is made of two, or of one and chance.
fn hostile(random: &mut ChaCha8Rng) -> Vec<Step> {
    let rows: Vec<&str> = all().map(|(_, row)| row.sent).collect();
    let row = rows.choose(random).copied().unwrap_or_default();
    let row = row.replace("{wait}", "").replace("{end}", "");
    let [Step::Send(bytes)] = &mut steps(&row)[..] else {
        panic!("no other steps")
    };
    let mut bytes = std::mem::take(bytes);
    match random.random_range(0..4) {
        0 => {
            // The lines of another one among its own.
            let other = rows.choose(random).copied().unwrap_or_default();
            let other = other.replace("{wait}", "").replace("{end}", "");
            let line = other.split("\r\n").nth(random.random_range(1..4));
            if let (Some(line), Some(at)) = (line, bytes.windows(2).position(|two| two == b"\r\n"))
            {
                let line: Vec<u8> = line.chars().map(|one| one as u8).chain(*b"\r\n").collect();
                bytes.splice(at + 2..at + 2, line);
            }
        }
        1 => {
            let at = random.random_range(0..bytes.len());
            bytes[at] = *b"\r\n\t \0:;,0_".choose(random).unwrap_or(&b' ');
        }
        _ => {}
    }
    // Where it has a mark of its own, that is what its answer is known by.
    let mark = format!("{MARK}: hostile-0\r\n");
    if let Some(at) = bytes.windows(9).position(|nine| nine == b"host: a\r\n") {
        bytes.splice(at + 9..at + 9, mark.into_bytes());
    }
    bytes.extend_from_slice(HIDDEN.as_bytes());
    vec![Step::Send(bytes)]
}

fn be_hostile(address: SocketAddr, seed: u64, count: usize, tally: &Tally) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let streams: Vec<_> = stream::all().collect();
    for _ in 0..count {
        if random.random_range(0..8) == 0 {
            let stream = streams.choose(&mut random).expect("there are some");
            let mut connection = frames::Connection::new(address, DEADLINE);
            connection.request(1, stream.fields, stream.body, stream.trailers);
            connection.outcome(1);
        } else {
            exchange(address, &hostile(&mut random), Pieces::Whole, PATIENCE);
        }
        tally.hostile.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client whose requests and answers have its mark.
struct Bystander {
    address: SocketAddr,
    name: usize,
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
}

impl Bystander {
    fn ask(&mut self, number: usize) -> Option<Message> {
        let mark = format!("by{}-{number}", self.name);
        let body = "b".repeat(number % 7);
        let request = match number % 3 {
            0 => format!("GET /{mark} HTTP/1.1\r\nhost: a\r\n{MARK}: {mark}\r\n\r\n"),
            1 => format!(
                "POST /{mark} HTTP/1.1\r\nhost: a\r\n{MARK}: {mark}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
            _ => format!(
                "POST /{mark} HTTP/1.1\r\nhost: a\r\n{MARK}: {mark}\r\ntransfer-encoding: chunked\r\n\r\n\
                 3\r\nbbb\r\n0\r\nx-sum: 1\r\n\r\n"
            ),
        };
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            self.stream = Some(stream);
            self.bytes.clear();
        }
        let stream = self.stream.as_mut()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut part = vec![0; 16 << 10];
        loop {
            if let Some((message, rest)) = Message::take(&self.bytes, Body::Framed) {
                let left = rest.len();
                self.bytes.drain(..self.bytes.len() - left);
                return Some(message);
            }
            let length = stream.read(&mut part).ok().filter(|length| *length > 0)?;
            self.bytes.extend_from_slice(&part[..length]);
        }
    }

    /// Asks as long as hostile clients do. `Err`: an answer that was not its own.
    fn stand_by(&mut self, goes_on: &AtomicBool, tally: &Tally) -> Result<(), String> {
        for number in 0.. {
            if !goes_on.load(Ordering::Relaxed) {
                break;
            }
            let bytes = match number % 3 {
                0 => 0,
                1 => number % 7,
                _ => 3,
            };
            let mark = format!("by{}-{number}", self.name);
            let own = format!("/{mark} {mark} {bytes}");
            match self.ask(number) {
                Some(message) if message.status() == 200 => {
                    if message.body != own.as_bytes() {
                        let got = String::from_utf8_lossy(&message.body).into_owned();
                        return Err(format!("{got:?} for {own:?}"));
                    }
                    tally.own.fetch_add(1, Ordering::Relaxed);
                }
                Some(_) => {
                    tally.refused.fetch_add(1, Ordering::Relaxed);
                }
                None => {
                    tally.refused.fetch_add(1, Ordering::Relaxed);
                    self.stream = None;
                }
            }
        }
        Ok(())
    }
}

/// So many hostile requests, and bystanders as long as they come.
fn traffic(address: SocketAddr, count: usize, seed: u64) -> (Tally, Vec<String>) {
    let (tally, goes_on) = (Tally::default(), AtomicBool::new(true));
    let mixed_up = thread::scope(|scope| {
        let bystanders: Vec<_> = (0..BYSTANDERS)
            .map(|name| {
                let (tally, goes_on) = (&tally, &goes_on);
                scope.spawn(move || {
                    let (stream, bytes) = (None, Vec::new());
                    let mut bystander = Bystander {
                        address,
                        name,
                        stream,
                        bytes,
                    };
                    bystander.stand_by(goes_on, tally)
                })
            })
            .collect();
        let hostile: Vec<_> = (0..HOSTILE as u64)
            .map(|one| {
                let tally = &tally;
                scope.spawn(move || be_hostile(address, seed * 100 + one, count / HOSTILE, tally))
            })
            .collect();
        for one in hostile {
            one.join().unwrap();
        }
        goes_on.store(false, Ordering::Relaxed);
        let results = bystanders.into_iter().map(|one| one.join().unwrap());
        results.filter_map(Result::err).collect()
    });
    (tally, mixed_up)
}

#[test]
fn no_bystander_gets_anothers_answer_from_a_careless_upstream() {
    let share = requests() / HOSTILE_SHARE / READINGS.len();
    for (seed, reading) in (1..).zip(READINGS) {
        let (upstream, noted) = careless::start(reading);
        let gateway = before(upstream, "");
        let (tally, mixed_up) = traffic(gateway.local_addr(), share, seed);
        println!("{reading:?}: {tally:?}, {noted:?}");
        assert!(mixed_up.is_empty(), "{reading:?}: {mixed_up:?}");
        assert!(
            tally.own.into_inner() > tally.refused.into_inner(),
            "{reading:?}"
        );
        assert!(noted.shared.load(Ordering::Relaxed) > 0, "{reading:?}");
    }
}

/// What the test above would look like, were trailers passed on to such a server.
#[test]
fn a_mixed_up_answer_is_seen() {
    let (upstream, _) = careless::start(&[Fault::RunsTrailers]);
    let gateway = before(upstream, "trailers: pass,");
    let (_, mixed_up) = traffic(gateway.local_addr(), 400, 7);
    assert!(!mixed_up.is_empty());
}

/// A server of WSGI that runs trailers as the next request.
struct Eventlet {
    address: SocketAddr,
    child: std::process::Child,
}

impl Drop for Eventlet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Eventlet {
    fn start() -> Option<Self> {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/eventlet");
        let Some(python) = python(&files, "eventlet") else {
            skip("eventlet needs python3 with venv, and PyPI");
            return None;
        };
        let mut child = Command::new(python)
            .arg(files.join("server.py"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut port).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap()));
        Some(Self { address, child })
    }
}

#[test]
fn no_bystander_gets_anothers_answer_from_eventlet() {
    let Some(eventlet) = Eventlet::start() else {
        return;
    };
    let gateway = before(eventlet.address, "");
    let (tally, mixed_up) = traffic(gateway.local_addr(), requests() / HOSTILE_SHARE, 99);
    println!("eventlet: {tally:?}");
    assert!(mixed_up.is_empty(), "{mixed_up:?}");
    assert!(tally.own.into_inner() > tally.refused.into_inner());
}
