//! E-mail, over SMTP.

mod verdict;

use std::time::Duration;

use async_trait::async_trait;
use kit::database::{Database, DatabaseError};
use kit::outbox::{Consumer, Delivery, DeliveryError, Outcome};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sqlx::PgConnection;

use crate::settings::{Security, Smtp};
use crate::store::deliveries::{self, Mail};

/// The outbox's topic of mails.
pub const TOPIC: &str = "notification.email";
/// Under which the outbox queues them.
pub const CONSUMER: &str = "email";

/// For each command of the conversation with the server.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);
/// Without a sender set, and without a user that is an address.
const DEFAULT_SENDER: &str = "notification@localhost";

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// A password would be read by everybody on the way.
    #[error("SMTP_PASSWORD is set and SMTP_SECURITY is plain: use starttls or tls")]
    PlainPassword,
    /// A user without a password, or the other way round.
    #[error("set both SMTP_USER and SMTP_PASSWORD, or SMTP_FROM without them")]
    HalfCredentials,
    /// The file of certificates cannot be read.
    #[error("cannot read {path}; check SMTP_CA_FILE")]
    Authorities {
        /// Its path.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificates or the server's name will not do.
    #[error("the settings of TLS will not do; check SMTP_CA_FILE and SMTP_SERVER")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// Sends mails that are queued.
#[derive(Debug)]
pub struct Email {
    database: Database,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    sender: Mailbox,
}

impl Email {
    /// For the server of the settings. It does not connect yet.
    pub fn new(database: Database, smtp: &Smtp) -> Result<Self, EmailError> {
        let security = smtp.security();
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.server)
            .port(smtp.port)
            .timeout(Some(COMMAND_TIMEOUT))
            .pool_config(PoolConfig::new().max_size(smtp.concurrency.get()))
            .tls(tls(smtp, security)?);
        match (&smtp.user, &smtp.password) {
            (Some(_), Some(_)) if security == Security::Plain => {
                return Err(EmailError::PlainPassword);
            }
            (Some(user), Some(password)) => {
                let password = password.expose().to_owned();
                transport = transport.credentials(Credentials::new(user.clone(), password));
            }
            (None, None) => {}
            _ => return Err(EmailError::HalfCredentials),
        }
        let by_user = || smtp.user.as_deref()?.parse::<Mailbox>().ok();
        let sender = smtp.sender.as_ref().map(|sender| sender.0.clone());
        let sender = sender.or_else(by_user).or(DEFAULT_SENDER.parse().ok());
        Ok(Self {
            database,
            transport: transport.build(),
            sender: sender.ok_or(EmailError::HalfCredentials)?,
        })
    }

    /// A repeat has the same id, so that mail programs can show it once.
    fn message(&self, mail: Mail) -> Result<Message, DeliveryError> {
        let never = |what: &str| DeliveryError::Permanent(format!("the {what} cannot be written"));
        let address: Address = mail.address.parse().map_err(|_| never("address"))?;
        let id = format!("<{}@{}>", mail.delivery, self.sender.email.domain());
        let builder = Message::builder()
            .from(self.sender.clone())
            .to(Mailbox::new(None, address))
            .subject(mail.subject)
            .message_id(Some(id));
        let message = match mail.html {
            Some(html) => builder.multipart(MultiPart::alternative_plain_html(mail.body, html)),
            None => builder.body(mail.body),
        };
        message.map_err(|_| never("message"))
    }
}

fn tls(smtp: &Smtp, security: Security) -> Result<Tls, EmailError> {
    if security == Security::Plain {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(smtp.server.clone());
    if let Some(place) = &smtp.authorities {
        let pem = std::fs::read(&place.0).map_err(|source| EmailError::Authorities {
            path: place.0.display().to_string(),
            source,
        })?;
        let certificate = Certificate::from_pem(&pem).map_err(EmailError::Tls)?;
        parameters = parameters.add_root_certificate(certificate);
    }
    let parameters = parameters.build_rustls().map_err(EmailError::Tls)?;
    Ok(match security {
        Security::Tls => Tls::Wrapper(parameters),
        Security::StartTls | Security::Plain => Tls::Required(parameters),
    })
}

#[async_trait]
impl Consumer for Email {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    fn topics(&self) -> &'static [&'static str] {
        &[TOPIC]
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let id = deliveries::named_by(&delivery.event)?;
        let Some(mail) = deliveries::mail(&self.database, id).await? else {
            return Ok(());
        };
        let message = self.message(mail)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(verdict::of(&error)),
        }
    }

    async fn note(
        &self,
        connection: &mut PgConnection,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> Result<(), DatabaseError> {
        deliveries::note(connection, delivery, outcome).await
    }
}
