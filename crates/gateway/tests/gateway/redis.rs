//! A real Redis of a test's own.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{DEADLINE, skip};

/// A server on a port and in a directory of its own; killed when dropped.
pub struct Redis {
    pub address: SocketAddr,
    server: Child,
}

impl Redis {
    /// None, said aloud, where there is no `redis-server`.
    pub fn start() -> Option<Self> {
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let server = Self::launch(address);
        if server.is_none() {
            skip("no redis-server here; install it with apt-get install redis-server");
        }
        Some(Self {
            address,
            server: server?,
        })
    }

    fn launch(address: SocketAddr) -> Option<Child> {
        let server = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let end = Instant::now() + DEADLINE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "Redis never listened");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Empty again, at the same address.
    pub fn restart(&mut self) {
        self.server = Self::launch(self.address).unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
