//! What TLS to a database is asked for, in libpq's words.

/// Whether a connection is encrypted, and what the server has to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only where the server does not let us in without.
    Allow,
    /// Where the server can.
    Prefer,
    /// Always; whoever answers is believed, unless roots are given.
    Require,
    /// Always; the server's certificate must come from the roots.
    VerifyCa,
    /// And be made out to the host's name.
    VerifyFull,
}

impl SslMode {
    /// As libpq spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        [
            Self::Disable,
            Self::Allow,
            Self::Prefer,
            Self::Require,
            Self::VerifyCa,
            Self::VerifyFull,
        ]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| {
            "sslmode is one of disable, allow, prefer, require, verify-ca, verify-full".to_owned()
        })
    }
}

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Those that the machine has.
    System,
    /// Those of a file, in PEM.
    File(String),
}

/// What a client shows of itself: files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and a root.
    pub certificate: String,
    /// Its private key, not encrypted.
    pub key: String,
}

/// Whether the password's proof is bound to the server's certificate, so that
/// nobody in between can pass it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server can.
    Prefer,
    /// Always.
    Require,
}

impl ChannelBinding {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            _ => Err("channel_binding is one of disable, prefer, require".to_owned()),
        }
    }
}
