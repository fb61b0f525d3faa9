//! HTTP/2 by hand: a client whose library would refuse to send what rows hold.

use crate::text;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest payload that may be sent unasked.
const PAYLOAD_MAX: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What became of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    /// It was reset.
    Reset,
    /// The connection ended.
    Gone,
}

pub struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Connection {
    /// One that waits for so long at most.
    pub fn new(address: SocketAddr, patience: Duration) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        let mut connection = Self {
            stream,
            bytes: Vec::new(),
        };
        connection.write(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
        connection
    }

    /// Once the gateway has gone, nothing can be written, and the outcome says so.
    fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn request(
        &mut self,
        id: u32,
        fields: &[(&str, &str)],
        body: Option<&str>,
        trailers: Option<&[(&str, &str)]>,
    ) {
        let is_last = |is_last| if is_last { END_STREAM } else { 0 };
        let ends = is_last(body.is_none() && trailers.is_none());
        let mut bytes = head(id, ends, fields);
        if let Some(body) = body {
            let flags = is_last(trailers.is_none());
            bytes.extend(frame(DATA, flags, id, &text::bytes(body)));
        }
        if let Some(trailers) = trailers {
            bytes.extend(head(id, END_STREAM, trailers));
        }
        self.write(&bytes);
    }

    /// Waits until a stream is answered, reset, or the connection gone.
    pub fn outcome(&mut self, id: u32) -> Outcome {
        loop {
            let Some((kind, of, payload)) = self.next() else {
                return Outcome::Gone;
            };
            match kind {
                GOAWAY => return Outcome::Gone,
                HEADERS if of == id => return Outcome::Status(status(&payload)),
                RST_STREAM if of == id => return Outcome::Reset,
                _ => {}
            }
        }
    }

    /// The next frame: its kind, its stream, its payload.
    fn next(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        loop {
            if let Some((head, rest)) = self.bytes.split_first_chunk::<9>() {
                let length =
                    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                if rest.len() >= length {
                    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    let found = (head[3], id, rest[..length].to_vec());
                    self.bytes.drain(..9 + length);
                    return Some(found);
                }
            }
            let mut part = [0; 4096];
            let length = self
                .stream
                .read(&mut part)
                .ok()
                .filter(|length| *length > 0)?;
            self.bytes.extend_from_slice(&part[..length]);
        }
    }
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A block of fields, in as many frames as it takes.
fn head(id: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().flat_map(|field| literal(*field)).collect();
    let parts: Vec<&[u8]> = block.chunks(PAYLOAD_MAX).collect();
    let mut bytes = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let kind = if at == 0 { HEADERS } else { CONTINUATION };
        let ends = if at + 1 == parts.len() {
            END_HEADERS
        } else {
            0
        };
        let flags = if at == 0 { flags | ends } else { ends };
        bytes.extend(frame(kind, flags, id, part));
    }
    bytes
}

/// A field that no table knows, without Huffman's code (RFC 7541, 6.2.2).
fn literal((name, value): (&str, &str)) -> Vec<u8> {
    let (name, value) = (text::bytes(name), text::bytes(value));
    let mut bytes = vec![0];
    for text in [name, value] {
        integer(text.len(), &mut bytes);
        bytes.extend(text);
    }
    bytes
}

/// The lower seven bits.
fn low(number: usize) -> u8 {
    u8::try_from(number % 128).expect("seven bits")
}

/// RFC 7541, 5.1, with a prefix of seven bits.
fn integer(mut number: usize, bytes: &mut Vec<u8>) {
    if number < 127 {
        bytes.push(low(number));
        return;
    }
    bytes.push(127);
    number -= 127;
    while number >= 128 {
        bytes.push(low(number) | 128);
        number /= 128;
    }
    bytes.push(low(number));
}

/// The status that stands first in a block: of the static table, or a literal
/// with its name.
fn status(block: &[u8]) -> u16 {
    // A change of the table's size may come before.
    let at = block.iter().position(|byte| byte & 0xe0 != 0x20).unwrap();
    match block[at] {
        index @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        0x08 | 0x18 | 0x48 => digits(&block[at + 1..]),
        other => panic!("no status first: {other:#x}"),
    }
}

/// A string of three digits, in Huffman's code (RFC 7541, B) or as they are.
fn digits(string: &[u8]) -> u16 {
    let (length, rest) = string.split_first().unwrap();
    let bytes = &rest[..usize::from(length & 0x7f)];
    if length & 0x80 == 0 {
        return std::str::from_utf8(bytes).unwrap().parse().unwrap();
    }
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        .collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let take = |count: usize| {
            bits[at..at + count]
                .iter()
                .fold(0, |sum, bit| sum << 1 | u16::from(*bit))
        };
        // 0, 1 and 2 have five bits, the others six.
        let (digit, count) = match take(5) {
            short @ 0..=2 => (short, 5),
            _ => (take(6) - 0b01_1001 + 3, 6),
        };
        number = number * 10 + digit;
        at += count;
    }
    number
}
