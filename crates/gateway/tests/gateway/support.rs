//! Real upstreams, a controllable data mover, and clients.

use bytes::Bytes;
use gateway::{Gateway, Positions, Sample};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1::SendRequest, service::service_fn};
use hyper_util::rt::TokioIo;
use plan::{ExtractionName, Percent, Plan};
use protocol::{
    Epoch, Lsn, Side,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Waits for a condition.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A request as an upstream saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;
type Behaviour = Arc<dyn Fn(Seen) -> Answering + Send + Sync>;

/// A server that notes what it sees.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    accepted: Arc<AtomicUsize>,
}

impl Upstream {
    /// Answers 200 with its name.
    pub async fn start(name: &'static str) -> Self {
        Self::start_at(name, "127.0.0.1:0").await
    }

    /// The same at an address of one's own.
    pub async fn start_at(name: &'static str, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let fine: Behaviour = Arc::new(move |_| Box::pin(async move { text(200, name) }));
        let upstream = Self {
            address,
            seen,
            behaviour: Arc::new(Mutex::new(fine)),
            accepted: Arc::default(),
        };
        tokio::spawn(upstream.clone().run(listener));
        upstream
    }

    async fn run(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            stream.set_nodelay(true).unwrap();
            self.accepted.fetch_add(1, Ordering::Relaxed);
            let this = self.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let this = this.clone();
                async move { Ok::<_, Infallible>(this.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return text(400, "cut off");
        };
        let seen = Seen {
            path: parts.uri.to_string(),
            headers: parts.headers,
            body: body.to_bytes(),
        };
        self.seen.lock().unwrap().push(seen.clone());
        let behaviour = Arc::clone(&self.behaviour.lock().unwrap());
        behaviour(seen).await
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Answers as told from now on.
    pub fn behave<F>(&self, behaviour: impl Fn(Seen) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        *self.behaviour.lock().unwrap() = Arc::new(move |seen| Box::pin(behaviour(seen)));
    }

    /// Answers with this status from now on.
    pub fn answer_with(&self, status: u16) {
        self.behave(move |_| async move { text(status, "told so") });
    }

    /// From now on waits before each answer until told to go on.
    pub fn stall(&self) -> Arc<Notify> {
        let go = Arc::new(Notify::new());
        let wait = Arc::clone(&go);
        self.behave(move |_| {
            let wait = Arc::clone(&wait);
            async move {
                wait.notified().await;
                text(200, "at last")
            }
        });
        go
    }

    /// Forgets what it saw.
    pub fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The bodies of what it saw, in order.
    pub fn bodies(&self) -> Vec<String> {
        let body = |seen: &Seen| String::from_utf8_lossy(&seen.body).into_owned();
        self.seen.lock().unwrap().iter().map(body).collect()
    }
}

pub fn text(status: u16, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// A data mover that says what it is told to.
pub struct FakeMover {
    position: watch::Sender<Option<Lsn>>,
    applied: [watch::Sender<Lsn>; 2],
    samples: Mutex<[usize; 2]>,
}

impl FakeMover {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            position: watch::Sender::new(Some(Lsn(0))),
            applied: [watch::Sender::new(Lsn(0)), watch::Sender::new(Lsn(0))],
            samples: Mutex::default(),
        })
    }

    /// Samples say this from now on; `None`: they fail.
    pub fn position(&self, position: Option<u64>) {
        self.position.send_replace(position.map(Lsn));
    }

    /// So far `source`'s log is applied on the other side.
    pub fn applied(&self, source: Side, position: u64) {
        self.applied[source as usize].send_replace(Lsn(position));
    }

    /// How many samples of a side were taken.
    pub fn samples(&self, side: Side) -> usize {
        self.samples.lock().unwrap()[side as usize]
    }
}

impl Positions for FakeMover {
    fn sample(&self, _: &ExtractionName, side: Side) -> Sample {
        self.samples.lock().unwrap()[side as usize] += 1;
        let position = *self.position.borrow();
        Box::pin(async move { position })
    }

    fn applied(&self, _: &ExtractionName, source: Side) -> watch::Receiver<Lsn> {
        self.applied[source as usize].subscribe()
    }
}

/// A gateway between a monolith and a service.
pub struct Bed {
    pub gateway: Gateway,
    pub monolith: Upstream,
    pub service: Upstream,
    pub mover: Arc<FakeMover>,
}

/// What the tests change in a plan.
#[derive(Clone, Copy)]
pub struct Knobs {
    pub workers: usize,
    pub pin_wait: &'static str,
    pub first_byte: &'static str,
    pub upstream_idle: &'static str,
    pub upgraded_idle: &'static str,
    pub hold: &'static str,
    pub held_requests: usize,
    pub held_bytes: &'static str,
    /// `gateway.client`.
    pub client: &'static str,
    /// Lines of the gateway's section.
    pub gateway: &'static str,
    /// Lines of the extraction's.
    pub extraction: &'static str,
    pub environment: fn(&str) -> Option<String>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            workers: 2,
            pin_wait: "60s",
            first_byte: "60s",
            upstream_idle: "10s",
            upgraded_idle: "20s",
            hold: "60s",
            held_requests: 100,
            held_bytes: "1MiB",
            client: "{}",
            gateway: "",
            extraction: "",
            environment: |_| None,
        }
    }
}

pub fn plan(knobs: Knobs, listen: &str, monolith: SocketAddr, service: SocketAddr) -> Plan {
    let Knobs {
        workers,
        pin_wait,
        first_byte,
        upstream_idle,
        upgraded_idle,
        hold,
        held_requests,
        held_bytes,
        client,
        gateway,
        extraction,
        environment,
    } = knobs;
    let text = format!(
        r#"
monolith: {{ url: "http://{monolith}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{service}", database: "postgres://u:p@127.0.0.1:1/s" }}
gateway:
  listen: "{listen}"
  workers: {workers}
  pin-wait: {pin_wait}
  first-byte: {first_byte}
  upstream-idle: {upstream_idle}
  upgraded-idle: {upgraded_idle}
  client: {client}
{gateway}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /api/contracts/* }}, {{ path: /api/contracts/once, as: reads-once }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
    switch: {{ hold: {hold}, drain: 1ms, held-requests: {held_requests}, held-bytes: {held_bytes} }}
{extraction}
"#
    );
    Plan::parse(&text, environment).unwrap()
}

/// A plan whose upstreams are written out: the inside of `monolith:`, of the
/// service and of `gateway:`, but for databases and addresses to listen on.
pub fn shaped(monolith: &str, service: &str, gateway: &str) -> Plan {
    let text = format!(
        r#"
monolith: {{ database: "postgres://u:p@127.0.0.1:1/m", {monolith} }}
services:
  contracts: {{ database: "postgres://u:p@127.0.0.1:1/s", {service} }}
gateway: {{ listen: "127.0.0.1:0", workers: 1, pin-wait: 20s, {gateway} }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /api/contracts/* }}, {{ path: /api/contracts/once, as: reads-once }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
"#
    );
    Plan::parse(&text, |_| None).unwrap()
}

pub fn contracts() -> ExtractionName {
    ExtractionName::new("contracts").unwrap()
}

pub fn routing(epoch: u64, writes: Writes, reads: u16) -> Routing {
    let reads = Percent::from_basis_points(reads * 100).unwrap();
    let routing = ExtractionRouting {
        epoch: Epoch(epoch),
        writes,
        reads,
    };
    Routing {
        extractions: BTreeMap::from([(contracts(), routing)]),
    }
}

pub const TO_MONOLITH: Writes = Writes::To(Side::Monolith);
pub const TO_SERVICE: Writes = Writes::To(Side::Service);
pub const HOLD: Writes = Writes::Hold {
    from: Side::Monolith,
};

impl Bed {
    /// Both sides up, the lease running, nothing published.
    pub async fn unpublished(knobs: Knobs) -> Self {
        let monolith = Upstream::start("monolith").await;
        let service = Upstream::start("service").await;
        let plan = plan(knobs, "127.0.0.1:0", monolith.address, service.address);
        Self::of(&plan, monolith, service)
    }

    /// A gateway in front of upstreams that are there already.
    pub fn of(plan: &Plan, monolith: Upstream, service: Upstream) -> Self {
        let mover = FakeMover::new();
        let gateway = Gateway::start(plan, Arc::clone(&mover) as Arc<dyn Positions>).unwrap();
        gateway.renew_lease(Instant::now() + Duration::from_hours(1));
        Self {
            gateway,
            monolith,
            service,
            mover,
        }
    }

    /// With the first routing published, and its start settled.
    pub async fn start(knobs: Knobs, writes: Writes, reads: u16) -> Self {
        let bed = Self::unpublished(knobs).await;
        bed.settle(writes, reads).await;
        bed
    }

    /// Publishes the first routing, once its start is settled.
    pub async fn settle(&self, writes: Writes, reads: u16) {
        let bed = self;
        let (Writes::To(owner) | Writes::Hold { from: owner }) = writes else {
            panic!("only an owner has a start")
        };
        // Once it is settled, clients are read from the other side, too.
        bed.publish(
            0,
            Writes::To(owner),
            if owner == Side::Monolith { 100 } else { 0 },
        );
        bed.client()
            .await
            .reads_from(owner.other(), "/api/contracts", Some("probe"))
            .await;
        bed.monolith.seen.lock().unwrap().clear();
        bed.service.seen.lock().unwrap().clear();
        bed.publish(1, writes, reads);
    }

    pub fn publish(&self, epoch: u64, writes: Writes, reads: u16) {
        self.gateway.publish(&routing(epoch, writes, reads));
    }

    pub async fn drained(&self, epoch: u64) {
        let name = contracts();
        let drained = self.gateway.drained(&name, Epoch(epoch));
        tokio::time::timeout(DEADLINE, drained)
            .await
            .expect("never drained");
    }

    pub fn held(&self) -> gateway::HeldReport {
        self.gateway.held(&contracts())
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.gateway.local_addr()).await
    }

    /// One request on a connection of its own.
    pub async fn get(&self, path: &str, user: Option<&str>) -> Answer {
        self.client().await.send("GET", path, user, "").await
    }

    pub async fn post(&self, path: &str, user: Option<&str>, body: &str) -> Answer {
        self.client().await.send("POST", path, user, body).await
    }

    /// A request that goes on while the test does.
    pub async fn spawn(
        &self,
        method: &'static str,
        path: &'static str,
        user: Option<&'static str>,
        body: &str,
    ) -> tokio::task::JoinHandle<Answer> {
        let mut client = self.client().await;
        let body = body.to_owned();
        tokio::spawn(async move { client.send(method, path, user, &body).await })
    }

    /// The value of a metric's line that begins so; 0 where there is none.
    pub fn metric(&self, line: &str) -> u64 {
        let text = self.metrics();
        let mut lines = text.lines().filter_map(|found| found.strip_prefix(line));
        let value = lines.next().map(|value| value.trim().parse().unwrap());
        value.unwrap_or(0)
    }

    pub fn metrics(&self) -> String {
        encoded(&self.gateway)
    }
}

/// A gateway's metrics, as they are scraped.
pub fn encoded(gateway: &Gateway) -> String {
    let mut registry = prometheus_client::registry::Registry::default();
    gateway.metrics(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

/// A data mover of which nothing is asked.
pub fn still() -> Arc<dyn Positions> {
    FakeMover::new()
}

/// What a client got.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn side(&self) -> Option<&str> {
        self.header("x-banyan-side")
    }

    /// It was answered 503 by the gateway for this reason.
    #[track_caller]
    pub fn assert_refused(&self, reason: &str) {
        assert_eq!(self.status, 503, "{self:?}");
        assert_eq!(self.header("retry-after"), Some("1"));
        assert!(
            self.body.contains(&format!("\"reason\":\"{reason}\"")),
            "{self:?}"
        );
    }
}

/// A client with one connection that is kept.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// Whether the gateway has closed the connection.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub async fn request(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Reads until a side answers.
    pub async fn reads_from(&mut self, side: Side, path: &str, user: Option<&str>) {
        let end = Instant::now() + DEADLINE;
        while self.send("GET", path, user, "").await.side() != Some(side.as_str()) {
            assert!(Instant::now() < end, "never read from the {side}");
        }
    }

    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        user: Option<&str>,
        body: &str,
    ) -> Answer {
        let request = build(method, path, user, body);
        let answer = tokio::time::timeout(DEADLINE, self.request(request)).await;
        answer.expect("no answer in time").unwrap()
    }
}

pub fn build(method: &str, path: &str, user: Option<&str>, body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "example.org");
    if let Some(user) = user {
        request = request.header("x-user-id", user);
    }
    request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

/// A gateway between two servers of any kind, with the lease running and writes
/// of the extraction going to the monolith.
pub fn between(knobs: Knobs, monolith: SocketAddr, service: SocketAddr) -> Gateway {
    let plan = plan(knobs, "127.0.0.1:0", monolith, service);
    let gateway = Gateway::start(&plan, FakeMover::new()).unwrap();
    gateway.renew_lease(Instant::now() + Duration::from_hours(1));
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    gateway
}

/// A server that answers each connection with these bytes once a head is there,
/// and notes all that it reads.
pub async fn raw_upstream(answer: &'static str) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let (mut part, mut begun, mut answered) = ([0; 4096], Vec::new(), false);
                while let Ok(length @ 1..) = stream.read(&mut part).await {
                    noted.lock().unwrap().extend_from_slice(&part[..length]);
                    begun.extend_from_slice(&part[..length]);
                    if !answered && begun.windows(4).any(|end| end == b"\r\n\r\n") {
                        answered = true;
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    (address, seen)
}

/// A client that writes and reads bytes.
pub struct Raw {
    pub stream: TcpStream,
    pub read: String,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let read = String::new();
        Self { stream, read }
    }

    pub async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until what came ends with this.
    pub async fn until(&mut self, end: &str) {
        while !self.read.ends_with(end) {
            assert!(self.more().await, "ended without {end:?}: {:?}", self.read);
        }
    }

    /// Reads until the gateway closes.
    pub async fn whole(&mut self) -> &str {
        while self.more().await {}
        &self.read
    }

    async fn more(&mut self) -> bool {
        let mut part = [0; 4096];
        let reading = tokio::time::timeout(DEADLINE, self.stream.read(&mut part));
        let Ok(read) = reading.await else {
            panic!("nothing more came after {:?}", self.read);
        };
        let length = read.unwrap_or(0);
        self.read
            .push_str(&String::from_utf8_lossy(&part[..length]));
        length > 0
    }
}
