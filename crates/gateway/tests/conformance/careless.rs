//! An upstream that reads every field in a wrong way of its own, keeps its
//! connections, and says whose request it has answered.

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// The field by which clients are told apart.
pub const MARK: &str = "x-mark";

/// The mark of requests that hide in others.
pub const SMUGGLED: &str = "smuggled";

/// What a server reads otherwise than the RFCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The trailers of a body are the next request.
    RunsTrailers,
    /// The trailers of a body are fields of its head.
    MergesTrailers,
    /// `_` and other characters in names are `-`.
    FoldsNames,
    /// Of a length and chunks the length counts.
    LengthWins,
    /// `chunked` anywhere in the value is chunked.
    FindsChunked,
    /// A line feed ends a line, and so does a carriage return.
    BareEnds,
    /// GET, HEAD, OPTIONS and DELETE have no body.
    SkipsBodies,
    /// Numbers are read as far as they go.
    LaxNumbers,
    /// Spaces around names are no part of them.
    TrimsNames,
}

use Fault::{
    BareEnds, FindsChunked, FoldsNames, LaxNumbers, LengthWins, MergesTrailers, RunsTrailers,
    SkipsBodies, TrimsNames,
};

/// The faults of one server.
pub type Reading = &'static [Fault];

pub const READINGS: &[Reading] = &[
    &[RunsTrailers],
    &[MergesTrailers],
    &[FoldsNames],
    &[LengthWins],
    &[FindsChunked],
    &[BareEnds],
    &[SkipsBodies],
    &[LaxNumbers],
    &[TrimsNames],
    &[
        RunsTrailers,
        FoldsNames,
        LengthWins,
        FindsChunked,
        BareEnds,
        SkipsBodies,
        LaxNumbers,
        TrimsNames,
    ],
];

/// Reads with these faults.
#[derive(Debug, Clone, Copy)]
struct Reader(Reading);

/// How long it takes over a request that came with another one. Its answer comes once
/// the connection is somebody else's: at once it would be seen to be one too many.
const THINKING: Duration = Duration::from_millis(3);

/// A request as an upstream has read it.
struct Request {
    target: String,
    mark: String,
    body_bytes: usize,
    is_head: bool,
    closes: bool,
}

impl Reader {
    fn has(self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }

    /// One line and what comes behind it.
    fn line(self, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        if self.has(BareEnds) {
            let end = bytes
                .iter()
                .position(|byte| matches!(byte, b'\r' | b'\n'))?;
            let rest = &bytes[end..];
            let rest = rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]);
            return Some((&bytes[..end], rest));
        }
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        Some((&bytes[..end], &bytes[end + 2..]))
    }

    fn field(self, line: &[u8]) -> (String, String) {
        let line = String::from_utf8_lossy(line).to_ascii_lowercase();
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let name = if self.has(TrimsNames) {
            name.trim()
        } else {
            name
        };
        let fold = |one: char| {
            if one.is_ascii_alphanumeric() {
                one
            } else {
                '-'
            }
        };
        let name = if self.has(FoldsNames) {
            name.chars().map(fold).collect()
        } else {
            name.to_owned()
        };
        (name, value.trim().to_owned())
    }

    fn number(self, text: &str, radix: u32) -> Option<usize> {
        if !self.has(LaxNumbers) {
            return usize::from_str_radix(text, radix).ok();
        }
        let text = text.trim().trim_start_matches('+').trim_start_matches("0x");
        let end = text
            .find(|one: char| !one.is_digit(radix))
            .unwrap_or(text.len());
        usize::from_str_radix(&text[..end], radix).ok()
    }

    /// Takes one request off the front. `Err`: the connection is of no use any
    /// more.
    fn take(self, mut rest: &[u8]) -> Result<Option<(Request, &[u8])>, ()> {
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        }
        let Some((first, mut rest)) = self.line(rest) else {
            return Ok(None);
        };
        let first = String::from_utf8_lossy(first);
        let mut words = first.split_ascii_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(());
        };
        let mut fields = Vec::new();
        loop {
            let Some((line, after)) = self.line(rest) else {
                return Ok(None);
            };
            rest = after;
            if line.is_empty() {
                break;
            }
            fields.push(self.field(line));
        }
        let Some((body_bytes, rest)) = self.body(method, &mut fields, rest)? else {
            return Ok(None);
        };
        let value = |wanted: &str| {
            let mut values = fields.iter().rev().filter(|(name, _)| name == wanted);
            values.next().map_or("", |(_, value)| value.as_str())
        };
        let request = Request {
            target: target.to_owned(),
            mark: value(MARK).to_owned(),
            body_bytes,
            is_head: method == "HEAD",
            closes: value("connection").contains("close"),
        };
        Ok(Some((request, rest)))
    }

    fn body<'a>(
        self,
        method: &str,
        fields: &mut Vec<(String, String)>,
        rest: &'a [u8],
    ) -> Result<Option<(usize, &'a [u8])>, ()> {
        if self.has(SkipsBodies) && matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE") {
            return Ok(Some((0, rest)));
        }
        let of = |wanted: &str| {
            let mut values = fields.iter().filter(|(name, _)| name == wanted);
            values.next().map(|(_, value)| value.clone())
        };
        let length = of("content-length");
        let is_chunked = of("transfer-encoding").is_some_and(|coding| {
            if self.has(FindsChunked) {
                coding.contains("chunked")
            } else {
                coding == "chunked"
            }
        });
        match length {
            Some(length) if self.has(LengthWins) || !is_chunked => {
                let length = self.number(&length, 10).ok_or(())?;
                Ok(rest.get(length..).map(|rest| (length, rest)))
            }
            None if !is_chunked => Ok(Some((0, rest))),
            _ => self.chunks(fields, rest),
        }
    }

    fn chunks<'a>(
        self,
        fields: &mut Vec<(String, String)>,
        mut rest: &'a [u8],
    ) -> Result<Option<(usize, &'a [u8])>, ()> {
        let mut bytes = 0;
        loop {
            let Some((line, after)) = self.line(rest) else {
                return Ok(None);
            };
            let line = String::from_utf8_lossy(line);
            let size = line.split(';').next().unwrap_or_default();
            let size = self.number(size, 16).ok_or(())?;
            rest = after;
            if size == 0 {
                break;
            }
            bytes += size;
            // Whatever the two behind it are.
            let Some(after) = size.checked_add(2).and_then(|end| rest.get(end..)) else {
                return Ok(None);
            };
            rest = after;
        }
        if self.has(RunsTrailers) {
            return Ok(Some((bytes, rest)));
        }
        loop {
            let Some((line, after)) = self.line(rest) else {
                return Ok(None);
            };
            rest = after;
            if line.is_empty() {
                return Ok(Some((bytes, rest)));
            }
            if self.has(MergesTrailers) {
                fields.push(self.field(line));
            }
        }
    }
}

/// What an upstream has noted.
#[derive(Debug, Default)]
pub struct Noted {
    /// Requests that nobody has sent as such.
    pub smuggled: AtomicUsize,
    /// Connections over which more than one client's requests have come.
    pub shared: AtomicUsize,
}

/// Starts one; where it listens, and what it notes.
pub fn start(reading: Reading) -> (SocketAddr, Arc<Noted>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let noted: Arc<Noted> = Arc::default();
    let of_all = Arc::clone(&noted);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let noted = Arc::clone(&of_all);
            thread::spawn(move || converse(Reader(reading), stream, &noted));
        }
    });
    (address, noted)
}

fn converse(reader: Reader, mut stream: TcpStream, noted: &Noted) {
    stream.set_nodelay(true).unwrap();
    let (mut bytes, mut part) = (Vec::new(), vec![0; 64 << 10]);
    let mut clients = HashSet::new();
    loop {
        let Ok(length @ 1..) = stream.read(&mut part) else {
            return;
        };
        bytes.extend_from_slice(&part[..length]);
        for at in 0.. {
            let (request, left) = match reader.take(&bytes) {
                Ok(Some((request, rest))) => (request, rest.len()),
                Ok(None) => break,
                Err(()) => return,
            };
            bytes.drain(..bytes.len() - left);
            if request.mark == SMUGGLED {
                noted.smuggled.fetch_add(1, Ordering::Relaxed);
            }
            let client = request.mark.split('-').next().unwrap_or_default();
            if clients.insert(client.to_owned()) && clients.len() == 2 {
                noted.shared.fetch_add(1, Ordering::Relaxed);
            }
            if at > 0 {
                thread::sleep(THINKING);
            }
            if stream.write_all(&answer(&request)).is_err() || request.closes {
                return;
            }
        }
    }
}

/// Says whose request it was.
fn answer(request: &Request) -> Vec<u8> {
    let Request {
        target,
        mark,
        body_bytes,
        ..
    } = request;
    let said = format!("{target} {mark} {body_bytes}");
    let length = said.len();
    let body = if request.is_head { "" } else { &said };
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// For each reading, a request in which it finds another one.
#[test]
fn each_reading_is_a_wrong_one() {
    let hidden = "GET /hidden HTTP/1.1\r\nx-mark: smuggled\r\n\r\n";
    let length = hidden.len();
    let chunks = |line: &str| format!("POST / HTTP/1.1\r\n{line}\r\n\r\n0\r\n\r\n{hidden}");
    let attacks = [
        (
            RunsTrailers,
            format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{hidden}"),
        ),
        (
            FoldsNames,
            chunks("transfer_encoding: chunked\r\ncontent-length: 5"),
        ),
        (
            LengthWins,
            format!(
                "POST / HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{hidden}\r\n0\r\n\r\n"
            ),
        ),
        (FindsChunked, chunks("transfer-encoding: xchunked")),
        (BareEnds, format!("GET / HTTP/1.1\r\nx: y\n\n{hidden}\r\n")),
        (
            SkipsBodies,
            format!("GET / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{hidden}"),
        ),
        (
            LaxNumbers,
            format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0z\r\n\r\n{hidden}"),
        ),
        (TrimsNames, chunks("transfer-encoding : chunked")),
    ];
    for (fault, bytes) in attacks {
        let finds = |reading: &'static [Fault]| {
            let (mut rest, mut targets) = (bytes.as_bytes(), Vec::new());
            while let Ok(Some((request, after))) = Reader(reading).take(rest) {
                targets.push(request.target);
                rest = after;
            }
            targets.contains(&"/hidden".to_owned())
        };
        let reading = READINGS.iter().find(|reading| ***reading == [fault]);
        assert!(
            finds(reading.expect("one with this fault alone")),
            "{fault:?}"
        );
    }
}
