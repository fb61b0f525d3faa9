//! Where connections come from.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::settings::Address;

/// After a failure to accept, such as too many open files: trying at once
/// again would only burn the time that others need to close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Listener {
    socket: Socket,
    address: Address,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    pub(super) async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                let listener = TcpListener::bind((host.as_str(), *port)).await?;
                let bound = listener.local_addr()?;
                Ok(Self {
                    socket: Socket::Tcp(listener),
                    address: Address::Tcp {
                        host: bound.ip().to_string(),
                        port: bound.port(),
                    },
                })
            }
            Address::Unix(path) => {
                remove_left_behind(path).await?;
                Ok(Self {
                    socket: Socket::Unix(UnixListener::bind(path)?),
                    address: address.clone(),
                })
            }
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection. Cancel safe.
    pub(super) async fn accept(&self) -> Stream {
        loop {
            let accepted = match &self.socket {
                Socket::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    // Answers are small; without this some would wait 40 ms.
                    // If it cannot be set, they do.
                    let _ = stream.set_nodelay(true);
                    Stream::Tcp(stream)
                }),
                Socket::Unix(listener) => listener
                    .accept()
                    .await
                    .map(|(stream, _)| Stream::Unix(stream)),
            };
            match accepted {
                Ok(stream) => return stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            // The next one removes it, too.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A socket without a listener was left by a killed process.
async fn remove_left_behind(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}
