//! What is told of requests: the access log, traces, metrics.

use crate::{access::ask, support::*};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as AnyValue,
    trace::v1::Span,
};
use prometheus_client::encoding::prometheus_protobuf;
use prost::Message as _;
use protocol::Side;
use serde_json::Value;
use std::{
    convert::Infallible,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};

const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

pub(crate) struct Log {
    _directory: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Log {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            path: directory.path().join("access.log"),
            _directory: directory,
        }
    }

    pub(crate) fn plan(&self, more: &str) -> String {
        let path = self.path.display();
        format!("access-log: {{ path: \"{path}\", format: json{more} }}")
    }
}

/// The lines of a log about requests of this path.
pub(crate) fn lines(log: &Path, path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let all = text.lines().map(|line| serde_json::from_str(line).unwrap());
    all.filter(|line: &Value| line["path"] == path).collect()
}

pub(crate) async fn line(log: &Path, path: &str) -> Value {
    until("a line in the access log", || !lines(log, path).is_empty()).await;
    let all = lines(log, path);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_line_that_says_what_became_of_it() {
    let log = Log::new();
    let bed = Bed::shaped_and_settled("", "", &log.plan("")).await;
    let headers = [
        ("x-user-id", "u"),
        ("x-correlation-id", "c-1"),
        ("traceparent", GOOD),
        ("authorization", "Bearer very-secret"),
    ];
    ask(&bed, "GET", "/api/contracts/7?token=very-secret", &headers).await;
    let one = line(&log.path, "/api/contracts/7").await;
    for (key, value) in [
        ("correlation_id", "c-1"),
        ("trace_id", TRACE),
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("host", "example.org"),
        ("route", "/api/contracts/*"),
        ("belongs_to", "contracts"),
        ("side", "service"),
        ("upstream", "contracts"),
    ] {
        assert_eq!(one[key], value, "{one}");
    }
    assert_eq!((&one["status"], &one["bytes"]), (&200.into(), &7.into()));
    assert!(one["duration_ms"].as_f64().unwrap() > 0.0, "{one}");
    assert!(one["reason"].is_null(), "{one}");
    let time = one["time"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.len() == 24, "{time}");
    // What the gateway itself answers says why.
    bed.publish(2, protocol::routing::Writes::Refuse, 0);
    ask(&bed, "POST", "/api/contracts/8", &[]).await;
    let refused = line(&log.path, "/api/contracts/8").await;
    assert_eq!(refused["status"], 503, "{refused}");
    assert_eq!(refused["reason"], "owner-unknown", "{refused}");
    assert!(refused["side"].is_null() && refused["upstream"].is_null());
    let text = std::fs::read_to_string(&log.path).unwrap();
    assert!(!text.contains("very-secret"), "{text}");
    let counted = "banyan_access_log_lines_total{outcome=\"told\"}";
    until("the lines to be counted", || bed.metric(counted) >= 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_logged_where_asked_but_not_their_credentials() {
    let log = Log::new();
    let gateway = format!(
        "{}, policies: {{ keys: {{ query: ticket }} }}, consumers: {{ a: {{ keys: [k-1] }} }}",
        log.plan(", query: true")
    );
    let bed = Bed::shaped("", "", &gateway).await;
    let answer = ask(&bed, "GET", "/x?page=2&ticket=k-1&token=t-1", &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let one = line(&log.path, "/x").await;
    assert_eq!(one["query"], "page=2&ticket=***&token=***");
    let denied = ask(&bed, "GET", "/y?ticket=wrong", &[]).await;
    assert_eq!(denied.status, 401);
    let one = line(&log.path, "/y").await;
    assert_eq!(
        (&one["status"], &one["reason"]),
        (&401.into(), &"bad-key".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_log_goes_on_under_its_name() {
    let log = Log::new();
    let bed = Bed::shaped_and_settled("", "", &log.plan("")).await;
    ask(&bed, "GET", "/before", &[]).await;
    line(&log.path, "/before").await;
    let old = log.path.with_extension("1");
    std::fs::rename(&log.path, &old).unwrap();
    let end = std::time::Instant::now() + DEADLINE;
    let mut sent = 0;
    while lines(&log.path, "/after").is_empty() {
        assert!(std::time::Instant::now() < end, "never opened anew");
        ask(&bed, "GET", "/after", &[]).await;
        sent += 1;
        // Each look has sent a line, and all of them are counted.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(lines(&old, "/before").len(), 1);
    // Nothing is lost on the way.
    bed.gateway.shutdown(DEADLINE).await;
    let told = lines(&old, "/after").len() + lines(&log.path, "/after").len();
    assert_eq!(told, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_are_there_when_it_has_stopped() {
    let log = Log::new();
    let bed = Bed::shaped_and_settled("", "", &log.plan("")).await;
    for _ in 0..20 {
        ask(&bed, "GET", "/last", &[]).await;
    }
    bed.gateway.shutdown(DEADLINE).await;
    assert_eq!(lines(&log.path, "/last").len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted() {
    let bed = Bed::shaped_and_settled("", "", "").await;
    let mut client = bed.client().await;
    client.send("GET", "/", None, "").await;
    until("an idle connection", || {
        bed.metric("banyan_connections{state=\"idle\"}") >= 1
    })
    .await;
    drop(client);
    until("none", || {
        bed.metric("banyan_connections{state=\"idle\"}") == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_unread_is_counted_among_the_requests() {
    let log = Log::new();
    let gateway = format!("client: {{ head-bytes: 1KiB }}, {}", log.plan(""));
    let bed = Bed::shaped_and_settled("", "", &gateway).await;
    let address = bed.gateway.local_addr();
    let refused = [
        ("GET / HTTP/1.1\nhost: a\n\n".to_owned(), 400, "bare-lf"),
        (
            format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(2000)),
            431,
            "head-too-large",
        ),
    ];
    for (request, code, reason) in refused {
        let mut raw = Raw::connect(address).await;
        raw.write(&request).await;
        let read = raw.whole().await.to_owned();
        assert!(read.starts_with(&format!("HTTP/1.1 {code} ")), "{read}");
        // Who is refused is told why, under a name to ask by, and it is noted.
        assert!(
            read.contains("content-type: application/problem+json"),
            "{read}"
        );
        assert!(read.contains(&format!("\"reason\":\"{reason}\"")), "{read}");
        let id = read.split("x-correlation-id: ").nth(1).unwrap();
        let id = id.split("\r\n").next().unwrap();
        let noted = || {
            let all = lines(&log.path, "");
            all.into_iter().find(|line| line["correlation_id"] == id)
        };
        until("a line in the access log", || noted().is_some()).await;
        let one = noted().unwrap();
        assert_eq!(
            (&one["status"], &one["reason"]),
            (&code.into(), &reason.into())
        );
        let counted = format!(
            "http_requests_total{{service=\"monolith\",route=\"other\",method=\"other\",status=\"4xx\",code=\"{code}\",side=\"none\"}}"
        );
        assert_eq!(bed.metric(&counted), 1, "{}", bed.metrics());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_what_is_refused_over_http_2() {
    let log = Log::new();
    let gateway = format!(
        "client: {{ headers: 20, head-bytes: 4KiB }}, {}",
        log.plan("")
    );
    let bed = Bed::shaped_and_settled("", "", &gateway).await;
    let stream = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    // Up to twice of what it may be: beyond that, h2 has the last word.
    let large = "v".repeat(5 << 10);
    for (name, value, count, code, reason) in [
        ("x_forwarded_for", "1", 1, 400, "bad-head"),
        ("x-many", "1", 21, 431, "too-many-headers"),
        ("x-large", &large, 1, 431, "head-too-large"),
    ] {
        let mut request = http::Request::get("http://a/x");
        for _ in 0..count {
            request = request.header(name, value);
        }
        let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        assert_eq!(head.status, code);
        assert_eq!(head.headers["content-type"], "application/problem+json");
        let body = body.collect().await.unwrap().to_bytes();
        let wanted = format!("\"reason\":\"{reason}\"");
        assert!(String::from_utf8_lossy(&body).contains(&wanted), "{body:?}");
        let id = head.headers["x-correlation-id"].to_str().unwrap();
        let noted = || {
            let all = lines(&log.path, "");
            all.into_iter().find(|line| line["correlation_id"] == id)
        };
        until("a line in the access log", || noted().is_some()).await;
        let one = noted().unwrap();
        assert_eq!(
            (&one["status"], &one["reason"]),
            (&code.into(), &reason.into())
        );
        let counted = format!(
            "http_requests_total{{service=\"monolith\",route=\"other\",method=\"GET\",status=\"4xx\",code=\"{code}\",side=\"none\"}}"
        );
        assert!(bed.metric(&counted) >= 1, "{}", bed.metrics());
    }
    for reason in ["too-many-headers", "head-too-large"] {
        let counted = format!("banyan_malformed_total{{reason=\"{reason}\"}}");
        assert_eq!(bed.metric(&counted), 1, "{}", bed.metrics());
    }
}

/// promtool reads the older text format only, in which a counter's help and type
/// stand under its full name.
fn older(metrics: &str) -> String {
    let mut text = String::new();
    let mut lines = metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let help = line.starts_with("# HELP ") && lines.peek().is_some_and(|next| counter(next));
        if help || counter(line) {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().unwrap();
            let (mark, kind, name, rest) = (word(), word(), word(), word());
            text.extend([mark, " ", kind, " ", name, "_total ", rest, "\n"]);
        } else if line != "# EOF" {
            text.extend([line, "\n"]);
        }
    }
    text
}

/// Prints why a test is not run.
fn promtool() -> Option<Command> {
    let found = Command::new("promtool").arg("--version").output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(Command::new("promtool"));
    }
    skip("there is no promtool; install Debian's package prometheus");
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let log = Log::new();
    let gateway = format!(
        "{}, tracing: {{ endpoint: \"http://127.0.0.1:9\", sample: 100% }}, \
         policies: {{ limits: [{{ minute: 1000000 }}] }}",
        log.plan("")
    );
    let bed = Bed::shaped_and_settled("", "", &gateway).await;
    for path in ["/", "/api/contracts/1"] {
        ask(&bed, "GET", path, &[("x-user-id", "u")]).await;
        ask(&bed, "POST", path, &[("x-user-id", "u")]).await;
    }
    let Some(mut promtool) = promtool() else {
        return;
    };
    let mut check = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = older(&bed.metrics());
    check
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let said = format!("{}{said}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{said}\n{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn native_histograms_are_there_where_asked_for() {
    for asked in [true, false] {
        let bed = Bed::shaped_and_settled(
            "",
            "",
            &format!("metrics: {{ native-histograms: {asked} }}"),
        )
        .await;
        for _ in 0..20 {
            ask(&bed, "GET", "/", &[]).await;
        }
        let mut registry = prometheus_client::registry::Registry::default();
        bed.gateway.metrics(&mut registry);
        let families = prometheus_protobuf::encode(&registry).unwrap();
        let times = families
            .iter()
            .find(|family| family.name == "http_request_duration_seconds")
            .unwrap();
        for metric in &times.metric {
            let histogram = metric.histogram.as_ref().unwrap();
            assert!(histogram.sample_count > 0 && histogram.bucket.len() > 10);
            // The first delta is a count, each other one a difference.
            let counts = histogram.positive_delta.iter().scan(0, |count, delta| {
                *count += delta;
                Some(u64::try_from(*count).unwrap())
            });
            let native = histogram.zero_count + counts.sum::<u64>();
            assert_eq!(native, if asked { histogram.sample_count } else { 0 });
            assert_eq!(histogram.schema, if asked { 3 } else { 0 });
        }
        // The text has the classic ones, either way.
        assert!(
            bed.metrics()
                .contains("http_request_duration_seconds_bucket{le=\"0.001\"")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tracing_a_trace_passes_untouched() {
    let bed = Bed::shaped_and_settled("", "", "").await;
    let odd = "00-not-a-trace";
    ask(
        &bed,
        "GET",
        "/",
        &[("traceparent", odd), ("tracestate", "a=1")],
    )
    .await;
    ask(&bed, "GET", "/", &[]).await;
    let seen = bed.monolith.seen();
    assert_eq!(seen[0].header("traceparent"), Some(odd));
    assert_eq!(seen[0].header("tracestate"), Some("a=1"));
    assert_eq!(seen[1].header("traceparent"), None);
}

/// A receiver of spans that answers with this status.
struct Receiver {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<(String, Span)>>>,
}

impl Receiver {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spans: Arc<Mutex<Vec<(String, Span)>>> = Arc::default();
        let noted = Arc::clone(&spans);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let noted = Arc::clone(&noted);
                    async move {
                        assert_eq!(request.uri(), "/v1/traces");
                        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        noted.lock().unwrap().extend(decoded(&body));
                        let answer = http::Response::builder().status(status);
                        Ok::<_, Infallible>(answer.body(Full::<bytes::Bytes>::default()).unwrap())
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { address, spans }
    }

    fn plan(&self, sample: &str) -> String {
        format!(
            "tracing: {{ endpoint: \"http://{}\", sample: {sample}, service-name: shop-gateway }}",
            self.address
        )
    }

    /// The span of a request that had this path.
    fn find(&self, path: &str) -> Option<(String, Span)> {
        let all = self.spans.lock().unwrap();
        let of = |(_, span): &&(String, Span)| attribute(span, "url.path") == Some(path.into());
        all.iter().find(of).cloned()
    }
}

/// Spans, each with the name of what it comes from.
fn decoded(body: &[u8]) -> Vec<(String, Span)> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut all = Vec::new();
    for resource in request.resource_spans {
        let from = resource.resource.unwrap().attributes;
        let name = from.iter().find(|one| one.key == "service.name").unwrap();
        let name = text(name.value.as_ref().unwrap().value.as_ref().unwrap());
        for scope in resource.scope_spans {
            all.extend(scope.spans.into_iter().map(|span| (name.clone(), span)));
        }
    }
    all
}

fn text(value: &AnyValue) -> String {
    match value {
        AnyValue::StringValue(text) => text.clone(),
        AnyValue::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|one| one.key == key)?;
    Some(text(found.value.as_ref()?.value.as_ref()?))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_through_the_gateway() {
    let receiver = Receiver::start(200).await;
    let bed = Bed::shaped_and_settled("", "", &receiver.plan("0%")).await;
    let headers = [
        ("x-user-id", "u"),
        ("traceparent", GOOD),
        ("tracestate", "vendor=1"),
        ("x-correlation-id", "c-1"),
    ];
    ask(&bed, "GET", "/api/contracts/7", &headers).await;
    let seen = bed.service.seen();
    let passed = seen[0].header("traceparent").unwrap().to_owned();
    assert_eq!(seen[0].header("tracestate"), Some("vendor=1"));
    let [version, trace, parent, flags] = passed.split('-').collect::<Vec<_>>()[..] else {
        panic!("{passed}");
    };
    assert_eq!((version, trace, flags), ("00", TRACE, "01"));
    assert_ne!(parent, "00f067aa0ba902b7");
    // Sampled by who began it, and exported as the one that the upstream knows.
    until("its span", || receiver.find("/api/contracts/7").is_some()).await;
    let (service, span) = receiver.find("/api/contracts/7").unwrap();
    assert_eq!(service, "shop-gateway");
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.span_id), parent);
    assert_eq!(hex(&span.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(span.name, "GET /api/contracts/*");
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/api/contracts/*"),
        ("client.address", "127.0.0.1"),
        ("banyan.side", Side::Service.as_str()),
        ("banyan.upstream", "contracts"),
        ("banyan.correlation_id", "c-1"),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), Some(value), "{key}");
    }
    until("the span to be counted", || {
        bed.metric("banyan_spans_total{outcome=\"told\"}") >= 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_trace_is_begun_anew_and_sampled_by_share() {
    let receiver = Receiver::start(200).await;
    let bed = Bed::shaped_and_settled("", "", &receiver.plan("100%")).await;
    let forged = format!("00-{}-00f067aa0ba902b7-00", "0".repeat(32));
    let odd = [("traceparent", forged.as_str()), ("tracestate", "vendor=1")];
    ask(&bed, "GET", "/forged", &odd).await;
    ask(&bed, "GET", "/none", &[]).await;
    // Its beginner has decided that it is not.
    let unsampled = GOOD.replace("-01", "-00");
    ask(&bed, "GET", "/unsampled", &[("traceparent", &unsampled)]).await;
    let seen = bed.monolith.seen();
    let flags = |at: usize| seen[at].header("traceparent").unwrap()[53..].to_owned();
    assert_eq!(seen[0].header("tracestate"), None);
    assert!(
        !seen[0]
            .header("traceparent")
            .unwrap()
            .contains(&"0".repeat(32))
    );
    assert_eq!(
        (flags(0).as_str(), flags(1).as_str(), flags(2).as_str()),
        ("03", "03", "00")
    );
    bed.gateway.shutdown(DEADLINE).await;
    let (_, span) = receiver.find("/none").unwrap();
    assert_eq!(span.parent_span_id, Vec::<u8>::new());
    assert!(receiver.find("/forged").is_some());
    assert!(receiver.find("/unsampled").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_refuses_costs_spans_and_nothing_else() {
    let receiver = Receiver::start(400).await;
    let bed = Bed::shaped_and_settled("", "", &receiver.plan("100%")).await;
    let answer = ask(&bed, "GET", "/", &[]).await;
    assert_eq!(answer.status, 200);
    until("the loss to be counted", || {
        bed.metric("banyan_spans_total{outcome=\"lost\"}") >= 1
    })
    .await;
}
