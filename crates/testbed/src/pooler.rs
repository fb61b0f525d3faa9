//! A connection pooler in transaction mode, small enough to read: what stands
//! in front of many databases, and what Banyan must not be pointed at.
//!
//! Like PgBouncer it refuses replication connections, and gives each
//! transaction of a client the next of its server connections. It logs in at
//! the server through the socket, as the user that the client names, without
//! asking the client for a password: it is for tests.

use anyhow::{Result, bail};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// Server connections per client; two are enough to lose a session's state.
const SERVERS: usize = 2;

/// Larger messages than tests send are a mistake in the framing.
const MESSAGE_BYTES_MAX: usize = 1 << 24;

const SSL_REQUEST: u32 = 80_877_103;

/// A pooler, accepting. Dropping it ends it.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    accepting: JoinHandle<()>,
}

impl Pooler {
    /// Starts one in front of a server's socket.
    pub async fn start(socket: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let socket = socket.to_owned();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // How a client's connection ends is the client's matter.
                tokio::spawn(serve(client, socket.clone()));
            }
        });
        Ok(Self { port, accepting })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut client: TcpStream, socket: PathBuf) -> Result<()> {
    let startup = loop {
        let message = read_untyped(&mut client).await?;
        if (&message[4..]).get_u32() == SSL_REQUEST {
            client.write_all(b"N").await?;
        } else {
            break message;
        }
    };
    if contains(&startup, b"replication\0") {
        client
            .write_all(&refusal("unsupported startup parameter: replication"))
            .await?;
        return Ok(());
    }
    let mut servers = Vec::new();
    let mut greeting = Bytes::new();
    for _ in 0..SERVERS {
        let mut server = UnixStream::connect(&socket).await?;
        server.write_all(&startup).await?;
        greeting = read_until_ready(&mut server).await?.0;
        servers.push(server);
    }
    client.write_all(&greeting).await?;
    let mut turn = 0;
    loop {
        if transaction(&mut client, &mut servers[turn % SERVERS]).await? {
            return Ok(());
        }
        turn += 1;
    }
}

/// Relays until the server says that no transaction is open; true when the
/// client terminates.
async fn transaction(client: &mut TcpStream, server: &mut UnixStream) -> Result<bool> {
    loop {
        let message = read_typed(client).await?;
        let kind = message[0];
        server.write_all(&message).await?;
        match kind {
            b'X' => return Ok(true),
            // Simple query, or the end of an extended one.
            b'Q' | b'S' => {
                let (answer, idle) = read_until_ready(server).await?;
                client.write_all(&answer).await?;
                if idle {
                    return Ok(false);
                }
            }
            _ => {}
        }
    }
}

/// All messages up to ReadyForQuery, and whether that says idle.
async fn read_until_ready(server: &mut UnixStream) -> Result<(Bytes, bool)> {
    let mut all = BytesMut::new();
    loop {
        let message = read_typed(server).await?;
        all.extend_from_slice(&message);
        if message[0] == b'Z' {
            return Ok((all.freeze(), message.last() == Some(&b'I')));
        }
    }
}

async fn read_typed(from: &mut (impl AsyncReadExt + Unpin)) -> Result<Bytes> {
    let kind = from.read_u8().await?;
    let rest = read_untyped(from).await?;
    let mut message = BytesMut::with_capacity(rest.len() + 1);
    message.put_u8(kind);
    message.extend_from_slice(&rest);
    Ok(message.freeze())
}

async fn read_untyped(from: &mut (impl AsyncReadExt + Unpin)) -> Result<Bytes> {
    let length = from.read_u32().await?;
    let size = usize::try_from(length)?;
    if !(4..MESSAGE_BYTES_MAX).contains(&size) {
        bail!("a message of {size} bytes");
    }
    let mut message = BytesMut::zeroed(size);
    message[..4].copy_from_slice(&length.to_be_bytes());
    from.read_exact(&mut message[4..]).await?;
    Ok(message.freeze())
}

fn refusal(text: &str) -> Bytes {
    let mut fields = BytesMut::new();
    for (field, value) in [
        (b'S', "FATAL"),
        (b'V', "FATAL"),
        (b'C', "08P01"),
        (b'M', text),
    ] {
        fields.put_u8(field);
        fields.put_slice(value.as_bytes());
        fields.put_u8(0);
    }
    fields.put_u8(0);
    let mut message = BytesMut::new();
    message.put_u8(b'E');
    message.put_u32(u32::try_from(fields.len() + 4).unwrap_or(u32::MAX));
    message.extend_from_slice(&fields);
    message.freeze()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Cluster, Options, Rights, connect_url};
    use crate::directory::PrivateDirectory;

    #[tokio::test]
    async fn a_session_does_not_keep_its_server_connection() {
        let directory = PrivateDirectory::new().unwrap();
        let mut cluster = Cluster::create(&directory, "a", &Options::fast())
            .await
            .unwrap();
        cluster.create_role("app", Rights::Plain).await.unwrap();
        cluster.create_database("shop", "app").await.unwrap();
        let pooler = Pooler::start(&cluster.socket()).await.unwrap();
        let url = format!("postgres://app:x@127.0.0.1:{}/shop", pooler.port());
        let client = connect_url(&url).await.unwrap();
        let mut pids = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let rows = client
                .simple_query("SELECT pg_backend_pid()")
                .await
                .unwrap();
            for row in rows {
                if let tokio_postgres::SimpleQueryMessage::Row(row) = row {
                    pids.insert(row.get(0).unwrap().to_owned());
                }
            }
        }
        assert_eq!(pids.len(), SERVERS);
    }
}
