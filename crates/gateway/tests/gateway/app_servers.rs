//! Bodies that come without a length, before application servers that read chunks
//! themselves: Node, and Rack behind Puma. (The one that cannot, Django behind gunicorn,
//! is a case of its own, `tests/cases/chunked_uploads`.)

use crate::support::*;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// More than the gateway keeps in memory.
const LARGE_BYTES: usize = (2 << 20) + 7;

/// Says how much came, of what, and by which length.
const NODE: &str = "
const http = require('http'), crypto = require('crypto');
http.createServer((request, response) => {
  const hash = crypto.createHash('sha256');
  let bytes = 0;
  request.on('data', part => { hash.update(part); bytes += part.length; });
  request.on('end', () => {
    const length = request.headers['content-length'] ?? 'none';
    response.end(`${bytes} ${hash.digest('hex')} ${length}`);
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
";

const RACK: &str = "
require 'digest'
run lambda { |env|
  hash, bytes = Digest::SHA256.new, 0
  while (part = env['rack.input'].read(65_536))
    hash << part
    bytes += part.bytesize
  end
  length = env['CONTENT_LENGTH'] || 'none'
  [200, { 'content-type' => 'text/plain' }, [\"#{bytes} #{hash.hexdigest} #{length}\"]]
}
";

/// An application server; killed when dropped.
struct AppServer {
    address: SocketAddr,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Drop for AppServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl AppServer {
    /// `None`, said aloud, where its program is not installed.
    async fn start(program: &str) -> Option<Self> {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        if program == "node" {
            let file = directory.path().join("app.js");
            fs::write(&file, NODE).unwrap();
            command.arg(file).arg(address.port().to_string());
        } else {
            fs::write(directory.path().join("config.ru"), RACK).unwrap();
            let bind = format!("tcp://{address}");
            command.args(["-q", "-C", "-", "-t", "1:4", "-b", &bind, "config.ru"]);
        }
        let command = command.current_dir(directory.path());
        let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(child) = spawned else {
            skip(&format!("{program} is not installed; `./x` installs it"));
            return None;
        };
        let mut server = Self {
            address,
            child,
            _directory: directory,
        };
        let end = Instant::now() + DEADLINE;
        while TcpStream::connect(address).await.is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "{program} ended: {ended:?}");
            assert!(Instant::now() < end, "{program} never listened");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(server)
    }
}

type Upload = StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Part>>>;
type Part = Result<Frame<Bytes>, Infallible>;

/// A body of which nobody knows how long it is.
fn upload(body: &[u8]) -> Upload {
    let part = |part| Ok(Frame::data(Bytes::copy_from_slice(part)));
    let parts: Vec<Part> = body.chunks(50_000).map(part).collect();
    StreamBody::new(futures_util::stream::iter(parts))
}

async fn send(gateway: SocketAddr, is_http2: bool, path: &str, body: &[u8]) -> String {
    let stream = TokioIo::new(TcpStream::connect(gateway).await.unwrap());
    let request = Request::post(format!("http://a{path}"));
    let request = request.header("content-type", "application/octet-stream");
    let request = request.header("host", "a").body(upload(body)).unwrap();
    let asking = async {
        let answer = if is_http2 {
            let handshake = http2::handshake(TokioExecutor::new(), stream);
            let (mut sender, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        assert_eq!(answer.status(), 200, "{path}");
        let answer = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(answer.to_vec()).unwrap()
    };
    let answer = tokio::time::timeout(DEADLINE, asking).await;
    answer.expect("no answer in time")
}

async fn uploads_arrive_whole_at(program: &str) {
    let Some(server) = AppServer::start(program).await else {
        return;
    };
    let plan = extracting(
        server.address,
        server.address,
        "routes: { open: { to: monolith, path: /open, buffering: off } }",
        "routes: [{ path: /api/contracts/* }, { path: /api/contracts/open, buffering: off }]",
    );
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    for path in ["/x", "/open", "/api/contracts", "/api/contracts/open"] {
        for is_http2 in [false, true] {
            for length in [0, 5, 70_000, LARGE_BYTES] {
                let body: Vec<u8> = (0..=250).cycle().take(length).collect();
                let said = send(gateway.local_addr(), is_http2, path, &body).await;
                let wanted = hex::encode(digest(&SHA256, &body));
                let what = format!("{program} {path} {length} http2={is_http2}: {said}");
                let said: Vec<_> = said.split(' ').collect();
                assert_eq!(said[..2], [&length.to_string(), &wanted], "{what}");
                // Where it is read first, it has a length.
                if length > 0 && !path.ends_with("open") {
                    assert_eq!(said[2], length.to_string(), "{what}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_without_a_length_arrive_whole_at_node() {
    uploads_arrive_whole_at("node").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_without_a_length_arrive_whole_at_rack_behind_puma() {
    uploads_arrive_whole_at("puma").await;
}
