//! Connections to the databases of both sides.

use super::{
    connect_error::ConnectError,
    settings,
    transport::{self, Encryption, Established, Transport},
};
use crate::error::MoverError;
use plan::DatabaseUrl;
use protocol::Side;
use std::ops::Deref;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
};
use tokio_postgres::{
    CancelToken, Client, Config, Connection,
    config::{ChannelBinding, SslMode, SslNegotiation},
    error::SqlState,
    tls::TlsStream,
};

/// Sessions of ours are known by this; writers of the user's are not. So it is
/// always this one, whatever an address or the environment says.
pub const APPLICATION_NAME: &str = "banyan";

/// A session. Its connection task ends with it.
pub struct Session {
    client: Client,
    side: Side,
    database: DatabaseUrl,
    encryption: Encryption,
    driver: JoinHandle<()>,
}

/// Cancels what a session's server works on.
pub(crate) struct Cancel {
    token: CancelToken,
    database: DatabaseUrl,
    encryption: Encryption,
}

impl Session {
    /// Opens a session whose settings are ours (see [`settings`]).
    pub async fn open(side: Side, database: &DatabaseUrl) -> Result<Self, MoverError> {
        let log_in = |transport: Transport| async move {
            let encryption = transport.encryption();
            let (client, connection) = log_in(database, transport, encryption).await?;
            Ok((client, connection, encryption))
        };
        let (client, connection, encryption) = transport::open(database, log_in)
            .await
            .map_err(|error| error.explain(side, database))?;
        // The driver's errors come back from the statements that meet them.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let session = Self {
            client,
            side,
            database: database.clone(),
            encryption,
            driver,
        };
        session
            .batch_execute(&settings::statements())
            .await
            .map_err(|error| unsettled(side, database, error))?;
        Ok(session)
    }

    /// Whose database this is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// For transactions, which need it exclusively.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// For cancelling what its server works on, also once the session is gone.
    pub(crate) fn cancel(&self) -> Cancel {
        Cancel {
            token: self.client.cancel_token(),
            database: self.database.clone(),
            encryption: self.encryption,
        }
    }
}

impl Cancel {
    /// Asks the server, over a connection like the session's. Whether anything
    /// was cancelled is not said.
    pub(crate) async fn send(self) -> Result<(), ConnectError> {
        let limit = transport::CONNECT_TIMEOUT;
        let send = async {
            let transport = transport::connect(&self.database, self.encryption).await?;
            self.token
                .cancel_query_raw(transport, Established)
                .await
                .map_err(|error| ConnectError::Protocol(error.to_string()))
        };
        tokio::time::timeout(limit, send)
            .await
            .unwrap_or(Err(ConnectError::TimedOut(limit)))
    }
}

/// Logs in over a connection, with none of our settings yet.
pub(crate) async fn log_in<S: AsyncRead + AsyncWrite + TlsStream + Unpin>(
    database: &DatabaseUrl,
    stream: S,
    encryption: Encryption,
) -> Result<(Client, Connection<S, S>), ConnectError> {
    let parameters = &database.parameters;
    let mut config = Config::new();
    config
        .user(&database.user)
        .dbname(&database.database)
        .application_name(APPLICATION_NAME)
        .channel_binding(match parameters.channel_binding {
            plan::ChannelBinding::Disable => ChannelBinding::Disable,
            plan::ChannelBinding::Prefer => ChannelBinding::Prefer,
            plan::ChannelBinding::Require => ChannelBinding::Require,
        })
        // The driver negotiates nothing: it takes the stream for TLS, and asks
        // it for its channel binding.
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    if !database.expose_password().is_empty() {
        config.password(database.expose_password());
    }
    if let Some(options) = &parameters.options {
        config.options(options);
    }
    let is_encrypted = encryption == Encryption::Demanded;
    config
        .connect_raw(stream, Established)
        .await
        .map_err(|error| ConnectError::from_driver(&error, is_encrypted))
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The only setting that a role may lack the right to is one that somebody has
/// changed for it.
fn unsettled(side: Side, database: &DatabaseUrl, error: tokio_postgres::Error) -> MoverError {
    match error.as_db_error() {
        Some(db) if *db.code() == SqlState::INSUFFICIENT_PRIVILEGE => MoverError::Connect {
            side,
            database: database.to_string(),
            reason: db.message().to_owned(),
            remedy: "Grant the role SET on that parameter (before PostgreSQL 15: make it a \
                     superuser), or take back what the database or the role sets it to",
        },
        _ => MoverError::sql(side, "setting up a session")(error),
    }
}
