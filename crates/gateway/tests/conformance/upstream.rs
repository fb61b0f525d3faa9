//! An upstream that notes every byte that it gets.

use crate::message::requests;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// The plainest answer, and the end of its connection: what is noted of one row
/// is not mixed with the next one's.
pub const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nfine";

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// How late a connection may come of a client that has gone.
const LATE: Duration = Duration::from_millis(200);

/// What came over one connection.
#[derive(Debug, Default, Clone)]
pub struct Connection {
    pub bytes: Vec<u8>,
    is_closed: bool,
}

type Connections = Arc<Mutex<Vec<Arc<Mutex<Connection>>>>>;

/// Answers each whole request alike, and closes.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    connections: Connections,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            answer: Arc::new(Mutex::new(FINE.to_vec())),
        };
        let accepting = upstream.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let upstream = accepting.clone();
                let connection = Arc::default();
                let mut all = upstream.connections.lock().unwrap();
                all.push(Arc::clone(&connection));
                drop(all);
                thread::spawn(move || {
                    upstream.converse(stream, &connection);
                    connection.lock().unwrap().is_closed = true;
                });
            }
        });
        upstream
    }

    fn converse(&self, mut stream: TcpStream, connection: &Mutex<Connection>) {
        let mut part = vec![0; 64 << 10];
        loop {
            let length = stream.read(&mut part).unwrap_or(0);
            if length == 0 {
                return;
            }
            let whole = {
                let mut connection = connection.lock().unwrap();
                connection.bytes.extend_from_slice(&part[..length]);
                requests(&connection.bytes).0.len()
            };
            if whole > 0 {
                let answer = self.answer.lock().unwrap().clone();
                let _ = stream.write_all(&answer);
                return;
            }
        }
    }

    /// Answers with these bytes from now on.
    pub fn answer(&self, bytes: &[u8]) {
        *self.answer.lock().unwrap() = bytes.to_vec();
    }

    /// Waits for a connection that may come late, and may not come.
    pub fn wait_for_one(&self) {
        let end = Instant::now() + LATE;
        while self.connections.lock().unwrap().is_empty() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What came over each connection since the last time, once all have ended.
    pub fn take(&self) -> Vec<Connection> {
        let end = Instant::now() + DEADLINE;
        loop {
            let mut all = self.connections.lock().unwrap();
            if all.iter().all(|one| one.lock().unwrap().is_closed) {
                let taken = std::mem::take(&mut *all);
                return taken
                    .iter()
                    .map(|one| one.lock().unwrap().clone())
                    .collect();
            }
            drop(all);
            assert!(Instant::now() < end, "a connection is kept for nothing");
            thread::sleep(Duration::from_millis(1));
        }
    }
}
