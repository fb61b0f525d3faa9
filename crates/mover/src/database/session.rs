//! Connections to the databases of both sides.

use crate::error::MoverError;
use plan::DatabaseUrl;
use protocol::Side;
use std::{ops::Deref, time::Duration};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls, config::SslMode, error::SqlState};

/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sessions of ours are known by this; writers of the user's are not.
pub const APPLICATION_NAME: &str = "banyan";

/// Text forms that both sides must agree on, whatever their defaults are.
/// `lock_timeout` bounds what no statement of ours bounds itself; a role's own
/// `statement_timeout` or isolation level must not reach us.
const SESSION: &str = "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; \
    set intervalstyle = 'postgres'; set extra_float_digits = 1; set bytea_output = 'hex'; \
    set client_min_messages = 'warning'; set lock_timeout = '10s'; set statement_timeout = 0; \
    set default_transaction_isolation = 'read committed'; set default_transaction_read_only = off; \
    set idle_in_transaction_session_timeout = 0; set synchronous_commit = on; \
    set search_path = pg_catalog";

/// A session. Its connection task ends with it.
pub struct Session {
    client: Client,
    side: Side,
    driver: JoinHandle<()>,
}

impl Session {
    /// Opens a session whose text forms are ours (see the constants above).
    pub async fn open(side: Side, database: &DatabaseUrl) -> Result<Self, MoverError> {
        let mut config = Config::new();
        config
            .host(&database.host)
            .port(database.port)
            .user(&database.user)
            .password(database.expose_password())
            .dbname(&database.database)
            .application_name(APPLICATION_NAME)
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(10))
            .tcp_user_timeout(Duration::from_secs(30))
            .ssl_mode(SslMode::Disable);
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, config.connect(NoTls)).await;
        let (client, connection) = match connecting {
            Ok(done) => done.map_err(|error| refused(side, database, &error))?,
            Err(_) => {
                return Err(MoverError::Connect {
                    side,
                    database: database.to_string(),
                    reason: format!("no answer within {CONNECT_TIMEOUT:?}"),
                    remedy: "Check that the server runs and that nothing between drops packets",
                });
            }
        };
        // The driver's errors come back from the statements that meet them.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let session = Self {
            client,
            side,
            driver,
        };
        session
            .batch_execute(SESSION)
            .await
            .map_err(MoverError::sql(side, "setting up a session"))?;
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

fn refused(side: Side, database: &DatabaseUrl, error: &tokio_postgres::Error) -> MoverError {
    let remedy = match error.code() {
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
            "Create the database, or correct its name in the plan"
        }
        Some(code)
            if *code == SqlState::INVALID_PASSWORD
                || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
        {
            "Correct the role or password in the plan, or let it in by pg_hba.conf"
        }
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
            "Raise max_connections, or close other sessions"
        }
        _ => "Check that the server runs and that the plan has its address",
    };
    let reason = match error.as_db_error() {
        Some(db) => db.message().to_owned(),
        None => {
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
        }
    };
    MoverError::Connect {
        side,
        database: database.to_string(),
        reason,
        remedy,
    }
}
