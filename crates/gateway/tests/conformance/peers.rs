//! nginx and haproxy in front of a recording upstream, where they are
//! installed.

use crate::{skip::skip, upstream::DEADLINE};
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A proxy of somebody else; ends when it is dropped.
pub struct Peer {
    pub address: SocketAddr,
    /// Where it speaks HTTP/2 without TLS.
    pub http2: SocketAddr,
    child: Child,
    directory: PathBuf,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Where a program is. Debian puts these where only root's `PATH` leads.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.push("/usr/sbin".into());
    let mut programs = places.into_iter().map(|place| place.join(name));
    programs.find(|program| program.is_file())
}

/// One process, in the foreground, with everything in its own directory.
fn nginx(upstream: SocketAddr, port: u16, http2: u16) -> String {
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr crit;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
           access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
           fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
           server {{\n\
             listen 127.0.0.1:{port}; listen 127.0.0.1:{http2} http2;\n\
             location / {{ proxy_pass http://{upstream}; proxy_http_version 1.1;\n\
               proxy_set_header Host $http_host; proxy_set_header Connection close; }}\n\
           }}\n\
         }}\n"
    )
}

fn haproxy(upstream: SocketAddr, port: u16, http2: u16) -> String {
    format!(
        "global\n  maxconn 256\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
         \x20 option http-server-close\n\
         listen all\n  bind 127.0.0.1:{port}\n  bind 127.0.0.1:{http2} proto h2\n  server one {upstream}\n"
    )
}

impl Peer {
    /// `None` and a line that says so, where it is not installed.
    pub fn start(name: &'static str, upstream: SocketAddr) -> Option<Self> {
        let Some(program) = find(name) else {
            skip(&format!("{name} is not installed; `./x` installs it"));
            return None;
        };
        let (port, http2) = (free_port(), free_port());
        let directory = std::env::temp_dir().join(format!("banyan-peer-{name}-{port}"));
        fs::create_dir_all(&directory).unwrap();
        let text = match name {
            "nginx" => nginx(upstream, port, http2),
            _ => haproxy(upstream, port, http2),
        };
        let file = directory.join("conf");
        fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        match name {
            "nginx" => command.arg("-p").arg(&directory).arg("-c").arg(&file),
            _ => command.arg("-db").arg("-q").arg("-f").arg(&file),
        };
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let peer = Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            http2: SocketAddr::from(([127, 0, 0, 1], http2)),
            child,
            directory,
        };
        let end = Instant::now() + DEADLINE;
        while TcpStream::connect(peer.address).is_err() {
            assert!(Instant::now() < end, "{name} did not start");
            thread::sleep(Duration::from_millis(10));
        }
        Some(peer)
    }
}
