//! Logging in on a replication connection, by the ways that the driver of our
//! sessions knows too.

use super::incoming::{Incoming, Message};
use crate::{
    database::{
        connect_error::{ConnectError, Refusal},
        session::APPLICATION_NAME,
        transport::Transport,
    },
    error::ReplicationError,
};
use bytes::{Bytes, BytesMut};
use plan::DatabaseUrl;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256},
    },
    message::frontend,
};
use std::io;
use tokio::io::AsyncWriteExt;
use tokio_postgres::error::SqlState;

/// What a server asks for, by number.
const OK: u32 = 0;
const CLEARTEXT: u32 = 3;
const MD5: u32 = 5;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

struct Login<'a> {
    database: &'a DatabaseUrl,
    transport: &'a mut Transport,
    incoming: &'a mut Incoming,
}

/// Logs in, up to where the first command may be sent.
pub(super) async fn log_in(
    database: &DatabaseUrl,
    transport: &mut Transport,
    incoming: &mut Incoming,
) -> Result<(), ConnectError> {
    let mut login = Login {
        database,
        transport,
        incoming,
    };
    let mut parameters = vec![
        ("user", database.user.as_str()),
        ("database", database.database.as_str()),
        ("replication", "database"),
        ("client_encoding", "UTF8"),
        ("application_name", APPLICATION_NAME),
    ];
    if let Some(options) = &database.parameters.options {
        parameters.push(("options", options));
    }
    login
        .send(|buffer| frontend::startup_message(parameters, buffer))
        .await?;
    login.prove().await?;
    loop {
        if let Message::Ready = login.next().await? {
            return Ok(());
        }
    }
}

impl Login<'_> {
    async fn prove(&mut self) -> Result<(), ConnectError> {
        match self.asked().await? {
            (OK, _) => return self.may_be_unbound(),
            (CLEARTEXT, _) => {
                self.may_be_unbound()?;
                let password = self.password()?.to_owned();
                self.send(|buffer| frontend::password_message(password.as_bytes(), buffer))
                    .await?;
            }
            (MD5, salt) => {
                self.may_be_unbound()?;
                let salt = <[u8; 4]>::try_from(&*salt)
                    .map_err(|_| protocol("a salt of another length than four"))?;
                let user = self.database.user.as_bytes();
                let hash = md5_hash(user, self.password()?.as_bytes(), salt);
                self.send(|buffer| frontend::password_message(hash.as_bytes(), buffer))
                    .await?;
            }
            (SASL, mechanisms) => self.scram(&mechanisms).await?,
            _ => return Err(protocol("it asks for a login that is not by password")),
        }
        match self.asked().await? {
            (OK, _) => Ok(()),
            _ => Err(protocol("it asks for a second proof")),
        }
    }

    async fn scram(&mut self, mechanisms: &[u8]) -> Result<(), ConnectError> {
        let offers = |name: &str| {
            mechanisms
                .split(|byte| *byte == 0)
                .any(|offered| offered == name.as_bytes())
        };
        let wanted = self.database.parameters.channel_binding != plan::ChannelBinding::Disable;
        let end_point = self.transport.end_point().filter(|_| wanted);
        let (binding, mechanism) = match end_point {
            Some(end_point) if offers(SCRAM_SHA_256_PLUS) => (
                ChannelBinding::tls_server_end_point(end_point),
                SCRAM_SHA_256_PLUS,
            ),
            // This tells a server that could bind that somebody in between has
            // taken its offer out.
            Some(_) => (ChannelBinding::unrequested(), SCRAM_SHA_256),
            None => (ChannelBinding::unsupported(), SCRAM_SHA_256),
        };
        if mechanism == SCRAM_SHA_256 {
            self.may_be_unbound()?;
            if !offers(SCRAM_SHA_256) {
                return Err(protocol("it knows no SCRAM-SHA-256"));
            }
        }
        let mut scram = ScramSha256::new(self.password()?.as_bytes(), binding);
        self.send(|buffer| frontend::sasl_initial_response(mechanism, scram.message(), buffer))
            .await?;
        let challenge = self.expect(SASL_CONTINUE).await?;
        let wrong = |error: io::Error| ConnectError::Protocol(error.to_string());
        scram.update(&challenge).map_err(wrong)?;
        self.send(|buffer| frontend::sasl_response(scram.message(), buffer))
            .await?;
        let proof = self.expect(SASL_FINAL).await?;
        scram.finish(&proof).map_err(wrong)
    }

    fn password(&self) -> Result<&str, ConnectError> {
        match self.database.expose_password() {
            "" => Err(ConnectError::NoPassword),
            password => Ok(password),
        }
    }

    fn may_be_unbound(&self) -> Result<(), ConnectError> {
        match self.database.parameters.channel_binding {
            plan::ChannelBinding::Require => Err(ConnectError::NoChannelBinding),
            plan::ChannelBinding::Disable | plan::ChannelBinding::Prefer => Ok(()),
        }
    }

    async fn send(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<(), ConnectError> {
        let mut buffer = BytesMut::new();
        write(&mut buffer).map_err(|error| ConnectError::Protocol(error.to_string()))?;
        let sent = async {
            self.transport.write_all(&buffer).await?;
            self.transport.flush().await
        };
        sent.await.map_err(ConnectError::from_io)
    }

    async fn asked(&mut self) -> Result<(u32, Bytes), ConnectError> {
        loop {
            if let Message::Authentication(kind, body) = self.next().await? {
                return Ok((kind, body));
            }
        }
    }

    async fn expect(&mut self, expected: u32) -> Result<Bytes, ConnectError> {
        match self.asked().await? {
            (kind, body) if kind == expected => Ok(body),
            _ => Err(protocol("its login goes on in another way than it began")),
        }
    }

    async fn next(&mut self) -> Result<Message, ConnectError> {
        let error = match self.incoming.next(self.transport).await {
            Ok(Message::Error(error)) | Err(error) => error,
            Ok(message) => return Ok(message),
        };
        Err(match error {
            ReplicationError::Io(error) => ConnectError::from_io(error),
            ReplicationError::Server { code, message } => ConnectError::Refused(Refusal {
                code: SqlState::from_code(&code),
                message,
                encrypted: self.transport.is_encrypted(),
            }),
            ReplicationError::Protocol(what) => protocol(what),
            ReplicationError::Closed => {
                ConnectError::Network(io::Error::from(io::ErrorKind::UnexpectedEof))
            }
        })
    }
}

fn protocol(what: &str) -> ConnectError {
    ConnectError::Protocol(what.to_owned())
}
