//! Who is measured, and the backend behind them all.

use super::{
    conversation::{ARM_HEADER, Conversation, authorized, request},
    machine::{LOAD_CORE, PROXY_CORE, program},
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    thread,
    time::{Duration, Instant},
};
use testbed::{
    ports,
    process::{Process, Signal, Spec},
};

/// In the order of the report; the first is ours.
pub(super) const PROXIES: [&str; 3] = [OURS, "nginx", "haproxy"];
pub(super) const OURS: &str = "banyan";
/// Ours with more features on, where that is asked for.
pub(super) const OURS_WITH: &str = "banyan-with";

/// What is downloaded; it stays with the monolith.
pub(super) const LARGE_PATH: &str = "/large";
const LARGE_BYTES: usize = 64 << 20;

/// How long a server may take to answer for the first time.
const START_LIMIT: Duration = Duration::from_secs(20);
const START_INTERVAL: Duration = Duration::from_millis(20);

/// Common to both configurations of nginx: one process in the foreground that
/// writes nowhere but into its own directory.
const NGINX: &str = "
worker_processes 1; daemon off; master_process off; pid PID; error_log stderr crit;
worker_rlimit_nofile 16384;
events { worker_connections 12000; multi_accept on; }
http {
 access_log off; server_tokens off; tcp_nodelay on; sendfile off;
 keepalive_requests 1000000000; keepalive_timeout 3600s; client_header_timeout 3600s;
 proxy_max_temp_file_size 0;
 client_body_temp_path TEMP; proxy_temp_path TEMP; fastcgi_temp_path TEMP;
 uwsgi_temp_path TEMP; scgi_temp_path TEMP;
";

/// Lines of our plan: clients may take their time, as they may with the others.
const PATIENT: &str = "  client: { head: 3600s, idle: 3600s }\n";

/// The backend: 1 KiB of JSON on two ports, for the two sides of the split, and a large
/// file.
pub(super) struct Backend {
    monolith: SocketAddr,
    service: SocketAddr,
    _process: Process,
}

impl Backend {
    pub(super) fn start(directory: &Path) -> Result<Self> {
        let (monolith, service) = (free()?, free()?);
        let large = directory.join("large");
        fs::write(&large, vec![b'l'; LARGE_BYTES])?;
        let configuration = format!(
            "{} default_type application/json;\n server {{ listen {monolith} backlog=4096; \
             listen {service} backlog=4096; location / {{ add_header {ARM_HEADER} $server_port; \
             return 200 '{}'; }} location = {LARGE_PATH} {{ alias {}; }} }}\n}}\n",
            nginx_head(directory, "backend")?,
            items(),
            large.display()
        );
        let process = nginx(directory, "backend", LOAD_CORE, &configuration)?;
        answers("the backend", monolith, &request(0))?;
        Ok(Self {
            monolith,
            service,
            _process: process,
        })
    }

    /// To ask it without a proxy.
    pub(super) fn address(&self) -> SocketAddr {
        self.monolith
    }
}

/// A running proxy that sends 80 % to the service.
pub(super) struct Peer {
    name: &'static str,
    addresses: Addresses,
    service: SocketAddr,
    process: Process,
}

/// What a proxy runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Processes {
    One,
    /// nginx and haproxy reload by a process that starts the one that serves.
    WithMaster,
}

/// Where a proxy listens.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    plain: SocketAddr,
    /// HTTP/2 without TLS.
    http2: SocketAddr,
    tls: SocketAddr,
}

impl Peer {
    /// `lines` are more of the plan, for ours.
    pub(super) fn start(
        name: &'static str,
        gateway: &Path,
        backend: &Backend,
        directory: &Path,
        lines: Option<&str>,
    ) -> Result<Self> {
        Self::of(name, gateway, backend, directory, lines, Processes::One)
    }

    /// One that can be told to read its settings again.
    pub(super) fn reloadable(
        name: &'static str,
        gateway: &Path,
        backend: &Backend,
        directory: &Path,
    ) -> Result<Self> {
        Self::of(
            name,
            gateway,
            backend,
            directory,
            None,
            Processes::WithMaster,
        )
    }

    fn of(
        name: &'static str,
        gateway: &Path,
        backend: &Backend,
        directory: &Path,
        lines: Option<&str>,
        processes: Processes,
    ) -> Result<Self> {
        let plain = free()?;
        let addresses = Addresses {
            plain,
            // Ours tells them apart by their first bytes.
            http2: if name.starts_with(OURS) {
                plain
            } else {
                free()?
            },
            tls: free()?,
        };
        let identity = directory.join("server.pem");
        let process = match name {
            "nginx" => {
                let head = nginx_head(directory, name)?;
                let head = match processes {
                    Processes::One => head,
                    // Else its worker, of root's, is nobody's and reads no root's files.
                    Processes::WithMaster => {
                        head.replace("master_process off;", "master_process on; user root;")
                    }
                };
                let configuration = nginx_proxy(&head, addresses, &identity, backend);
                nginx(directory, name, PROXY_CORE, &configuration)?
            }
            "haproxy" => haproxy(directory, addresses, &identity, backend, processes)?,
            _ => {
                let upstreams = [addresses.plain, backend.monolith, backend.service];
                let identity = identity.display();
                let tls = format!(
                    "  listeners: [{{ listen: \"{}\", tls: {{ certificate: {identity}, key: {identity} }} }}]\n",
                    addresses.tls
                );
                let lines = format!("{PATIENT}{tls}{}", lines.unwrap_or_default());
                let spec = Spec::new(name, gateway)
                    .args(upstreams.map(|address| address.to_string()))
                    .arg(lines);
                start(spec, PROXY_CORE, directory)?
            }
        };
        let request = match lines {
            None => request(0),
            Some(_) => authorized(0),
        };
        answers(name, addresses.plain, &request)?;
        Ok(Self {
            name,
            addresses,
            service: backend.service,
            process,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.addresses.plain
    }

    pub(super) fn http2_address(&self) -> SocketAddr {
        self.addresses.http2
    }

    pub(super) fn tls_address(&self) -> SocketAddr {
        self.addresses.tls
    }

    /// Has it read its settings again, requests or not.
    pub(super) fn reload(&mut self) {
        self.process.signal(match self.name {
            "haproxy" => Signal::User2,
            _ => Signal::Hangup,
        });
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether an answer came from the service, by what [`Conversation`] found.
    pub(super) fn is_service(&self, arm: u16) -> bool {
        self.service.port() == arm
    }
}

fn nginx_head(directory: &Path, name: &str) -> Result<String> {
    let temp = directory.join(format!("{name}-temp"));
    fs::create_dir_all(&temp)?;
    let pid = directory.join(format!("{name}.pid"));
    Ok(NGINX
        .replace("PID", &pid.display().to_string())
        .replace("TEMP", &temp.display().to_string()))
}

fn nginx_proxy(head: &str, addresses: Addresses, identity: &Path, backend: &Backend) -> String {
    let Addresses { plain, http2, tls } = addresses;
    let identity = identity.display();
    let Backend {
        monolith, service, ..
    } = backend;
    format!(
        "{head} upstream up {{ server {service} weight=4 max_fails=0; server {monolith} weight=1 \
         max_fails=0; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 3600s; }}\n \
         server {{ listen {plain} backlog=4096; listen {http2} http2; listen {tls} ssl; \
         ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {identity}; ssl_certificate_key {identity}; \
         location / {{ proxy_pass http://up; \
         proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}\n}}\n"
    )
}

fn nginx(directory: &Path, name: &str, core: &str, configuration: &str) -> Result<Process> {
    let file = directory.join(format!("{name}.conf"));
    fs::write(&file, configuration)?;
    let spec = Spec::new(name, program("nginx"))
        .arg("-p")
        .arg(directory)
        .args(["-e", "stderr", "-c"])
        .arg(&file);
    start(spec, core, directory)
}

fn haproxy(
    directory: &Path,
    addresses: Addresses,
    identity: &Path,
    backend: &Backend,
    processes: Processes,
) -> Result<Process> {
    let Addresses { plain, http2, tls } = addresses;
    let identity = identity.display();
    let Backend {
        monolith, service, ..
    } = backend;
    let configuration = format!(
        "global
  nbthread 1
  maxconn 7000
  tune.pool-high-fd-ratio 90
  tune.pool-low-fd-ratio 80
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  option http-keep-alive
  no log
frontend f
  bind {plain} backlog 4096
  bind {http2} proto h2
  bind {tls} ssl crt {identity}
  default_backend b
backend b
  balance roundrobin
  http-reuse always
  server service {service} weight 80 pool-max-conn -1 pool-purge-delay 1h
  server monolith {monolith} weight 20 pool-max-conn -1 pool-purge-delay 1h
"
    );
    let file = directory.join("haproxy.cfg");
    fs::write(&file, configuration)?;
    let spec = Spec::new("haproxy", program("haproxy"))
        .args((processes == Processes::WithMaster).then_some("-W"))
        .args(["-db", "-f"])
        .arg(&file);
    start(spec, PROXY_CORE, directory)
}

fn start(spec: Spec, core: &str, directory: &Path) -> Result<Process> {
    let prefix = ["taskset", "--cpu-list", core];
    Process::start(&spec.prefix(&prefix), &directory.join("logs"))
}

/// Waits until a server answers a request 200.
fn answers(name: &str, address: SocketAddr, request: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let asked =
            Conversation::new(address).and_then(|mut conversation| conversation.exchange(request));
        match asked {
            Ok(_) => return Ok(()),
            Err(error) if begun.elapsed() > START_LIMIT => {
                return Err(error).with_context(|| format!("starting {name}"));
            }
            Err(_) => thread::sleep(START_INTERVAL),
        }
    }
}

fn free() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?)))
}

/// 1 KiB of JSON.
fn items() -> String {
    let mut items: Vec<String> = Vec::new();
    loop {
        let number = items.len();
        items.push(format!(
            r#"{{"id": {number}, "name": "item-{number:02}", "price": {}, "tags": ["a", "b"]}}"#,
            number * 3
        ));
        let text = format!(r#"{{"items": [{}], "ok": true}}"#, items.join(", "));
        if text.len() >= 1024 {
            return text;
        }
    }
}

/// Refuses figures of a split that is none.
pub(super) fn check_share(name: &str, service: u32, all: u32) -> Result<()> {
    let share = f64::from(service) / f64::from(all);
    if !(0.75..0.85).contains(&share) {
        bail!("{name} sent {service} of {all} requests to the service, not 80 %");
    }
    Ok(())
}
