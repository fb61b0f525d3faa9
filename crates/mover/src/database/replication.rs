//! Replication connections that do not start to stream.

use super::session::APPLICATION_NAME;
use pgwire_replication::{ReplicationConfig, TlsConfig};
use plan::DatabaseUrl;

/// The configuration of a connection for replication commands only: no slot,
/// no publication.
pub(crate) fn configuration(database: &DatabaseUrl) -> ReplicationConfig {
    ReplicationConfig::new(
        &database.host,
        &database.user,
        database.expose_password(),
        &database.database,
        "",
        "",
    )
    .with_port(database.port)
    .with_tls(TlsConfig::disabled())
    .with_application_name(APPLICATION_NAME)
}
