//! How much memory clients can make the gateway use.
//!
//! It is a process of its own here, this program started once more, so that
//! what is measured is the gateway's alone. Bytes are asserted, never times.

use crate::{raw::*, support::*};
use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// As many as a worker takes.
const IDLE: u64 = 10_000;
const SLOW: u64 = 2_000;
/// Each at once a client of ours; more would wait in the listening queue.
const AT_ONCE: u64 = 50;

/// Our ends of both cases' connections, which may run at once in one process, and what else
/// there is.
const FILES: u64 = 14_000;

/// The shipped build is to take 3 KiB at most; one without optimisation takes 2.7 KiB
/// here, and a run differs from another by some hundred bytes.
const IDLE_BYTES_MAX: u64 = 4 << 10;

/// A head of up to 32 KiB is read into a buffer that doubles; on the average of the shapes
/// here it is 29 KiB.
const SLOW_BYTES_MAX: u64 = 48 << 10;

/// Tells the started process what it is, and who its upstream is.
const UPSTREAM: &str = "BANYAN_TEST_MEMORY_UPSTREAM";

/// Nobody is thrown out while a slow machine makes connections.
const PATIENT: &str = "{ head: 600s, body: 600s, idle: 600s, write: 600s }";

struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(upstream: SocketAddr) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::the_gateway", "--ignored", "--nocapture"])
            .env(UPSTREAM, upstream.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let address = said
            .lines()
            .find_map(|line| line.unwrap().split_once("listens at ")?.1.parse().ok());
        Self {
            address: address.expect("the gateway did not start"),
            child,
        }
    }

    fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap() << 10
    }

    /// What each of so many clients costs.
    fn bytes_each(&self, before: u64, clients: u64) -> u64 {
        self.resident_bytes().saturating_sub(before) / clients
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the process that the tests here start.
#[test]
#[ignore = "started by the others"]
fn the_gateway() {
    let Ok(upstream) = std::env::var(UPSTREAM) else {
        return println!("skipped: this is what the tests of memory start");
    };
    let upstream = upstream.parse().unwrap();
    let knobs = Knobs {
        workers: 1,
        client: PATIENT,
        first_byte: "600s",
        ..Knobs::default()
    };
    let plan = plan(knobs, "127.0.0.1:0", upstream, upstream);
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    // A line of its own, whatever the harness has begun.
    println!("\nlistens at {}", gateway.local_addr());
    // Until whoever started this has gone.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Lets this process, and those it starts, open enough files.
fn enough_files() -> bool {
    let this = std::process::id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &this, &format!("--nofile={FILES}:")])
        .output();
    let enough = raised.is_ok_and(|output| output.status.success());
    if !enough {
        skip(&format!(
            "no {FILES} open files allowed; raise `ulimit -Hn`"
        ));
    }
    enough
}

/// Clients of which each sends this and reads one answer where one comes.
async fn clients(
    address: SocketAddr,
    count: u64,
    first: Vec<u8>,
    answered: bool,
) -> Vec<TcpStream> {
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let first = first.clone();
        tasks.spawn(async move {
            let mut kept = Vec::new();
            for _ in 0..count / AT_ONCE {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(&first).await.unwrap();
                if answered {
                    let mut part = [0; 4096];
                    let answer = tokio::time::timeout(DEADLINE, stream.read(&mut part)).await;
                    let length = answer.expect("no answer in time").unwrap();
                    assert_eq!(statuses(&part[..length]), [200]);
                }
                kept.push(stream);
            }
            kept
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Waits until a figure stays as it is for a while.
async fn settled(process: &Process) -> u64 {
    let end = std::time::Instant::now() + DEADLINE;
    let mut last = process.resident_bytes();
    loop {
        assert!(std::time::Instant::now() < end, "it never settles: {last}");
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = process.resident_bytes();
        if now == last {
            return now;
        }
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_cost_next_to_nothing() {
    if !enough_files() {
        return;
    }
    let upstream = Upstream::start("monolith").await;
    let gateway = Process::start(upstream.address);
    let request = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n";
    drop(clients(gateway.address, AT_ONCE, request.to_vec(), true).await);
    let before = settled(&gateway).await;
    let kept = clients(gateway.address, IDLE, request.to_vec(), true).await;
    assert_eq!(kept.len() as u64, IDLE);
    settled(&gateway).await;
    let each = gateway.bytes_each(before, IDLE);
    println!("{each} bytes per idle client");
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes per idle client");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_cost_no_more_than_their_bounds() {
    if !enough_files() {
        return;
    }
    let upstream = Upstream::start("monolith").await;
    let gateway = Process::start(upstream.address);
    let request = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n";
    drop(clients(gateway.address, AT_ONCE, request.to_vec(), true).await);
    let before = settled(&gateway).await;
    let long = "y".repeat(30 << 10);
    // Heads that do not end, in many lines and in one; a body that does not.
    let shapes = [
        format!(
            "GET /x HTTP/1.1\r\nhost: a\r\n{}",
            "x: yyyyyyyyyy\r\n".repeat(90)
        ),
        format!("GET /x HTTP/1.1\r\nhost: a\r\nx: {long}"),
        format!("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n{long}"),
        format!("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n7800\r\n{long}"),
    ];
    let mut kept = Vec::new();
    for shape in &shapes {
        let count = SLOW / shapes.len() as u64;
        kept.extend(clients(gateway.address, count, shape.clone().into_bytes(), false).await);
    }
    assert_eq!(kept.len() as u64, SLOW);
    settled(&gateway).await;
    let each = gateway.bytes_each(before, SLOW);
    println!("{each} bytes per slow client");
    assert!(each <= SLOW_BYTES_MAX, "{each} bytes per slow client");
}
