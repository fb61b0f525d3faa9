//! The service as a process: arguments, settings, log and end, which are the
//! kit's for every service.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use testbed::cluster::{Cluster, Options, Rights};
use testbed::directory::PrivateDirectory;
use testbed::http_client::{self, Call};
use testbed::ports;
use testbed::process::{Finished, Process, Spec, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const TIMEOUT: Duration = Duration::from_secs(40);

fn contracts() -> Spec {
    Spec::new("contracts", env!("CARGO_BIN_EXE_contracts"))
}

async fn ended(spec: Spec) -> Finished {
    run(&spec, TIMEOUT).await.unwrap()
}

#[tokio::test]
async fn arguments_say_what_to_do() {
    let settings = ended(contracts().arg("--settings")).await;
    assert_eq!(settings.code, 0);
    for row in [
        "| `SERVICE_PORT` | `8101` | ",
        "| `CONTRACTS_SERVICE_API_KEY` | none | ",
        "| `DATABASE_URL` | required | ",
        "| `MONOLITH_URL` | required | Where parties and plots are looked up; ",
    ] {
        assert!(settings.stdout.contains(row), "{row}\n{}", settings.stdout);
    }
    let help = ended(contracts().arg("--help")).await;
    assert!(help.stdout.contains("contracts migrate"), "{}", help.stdout);
    let wrong = ended(contracts().arg("serve")).await;
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""));
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let spec = contracts()
        .env("DATABASE_URL", "mysql://app:hunter2@127.0.0.1/contracts")
        .env("SERVICE_PORT", "65536")
        .env("LOG_LEVEL", "loud");
    let refused = ended(spec).await;
    assert_eq!(refused.code, 2);
    for variable in ["DATABASE_URL", "SERVICE_PORT", "LOG_LEVEL", "MONOLITH_URL"] {
        let line = format!("\n{variable}: ");
        assert!(refused.stderr.contains(&line), "{}", refused.stderr);
    }
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
}

/// A database for one test.
struct Scene {
    cluster: Cluster,
    url: String,
    _directory: PrivateDirectory,
}

impl Scene {
    async fn new() -> Self {
        let directory = PrivateDirectory::new().unwrap();
        let options = Options::fast();
        let cluster = Cluster::create(&directory, "contracts", &options).await;
        let mut cluster = cluster.unwrap();
        let role = cluster.create_role("contracts_app", Rights::Plain).await;
        role.unwrap();
        let database = cluster.create_database("contracts", "contracts_app").await;
        database.unwrap();
        Self {
            url: cluster.url("contracts_app", "contracts").unwrap(),
            cluster,
            _directory: directory,
        }
    }
}

/// Starts it and waits until it is ready; where it serves, and the process.
async fn started(spec: Spec, logs: &Path) -> (String, Process) {
    let port = ports::free().unwrap();
    let spec = spec.env("SERVICE_PORT", port.to_string());
    let mut process = Process::start(&spec, logs).unwrap();
    let address = format!("http://127.0.0.1:{port}");
    let healthy = http_client::until_healthy(&address, "/health/ready", TIMEOUT, || {
        process.ensure_running()
    });
    healthy.await.unwrap();
    (address, process)
}

#[tokio::test]
async fn it_migrates_serves_logs_and_ends() {
    let Scene {
        mut cluster,
        url,
        _directory,
    } = Scene::new().await;
    let migrate = || contracts().arg("migrate").env("DATABASE_URL", &url);
    ended(migrate()).await.successful().unwrap();

    // As an earlier version has left it: nothing is applied again.
    let superuser = cluster.superuser("contracts").await.unwrap();
    let rename = "alter table contract_service._migrations rename to _sqlx_migrations";
    superuser.batch_execute(rename).await.unwrap();
    ended(migrate()).await.successful().unwrap();

    let spec = contracts()
        .env("DATABASE_URL", &url)
        .env("MONOLITH_URL", "http://127.0.0.1:1")
        .env("LOG_LEVEL", "DEBUG")
        .env("LOG_FORMAT", "json");
    let logs = tempfile::tempdir().unwrap();
    let (address, mut process) = started(spec, logs.path()).await;

    let socket = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(socket).await.unwrap();
    let request = "GET /api/contracts HTTP/1.1\r\nHost: contracts\r\nConnection: close\r\n\
                   X-Correlation-ID: abc-1\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("\r\nx-correlation-id: abc-1\r\n"),
        "{answer}"
    );

    let metrics = http_client::call(&address, &Call::get("/metrics"), TIMEOUT).await;
    let metrics = String::from_utf8_lossy(&metrics.unwrap().body).into_owned();
    let counted = "http_requests_total{service=\"contracts\",method=\"GET\",\
                   route=\"/api/contracts\",status=\"2xx\",code=\"200\"} 1";
    assert!(metrics.contains(counted), "{metrics}");

    let exit = process.stop().await;
    assert_eq!(exit.code, 0);
    let log = std::fs::read_to_string(process.log()).unwrap();
    let line = log.lines().find(|line| line.contains("\"abc-1\""));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(line["span"]["route"], "/api/contracts", "{line}");
    cluster.stop().await;
}

/// A monolith behind TLS that has every party and plot.
async fn secure_monolith(files: &Path) -> (String, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let trusted = files.join("trusted.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_single_cert(vec![certificate.der().clone()], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust us hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            tokio::spawn(async move {
                let mut some = [0; 4096];
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                while stream.read(&mut some).await.is_ok_and(|read| read > 0) {
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    (format!("https://localhost:{port}"), trusted)
}

#[tokio::test]
async fn the_monolith_may_be_behind_tls_if_it_is_trusted() {
    let Scene {
        mut cluster,
        url,
        _directory,
    } = Scene::new().await;
    let files = tempfile::tempdir().unwrap();
    let (monolith, trusted) = secure_monolith(files.path()).await;
    let spec = contracts()
        .env("DATABASE_URL", &url)
        .env("MONOLITH_URL", monolith);
    let contract = Call::post(
        "/api/contracts",
        &serde_json::json!({
            "reference": "r-1", "title": "Field", "seller": 1, "buyer": 2, "land_plot": 3,
            "price": "1.00", "currency": "EUR",
        }),
    );
    for (spec, status) in [
        (spec.clone(), 503),
        (spec.env("SSL_CERT_FILE", trusted), 201),
    ] {
        let logs = tempfile::tempdir().unwrap();
        let (address, mut process) = started(spec, logs.path()).await;
        let answer = http_client::call(&address, &contract, TIMEOUT)
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        process.stop().await;
    }
    cluster.stop().await;
}
