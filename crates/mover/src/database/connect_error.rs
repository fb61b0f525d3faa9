//! Why there is no connection, and what to do about it.

use crate::error::MoverError;
use plan::DatabaseUrl;
use protocol::Side;
use rustls::{AlertDescription, CertificateError};
use std::{error::Error, io, time::Duration};
use tokio_postgres::error::SqlState;

/// Names of a certificate that a message shows at most.
const NAMES_SHOWN: usize = 5;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The network does not lead there.
    Network(io::Error),
    TimedOut(Duration),
    /// A file that TLS needs, and what is wrong with it.
    File(String),
    /// The server has none, and it was asked for.
    NoTls,
    /// The server's certificate is not what `sslmode` asks for.
    Certificate(CertificateError),
    /// The server's side ended TLS.
    Alert(AlertDescription),
    /// Anything else about TLS.
    Tls(String),
    /// The server's own words.
    Refused(Refusal),
    NoPassword,
    NoChannelBinding,
    /// Something that PostgreSQL would not say.
    Protocol(String),
}

/// What a server says when it does not let us in.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: SqlState,
    pub(crate) message: String,
    /// Whether it was said through TLS.
    pub(crate) encrypted: bool,
}

impl ConnectError {
    /// An error of a connection that may be through TLS.
    pub(crate) fn from_io(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(problem)) => Self::Certificate(problem.clone()),
            Some(rustls::Error::AlertReceived(alert)) => Self::Alert(*alert),
            Some(other) => Self::Tls(other.to_string()),
            None => Self::Network(error),
        }
    }

    /// An error of the driver's while it logs in.
    pub(crate) fn from_driver(error: &tokio_postgres::Error, encrypted: bool) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self::Refused(Refusal {
                code: db.code().clone(),
                message: db.message().to_owned(),
                encrypted,
            });
        }
        let source = error.source();
        if let Some(io) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
            return match io.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(rustls::Error::AlertReceived(alert)) => Self::Alert(*alert),
                _ => Self::Network(io::Error::new(io.kind(), io.to_string())),
            };
        }
        // The driver tells these two apart by their words only.
        let words = source.map_or_else(|| error.to_string(), ToString::to_string);
        match words.as_str() {
            "password missing" => Self::NoPassword,
            "server did not use channel binding" => Self::NoChannelBinding,
            _ => Self::Protocol(words),
        }
    }

    /// Whether the server refuses this way of connecting, by pg_hba.conf, and
    /// through TLS or not.
    pub(crate) fn refused_encrypted(&self) -> Option<bool> {
        match self {
            Self::Refused(refusal)
                if refusal.code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
            {
                Some(refusal.encrypted)
            }
            _ => None,
        }
    }

    /// For an operator.
    pub(crate) fn explain(self, side: Side, database: &DatabaseUrl) -> MoverError {
        let (reason, remedy) = self.words(database);
        MoverError::Connect {
            side,
            database: database.to_string(),
            reason,
            remedy,
        }
    }

    fn words(self, database: &DatabaseUrl) -> (String, &'static str) {
        let mode = database.parameters.sslmode.as_str();
        match self {
            Self::Network(error) => (
                error.to_string(),
                "Check that the server runs and that the plan has its address",
            ),
            Self::TimedOut(limit) => (
                format!("no answer within {limit:?}"),
                "Check that the server runs and that nothing between drops packets",
            ),
            Self::File(problem) => (problem, "Give it a file in PEM that Banyan's user may read"),
            Self::NoTls => (
                format!("the server does not speak TLS, and sslmode={mode} asks for it"),
                "Give the server a certificate and set ssl = on; or write sslmode=disable, where \
                 the network is to be trusted",
            ),
            Self::Certificate(problem) => certificate(&problem, database),
            Self::Alert(alert) => (
                format!("the server ended TLS: {alert:?}"),
                if database.parameters.client_certificate.is_some() {
                    "Give sslcert a certificate that the server's ssl_ca_file leads to, with those \
                     in between, and sslkey its key"
                } else {
                    "Look into the server's log; if it asks for a client certificate, give sslcert \
                     and sslkey"
                },
            ),
            Self::Tls(problem) => (
                format!("TLS failed: {problem}"),
                "Check that nothing between speaks TLS in the server's place, and the server's \
                 ssl_min_protocol_version and ssl_max_protocol_version",
            ),
            Self::Refused(refusal) => {
                let remedy = refused(&refusal, database);
                (refusal.message, remedy)
            }
            Self::NoPassword => (
                "the server asks for a password, and there is none".to_owned(),
                "Put it into the address in the plan, or into PGPASSWORD",
            ),
            Self::NoChannelBinding => (
                "channel_binding=require, and the server does not bind the password to the \
                 connection"
                    .to_owned(),
                "Use TLS and a password stored as scram-sha-256, or leave channel_binding out; a \
                 pooler in between cannot bind it",
            ),
            Self::Protocol(problem) => (
                problem,
                "Check that the address in the plan is that of a PostgreSQL server",
            ),
        }
    }
}

fn certificate(problem: &CertificateError, database: &DatabaseUrl) -> (String, &'static str) {
    let host = &database.host;
    match problem {
        CertificateError::NotValidForName => wrong_name(host, &[]),
        CertificateError::NotValidForNameContext { presented, .. } => wrong_name(host, presented),
        // The second: of another authority that has the name of one of those.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "the server's certificate is of an authority that sslrootcert does not have".to_owned(),
            "Give sslrootcert the file of the authority that signed it; providers of managed \
             servers publish theirs",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "the server's certificate has expired".to_owned(),
            "Renew it at the server and reload the server; check this machine's clock",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "the server's certificate is not valid yet".to_owned(),
            "Check the clocks of this machine and of who made the certificate",
        ),
        other => (
            format!("the server's certificate cannot be used: {other}"),
            "Give the server a certificate of version 3 that its authority signed for servers",
        ),
    }
}

fn wrong_name(host: &str, names: &[String]) -> (String, &'static str) {
    let made_out = if names.is_empty() {
        "to no host (it has no subjectAltName)".to_owned()
    } else {
        let shown = names.iter().take(NAMES_SHOWN).map(|name| plain_name(name));
        format!("to {}", shown.collect::<Vec<_>>().join(", "))
    };
    (
        format!("the server's certificate is made out {made_out}, not to {host}"),
        "Write a host that it is made out to into the address, or make it out to this one; \
         sslmode=verify-ca checks the authority only",
    )
}

/// Names come as `DnsName("host")` and `IpAddress(1.2.3.4)`.
fn plain_name(name: &str) -> &str {
    name.split_once('(').map_or(name, |(_, inner)| {
        inner.trim_end_matches(')').trim_matches('"')
    })
}

fn refused(refusal: &Refusal, database: &DatabaseUrl) -> &'static str {
    let parameters = &database.parameters;
    let code = &refusal.code;
    if *code == SqlState::INVALID_CATALOG_NAME {
        "Create the database, or correct its name in the plan"
    } else if *code == SqlState::INVALID_PASSWORD {
        "Correct the role or password in the plan, or PGPASSWORD"
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        "Raise max_connections, or close other sessions"
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        if !refusal.encrypted && parameters.sslmode == plan::SslMode::Disable {
            "If pg_hba.conf lets the role in over TLS only (hostssl), write sslmode=require, or \
             better verify-full with sslrootcert; else let it in there"
        } else if refusal.encrypted && parameters.client_certificate.is_none() {
            "Let the role in by pg_hba.conf; if it asks for a client certificate (cert, \
             clientcert), give sslcert and sslkey"
        } else if refusal.encrypted {
            "Let the role in by pg_hba.conf; with client certificates, the certificate's common \
             name is the role, or pg_ident.conf maps it"
        } else {
            "Correct the role in the plan, or let it in by pg_hba.conf"
        }
    } else {
        "Check that the server runs and that the plan has its address"
    }
}
