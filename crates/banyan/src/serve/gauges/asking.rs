//! Asks a real Prometheus, and servers that mean harm.

use super::*;
use conductor::ports::Moment;
use plan::{ExtractionName, Plan};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const LIMIT: Duration = Duration::from_mins(1);

/// The gate of a plan.
fn gate(gates: &str) -> MeasuredGate {
    let text = format!(
        r#"
monolith: {{ url: "http://127.0.0.1:1" }}
services: {{ a: {{ url: "http://127.0.0.1:2" }} }}
gateway: {{ listen: "127.0.0.1:3" }}
extractions:
  one:
    service: a
    routes: [{{ path: /one }}]
    data: {{ mode: shared }}
    rollout: {{ key: address, steps: [{{ reads: 5% }}], gates: {gates} }}
"#
    );
    let plan = Plan::parse(&text, |name| (name == "TOKEN").then(|| "hush".to_owned())).unwrap();
    let name = ExtractionName::new("one").unwrap();
    let schedule = plan.extractions[&name].schedule.clone().unwrap();
    schedule.steps[0].gates.measured[0].clone()
}

fn query(server: &str, query: &str) -> MeasuredGate {
    let query = query.replace('"', "\\\"");
    gate(&format!(
        "{{ prometheus: {{ a: {{ server: '{server}', query: \"{query}\", max: 1, timeout: 5s }} }} }}"
    ))
}

async fn ask(gate: &MeasuredGate) -> Result<Measurement, String> {
    let occasion = Occasion {
        extraction: ExtractionName::new("one").unwrap(),
        step: "reads 5%".to_owned(),
        phase: "Progressing",
        plan: "abc".to_owned(),
    };
    Outside::new().measure(gate, &occasion).await
}

/// Ends when it is dropped.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One that scrapes itself each second; its address.
fn prometheus(home: &Path) -> (Prometheus, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = home.join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: itself\n    \
         static_configs: [{{ targets: ['{address}'] }}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let started = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            home.join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Debian's package `prometheus`");
    (Prometheus(started), format!("http://{address}"))
}

fn only(measured: &Measurement) -> (Moment, f64) {
    let Measurement::Series(series) = measured else {
        panic!("{measured:?}");
    };
    let [one] = &series[..] else {
        panic!("{series:?}");
    };
    (one[0].at, one[0].value)
}

#[tokio::test]
async fn debians_prometheus_is_understood() {
    let home = tempfile::tempdir().unwrap();
    let (_running, server) = prometheus(home.path());
    let up = query(&server, "sum(up)");
    let scraped = async {
        loop {
            if matches!(&ask(&up).await, Ok(Measurement::Series(all)) if !all.is_empty()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LIMIT, scraped).await.unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = Moment::from_millis(u64::try_from(now.as_millis()).unwrap());
    let (at, value) = only(&ask(&up).await.unwrap());
    assert!(value > 0.5 && at.since(now).max(now.since(at)) < LIMIT);
    let of = async |text: &str| ask(&query(&server, text)).await;
    assert!(only(&of("scalar(sum(up))").await.unwrap()).1 > 0.5);
    assert!(only(&of("1 / 0").await.unwrap()).1.is_infinite());
    assert!(only(&of("0 / 0").await.unwrap()).1.is_nan());
    assert_eq!(of("no_such_metric").await, Ok(Measurement::Series(vec![])));
    let Ok(Measurement::Series(several)) = of("go_gc_duration_seconds").await else {
        panic!("no series");
    };
    assert!(several.len() > 1);
    let wrong = of("sum(up").await.unwrap_err();
    assert!(
        wrong.contains("refuses the query: ") && wrong.contains("parse error"),
        "{wrong}"
    );
    let gone = ask(&query(&server, "up offset 1h")).await;
    assert_eq!(gone, Ok(Measurement::Series(vec![])));
}

/// Answers each connection with the same bytes, and keeps what was asked; its address.
async fn fake(answer: &'static [u8], ends: bool) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 * 1024];
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                kept.lock().unwrap().push(text);
                let _ = stream.write_all(answer).await;
                while !ends && stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn servers_that_mean_harm_get_no_pass_and_little_memory() {
    for (answer, ends, why) in [
        (
            &b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"[..],
            true,
            "302",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
            true,
            "larger than",
        ),
        (
            b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
            false,
            "larger than",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"status\":\"succ",
            true,
            "broke off",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            true,
            "no answer of Prometheus'",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", true, "client error"),
        (b"", true, "client error"),
    ] {
        let (server, _) = fake(answer, ends).await;
        let error = ask(&query(&server, "up")).await.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    // One that never answers is given up.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let mut silent = query(&server, "up");
    silent.timeout = Duration::from_millis(200);
    let error = ask(&silent).await.unwrap_err();
    assert_eq!(error, "no answer within 200ms");
    let refused = ask(&query("http://127.0.0.1:1", "up")).await.unwrap_err();
    assert!(refused.contains("refused"), "{refused}");
}

#[tokio::test]
async fn a_webhook_gets_flaggers_payload_and_the_plans_headers() {
    let answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\nclosed";
    let (url, asked) = fake(answer, true).await;
    let hook = gate(&format!(
        "{{ webhook: {{ a: {{ url: '{url}/gate/check?x=1', \
         headers: {{ authorization: 'Bearer ${{TOKEN}}' }} }} }} }}"
    ));
    let answered = ask(&hook).await;
    let text = "HTTP 403 Forbidden: closed".to_owned();
    assert_eq!(answered, Ok(Measurement::Answer(false, text)));
    let asked = asked.lock().unwrap()[0].clone();
    assert!(
        asked.starts_with("POST /gate/check?x=1 HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(asked.contains("authorization: Bearer hush\r\n"), "{asked}");
    assert!(
        asked.contains(r#"{"name":"one","namespace":"default","phase":"Progressing""#),
        "{asked}"
    );
}
