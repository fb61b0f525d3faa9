//! Listeners besides the main one: TLS, Unix sockets, the PROXY protocol.

use crate::{
    observe::{Log, line},
    support::*,
};
use gateway::{Gateway, StartError};
use plan::Plan;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixListener, UnixStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A plan's gateway with these listeners beside the main one.
pub fn start(monolith: &str, listeners: &str) -> Result<Gateway, StartError> {
    Gateway::start(&plan(monolith, listeners), FakeMover::new())
}

pub fn plan(monolith: &str, listeners: &str) -> Plan {
    let gateway = format!("workers: 2\n  listeners: [{listeners}]");
    let routes = "routes: [{ path: /api/contracts/* }]";
    let text = extracting_text(monolith, monolith, &gateway, routes);
    Plan::parse(&text, |_| None).unwrap()
}

/// Reads an answer whose body ends with this.
async fn answer(stream: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let more = tokio::time::timeout(DEADLINE, stream.read_buf(&mut read)).await;
        let length = more.expect("nothing came in time").unwrap();
        assert!(length > 0, "ended: {}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

const GET: &str = "GET /x HTTP/1.1\r\nhost: a\r\n\r\n";

/// An authority and the files of its certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    files: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, files }
    }

    pub fn path(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    /// Writes `FILE.pem` and `FILE.key` for a name.
    pub fn certify(&self, file: &str, name: &str) {
        self.certify_until(file, name, 2100);
    }

    /// The same, to expire when this year begins.
    pub fn certify_until(&self, file: &str, name: &str, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    pub fn tls(&self, file: &str, more: &str) -> String {
        let (certificate, key) = (
            self.path(&format!("{file}.pem")),
            self.path(&format!("{file}.key")),
        );
        format!("tls: {{ certificate: {certificate}, key: {key} {more} }}")
    }

    /// Connects as a client that trusts this authority.
    async fn connect(
        &self,
        address: SocketAddr,
        name: &str,
        alpn: &[&str],
        own: Option<&str>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let chain =
                    CertificateDer::from_pem_file(self.path(&format!("{file}.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{file}.key"))).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|one| one.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

fn in_file(authority: &Authority, file: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(authority.path(file)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_by_name_and_its_certificates_change_under_way() {
    let monolith = Upstream::start("monolith").await;
    let authority = Authority::new();
    authority.certify("first", "a.example");
    authority.certify("other", "b.example");
    let address = unused_address();
    let (pem, key) = (authority.path("other.pem"), authority.path("other.key"));
    let more = format!(", more: [{{ certificate: {pem}, key: {key} }}]");
    let listener = format!(
        "{{ listen: \"{address}\", {} }}",
        authority.tls("first", &more)
    );
    let plan = plan(&format!("http://{}", monolith.address), &listener);
    let gateway = Gateway::start(&plan, FakeMover::new()).unwrap();

    let mut kept = authority
        .connect(address, "a.example", &["http/1.1"], None)
        .await
        .unwrap();
    kept.write_all(GET.as_bytes()).await.unwrap();
    answer(&mut kept, "monolith").await;
    assert_eq!(
        monolith.seen()[0].header("x-forwarded-proto"),
        Some("https")
    );
    for target in ["https://a.example/x", "https://a.example:443/x"] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: a.example\r\n\r\n");
        kept.write_all(request.as_bytes()).await.unwrap();
        answer(&mut kept, "monolith").await;
        assert_eq!(monolith.seen().last().unwrap().path, "/x");
    }
    assert_eq!(shown(&kept), in_file(&authority, "first.pem"));
    let other = authority
        .connect(address, "b.example", &[], None)
        .await
        .unwrap();
    assert_eq!(shown(&other), in_file(&authority, "other.pem"));
    // Nobody's name: the first certificate, which the client then refuses.
    assert!(
        authority
            .connect(address, "c.example", &[], None)
            .await
            .is_err()
    );

    authority.certify("first", "a.example");
    let broken = authority.path("other.key");
    let good = fs::read(&broken).unwrap();
    fs::write(&broken, "nonsense").unwrap();
    let error = gateway.reload(&plan).await.unwrap_err().to_string();
    assert!(error.contains("other.key"), "{error}");
    let old = authority
        .connect(address, "b.example", &[], None)
        .await
        .unwrap();
    assert_eq!(shown(&old), in_file(&authority, "other.pem"));
    fs::write(&broken, good).unwrap();
    gateway.reload(&plan).await.unwrap();
    let new = authority
        .connect(address, "a.example", &[], None)
        .await
        .unwrap();
    assert_eq!(shown(&new), in_file(&authority, "first.pem"));
    assert_ne!(shown(&new), shown(&kept));
    kept.write_all(GET.as_bytes()).await.unwrap();
    answer(&mut kept, "monolith").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_chosen_by_alpn() {
    let monolith = Upstream::start("monolith").await;
    let authority = Authority::new();
    authority.certify("first", "a.example");
    let address = unused_address();
    let listener = format!(
        "{{ listen: \"{address}\", {} }}",
        authority.tls("first", "")
    );
    let _gateway = start(&format!("http://{}", monolith.address), &listener).unwrap();
    let stream = authority
        .connect(address, "a.example", &["h2", "http/1.1"], None)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://a.example/x")
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let seen = &monolith.seen()[0];
    assert_eq!(seen.header("host"), Some("a.example"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_certificates_where_they_must() {
    let monolith = Upstream::start("monolith").await;
    let (authority, strangers) = (Authority::new(), Authority::new());
    authority.certify("first", "a.example");
    authority.certify("client", "client.example");
    strangers.certify("client", "client.example");
    for stranger in ["client.pem", "client.key"] {
        let copy = authority.path(&format!("stranger{}", &stranger[6..]));
        fs::copy(strangers.path(stranger), copy).unwrap();
    }
    let (must, may) = (unused_address(), unused_address());
    let ca = format!(", client-ca: {}", authority.path("ca.pem"));
    let listeners = format!(
        "{{ listen: \"{must}\", {} }}, {{ listen: \"{may}\", {} }}",
        authority.tls("first", &ca),
        authority.tls("first", &format!("{ca}, client-certificate: optional")),
    );
    let _gateway = start(&format!("http://{}", monolith.address), &listeners).unwrap();
    for (address, own, is_served) in [
        (must, Some("client"), true),
        (must, None, false),
        (must, Some("stranger"), false),
        (may, Some("client"), true),
        (may, None, true),
        (may, Some("stranger"), false),
    ] {
        let served = async {
            let mut stream = authority.connect(address, "a.example", &[], own).await?;
            stream.write_all(GET.as_bytes()).await?;
            let mut first = [0; 8];
            stream.read_exact(&mut first).await?;
            std::io::Result::Ok(first == *b"HTTP/1.1")
        };
        let served = tokio::time::timeout(DEADLINE, served)
            .await
            .expect("no end in time");
        assert_eq!(served.unwrap_or(false), is_served, "{address} {own:?}");
    }
}

#[test]
fn wrong_certificates_are_said_so_at_the_start() {
    let authority = Authority::new();
    authority.certify("first", "a.example");
    authority.certify("other", "a.example");
    let swapped = format!(
        "{{ listen: \"127.0.0.1:0\", tls: {{ certificate: {}, key: {} }} }}",
        authority.path("first.pem"),
        authority.path("other.key")
    );
    let missing = format!(
        "{{ listen: \"127.0.0.1:0\", {} }}",
        authority.tls("missing", "")
    );
    for (listener, named) in [(swapped, "other.key"), (missing, "missing.pem")] {
        let Err(error) = start("http://127.0.0.1:1", &listener) else {
            panic!("it started")
        };
        let text = error.to_string();
        assert!(text.contains(named) && text.contains("Name "), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unix_sockets_on_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    let (front, back) = (
        directory.path().join("front"),
        directory.path().join("back"),
    );
    let upstream = UnixListener::bind(&back).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = upstream.accept().await {
            tokio::spawn(async move {
                let request = answer(&mut stream, "\r\n\r\n").await;
                let length = request.len();
                let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{request}");
                stream.write_all(text.as_bytes()).await.unwrap();
            });
        }
    });
    let listener = format!("{{ listen: \"unix:{}\" }}", front.display());
    // Left behind by one that was killed.
    drop(std::os::unix::net::UnixListener::bind(&front).unwrap());
    let monolith = format!("unix:{}", back.display());
    let _gateway = start(&monolith, &listener).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // Whoever may write to it may connect.
    assert_eq!(mode(&front), 0o660);
    let open = directory.path().join("open");
    let other = format!("{{ listen: \"unix:{}\", mode: \"0666\" }}", open.display());
    let _open = start(&monolith, &other).unwrap();
    assert_eq!(mode(&open), 0o666);
    for _ in 0..4 {
        let mut client = UnixStream::connect(&front).await.unwrap();
        client.write_all(GET.as_bytes()).await.unwrap();
        let answer = answer(&mut client, "\r\n\r\n").await;
        if answer.contains("GET /x") {
            // Its peer is a process of this machine.
            for said in ["x-forwarded-for: 127.0.0.1\r\n", "x-real-ip: 127.0.0.1\r\n"] {
                assert!(answer.contains(said), "{answer}");
            }
        }
    }
    let Err(error) = start(&monolith, &listener) else {
        panic!("two listen on one path")
    };
    assert!(error.to_string().contains("in use"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_in_front_of_a_unix_socket_is_trusted_as_the_loopback_is() {
    let directory = tempfile::tempdir().unwrap();
    let front = directory.path().join("front");
    let (monolith, log) = (Upstream::start("monolith").await, Log::new());
    let gateway = format!(
        "listeners: [{{ listen: \"unix:{}\" }}]\n  trusted: [127.0.0.0/8]\n  {}",
        front.display(),
        log.plan("")
    );
    let plan = extracting(
        monolith.address,
        monolith.address,
        &gateway,
        "routes: [{ path: /api/contracts/* }]",
    );
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    let mut client = UnixStream::connect(&front).await.unwrap();
    let request = "GET /x HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 9.9.9.9\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    answer(&mut client, "monolith").await;
    let seen = monolith.seen().pop().unwrap();
    assert_eq!(seen.header("x-forwarded-for"), Some("9.9.9.9, 127.0.0.1"));
    assert_eq!(seen.header("x-real-ip"), Some("9.9.9.9"));
    let one = line(&log.path, "/x").await;
    assert_eq!(one["client"], "9.9.9.9", "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_in_front_names_the_client() {
    let monolith = Upstream::start("monolith").await;
    let authority = Authority::new();
    authority.certify("first", "a.example");
    let (plain, secure) = (unused_address(), unused_address());
    let listeners = format!(
        "{{ listen: \"{plain}\", proxy-protocol: true }}, {{ listen: \"{secure}\", proxy-protocol: true, {} }}",
        authority.tls("first", "")
    );
    let _gateway = start(&format!("http://{}", monolith.address), &listeners).unwrap();
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x00\x00\x07\x7f\0\0\x01\x12\x34\x00\x50";
    for (header, client) in [
        (
            &b"PROXY TCP4 10.0.0.9 127.0.0.1 5000 80\r\n"[..],
            "10.0.0.9",
        ),
        (b"PROXY TCP6 2001:db8::9 ::1 5000 80\r\n", "2001:db8::9"),
        (v2, "10.0.0.7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    ] {
        let mut stream = TcpStream::connect(plain).await.unwrap();
        // In two parts, and the request with the second. The pause lets the first be read
        // alone; that it has been, nobody outside can see.
        stream.write_all(&header[..7]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        stream
            .write_all(&[&header[7..], GET.as_bytes()].concat())
            .await
            .unwrap();
        answer(&mut stream, "monolith").await;
        let seen = monolith.seen();
        assert_eq!(seen.last().unwrap().header("x-forwarded-for"), Some(client));
    }
    let seen = monolith.count();
    let mut stream = TcpStream::connect(plain).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    // Closed, or reset for what was not read.
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest))
        .await
        .expect("left open");
    assert!(rest.is_empty());
    assert_eq!(monolith.count(), seen);
    assert!(
        authority
            .connect(secure, "a.example", &[], None)
            .await
            .is_err()
    );
}

#[test]
fn paths_are_named_in_errors() {
    let listener = "{ listen: \"unix:/nowhere/at/all\" }";
    let Err(error) = start("http://127.0.0.1:1", listener) else {
        panic!("it started")
    };
    assert!(
        error.to_string().contains("unix:/nowhere/at/all"),
        "{error}"
    );
    assert!(!Path::new("/nowhere").exists());
}
