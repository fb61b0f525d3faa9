//! A network that can vanish: a TCP relay in front of a server which, when told
//! to, passes nothing more in either direction and closes nothing either, as a
//! host that lost its power or a firewall that forgot its connections.
//!
//! Neither end hears of it: the relay's own kernel goes on answering keepalives.

use anyhow::{Context, Result};
use std::io;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A relay, accepting. Dropping it closes everything.
#[derive(Debug)]
pub struct SilentNetwork {
    port: u16,
    target: u16,
    state: watch::Sender<NetworkState>,
    kept_back: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct NetworkState {
    silent: bool,
    /// How often all that was under way was lost.
    cuts: u64,
}

impl SilentNetwork {
    /// Starts one in front of a port on 127.0.0.1.
    pub async fn before(target: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (state, listening) = watch::channel(NetworkState::default());
        let kept_back = Arc::default();
        let way = Way {
            state: listening,
            cuts: 0,
            kept_back: Arc::clone(&kept_back),
        };
        let accepting = tokio::spawn(async move {
            // They end with this task.
            let mut relays = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let mut way = way.clone();
                way.cuts = way.state.borrow().cuts;
                relays.spawn(relay(client, target, way));
            }
        });
        Ok(Self {
            port,
            target,
            state,
            kept_back,
            accepting,
        })
    }

    /// An address of the server's, by way of this.
    pub fn through(&self, url: &str) -> Result<String> {
        let (direct, relayed) = (
            format!("@127.0.0.1:{}/", self.target),
            format!("@127.0.0.1:{}/", self.port),
        );
        let found = url
            .contains(&direct)
            .then(|| url.replace(&direct, &relayed));
        found.with_context(|| format!("not an address on port {}", self.target))
    }

    /// From here on nothing passes, and new connections are not answered.
    pub fn vanish(&self) {
        self.state.send_modify(|state| state.silent = true);
    }

    /// How often something came that had to wait for the end of a silence.
    pub fn kept_back(&self) -> u64 {
        self.kept_back.load(Ordering::Relaxed)
    }

    /// Everything goes on, with what was sent meanwhile.
    pub fn come_back(&self) {
        self.state.send_modify(|state| state.silent = false);
    }

    /// Closes all connections; what was kept back is lost.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

impl Drop for SilentNetwork {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What a relay is told of its network, and tells.
#[derive(Debug, Clone)]
struct Way {
    state: watch::Receiver<NetworkState>,
    /// Those before the connection.
    cuts: u64,
    kept_back: Arc<AtomicU64>,
}

impl Way {
    /// What has come may pass on from here.
    async fn open(&mut self) -> io::Result<()> {
        if self.state.borrow().silent {
            self.kept_back.fetch_add(1, Ordering::Relaxed);
        }
        let cuts = self.cuts;
        let state = self
            .state
            .wait_for(|state| !state.silent || state.cuts > cuts)
            .await
            .map_err(io::Error::other)?;
        if state.cuts > cuts {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// It is lost with all that is under way.
    async fn cut(&mut self) {
        let cuts = self.cuts;
        // Without a network all relays end.
        let _ = self.state.wait_for(|state| state.cuts > cuts).await;
    }
}

async fn relay(client: TcpStream, target: u16, mut way: Way) {
    if way.open().await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    // How a connection ends is its ends' matter.
    let both = async {
        tokio::join!(
            pass(from_client, to_server, way.clone()),
            pass(from_server, to_client, way.clone()),
        )
    };
    let mut cut = way.clone();
    tokio::select! {
        _ = both => {}
        () = cut.cut() => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: Way) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await;
        // The end is not passed on either.
        way.open().await?;
        match read? {
            0 => return to.shutdown().await,
            length => to.write_all(&buffer[..length]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    async fn server() -> (TcpListener, SilentNetwork) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        (server, SilentNetwork::before(port).await.unwrap())
    }

    /// A client's connection, and the server's end, over which a byte came.
    async fn connected(server: &TcpListener, network: &SilentNetwork) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(("127.0.0.1", network.port)).await;
        let mut client = client.unwrap();
        let (mut accepted, _) = server.accept().await.unwrap();
        client.write_all(b"a").await.unwrap();
        assert_eq!(accepted.read_u8().await.unwrap(), b'a');
        (client, accepted)
    }

    #[tokio::test]
    async fn what_is_said_in_the_silence_is_heard_after_it() {
        let (server, network) = server().await;
        let url = format!("x@127.0.0.1:{}/y", network.target);
        let relayed = network.through(&url).unwrap();
        assert_eq!(relayed, format!("x@127.0.0.1:{}/y", network.port));
        let (mut client, mut accepted) = connected(&server, &network).await;
        assert_eq!(network.kept_back(), 0);
        network.vanish();
        client.write_all(b"b").await.unwrap();
        drop(client);
        let silence = timeout(Duration::from_millis(50), accepted.read_u8()).await;
        assert!(silence.is_err(), "{silence:?}");
        assert!(network.kept_back() > 0);
        network.come_back();
        assert_eq!(accepted.read_u8().await.unwrap(), b'b');
        assert!(accepted.read_u8().await.is_err());
    }

    #[tokio::test]
    async fn what_a_cut_meets_is_lost() {
        let (server, network) = server().await;
        let (mut client, mut accepted) = connected(&server, &network).await;
        network.vanish();
        accepted.write_all(b"b").await.unwrap();
        network.cut();
        network.come_back();
        assert!(client.read_u8().await.is_err());
        assert!(accepted.read_u8().await.is_err());
        connected(&server, &network).await;
    }
}
