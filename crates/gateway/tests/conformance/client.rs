//! A client of bytes.

use crate::text::Step;
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// How bytes are cut into parts that are sent one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pieces {
    Whole,
    /// Bytes one by one; of long messages, more at once.
    Small,
}

impl Pieces {
    fn of(self, bytes: &[u8]) -> std::slice::Chunks<'_, u8> {
        bytes.chunks(match self {
            Self::Whole => bytes.len().max(1),
            Self::Small => bytes.len().div_ceil(1_000).max(1),
        })
    }
}

/// Goes through the steps over a new connection, and reads to the end, or until
/// nothing more has come for so long.
pub fn exchange(
    address: SocketAddr,
    steps: &[Step],
    pieces: Pieces,
    patience: Duration,
) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut answer = Vec::new();
    for step in steps {
        match step {
            Step::Send(bytes) => {
                for part in pieces.of(bytes) {
                    // Refused and closed already: the answer says so.
                    if stream.write_all(part).is_err() {
                        break;
                    }
                }
            }
            Step::Wait => {
                more(&mut stream, &mut answer);
            }
            Step::End => drop(stream.shutdown(Shutdown::Write)),
        }
    }
    while more(&mut stream, &mut answer) {}
    answer
}

fn more(stream: &mut TcpStream, answer: &mut Vec<u8>) -> bool {
    let mut part = vec![0; 64 << 10];
    match stream.read(&mut part) {
        Ok(length) if length > 0 => {
            answer.extend_from_slice(&part[..length]);
            true
        }
        _ => false,
    }
}
