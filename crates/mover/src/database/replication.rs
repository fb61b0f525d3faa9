//! Connections that speak the replication protocol.
//!
//! The driver of our sessions does not speak it. It is small: a session's login,
//! commands in the simple protocol, and a stream of messages one way with
//! positions the other way ([`ChangeStream`]).

mod incoming;
mod login;
mod streaming;

pub use incoming::Row;
pub use streaming::{ChangeStream, StreamEvent};

use super::{
    connect_error::ConnectError,
    settings,
    transport::{self, Transport},
};
use crate::error::{MoverError, ReplicationError};
use bytes::BytesMut;
use incoming::{Incoming, Message};
use plan::DatabaseUrl;
use postgres_protocol::message::frontend;
use protocol::Side;
use tokio::io::AsyncWriteExt;
use tokio_postgres::error::SqlState;

/// A connection that may be given commands. Dropping it ends it.
#[derive(Debug)]
pub struct ReplicationConnection {
    transport: Transport,
    incoming: Incoming,
}

/// Which server this is, as its own answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Of the cluster; a clone shares it.
    pub system_identifier: String,
    /// The timeline that it writes.
    pub timeline: i32,
}

impl ReplicationConnection {
    /// Connects and logs in as sessions do, and sets what they set.
    pub async fn open(side: Side, database: &DatabaseUrl) -> Result<Self, MoverError> {
        let log_in = |mut transport: Transport| async move {
            let mut incoming = Incoming::default();
            login::log_in(database, &mut transport, &mut incoming).await?;
            Ok(Self {
                transport,
                incoming,
            })
        };
        let mut connection =
            transport::open(database, log_in)
                .await
                .map_err(|error| match error {
                    // A role without the right to it: not the network's matter.
                    ConnectError::Refused(refusal)
                        if refusal.code == SqlState::INSUFFICIENT_PRIVILEGE =>
                    {
                        MoverError::Stream {
                            side,
                            source: ReplicationError::Server {
                                code: refusal.code.code().to_owned(),
                                message: refusal.message,
                            },
                        }
                    }
                    error => error.explain(side, database),
                })?;
        connection
            .command(&settings::statements())
            .await
            .map_err(|source| MoverError::Stream { side, source })?;
        Ok(connection)
    }

    /// Runs a replication command, or SQL, and returns the rows of its answer.
    /// After an error of the server's the connection is as before.
    pub async fn command(&mut self, text: &str) -> Result<Vec<Row>, ReplicationError> {
        self.send_query(text).await?;
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            match self.incoming.next(&mut self.transport).await? {
                Message::DataRow(row) => rows.push(row),
                Message::Error(error) => refused = Some(error),
                Message::Ready => return refused.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    /// Asks which server this is.
    pub async fn identify_system(&mut self) -> Result<System, ReplicationError> {
        let rows = self.command("IDENTIFY_SYSTEM").await?;
        let row = rows.first().map(Vec::as_slice).unwrap_or_default();
        let text = |at: usize| {
            row.get(at)
                .and_then(Option::as_ref)
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                .ok_or(ReplicationError::Protocol("an identity without its parts"))
        };
        Ok(System {
            system_identifier: text(0)?,
            timeline: text(1)?
                .parse()
                .map_err(|_| ReplicationError::Protocol("a timeline that is no number"))?,
        })
    }

    async fn send_query(&mut self, text: &str) -> Result<(), ReplicationError> {
        let mut buffer = BytesMut::new();
        frontend::query(text, &mut buffer)?;
        self.send(&buffer).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ReplicationError> {
        self.transport.write_all(bytes).await?;
        Ok(self.transport.flush().await?)
    }
}
