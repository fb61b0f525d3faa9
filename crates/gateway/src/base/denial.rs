//! Why a request was not let in.

use http::StatusCode;

/// Why a request was not let in. It was sent nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    #[error("requests from this address are not taken")]
    Address,
    #[error("pages of this origin may not ask")]
    Origin,
    #[error("the body is larger than what is taken here")]
    BodyTooLarge,
    #[error("an API key is needed")]
    NoKey,
    #[error("this API key is not known")]
    BadKey,
    #[error("a token is needed")]
    NoToken,
    #[error("the token cannot be accepted: {0}")]
    BadToken(BadToken),
    #[error("a credential stands there twice, or under a name that servers may take for its own")]
    CredentialTwice,
    #[error("this consumer may not ask here")]
    Group,
    #[error("too many requests")]
    TooMany,
    #[error("how many requests there were cannot be told at the moment")]
    CountersUnknown,
    #[error("the keys that tokens are verified by are not known yet")]
    IssuerUnknown,
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadToken {
    #[error("it is malformed")]
    Malformed,
    #[error("it demands an extension that is not known here")]
    Critical,
    #[error("nobody known has issued it")]
    UnknownKey,
    #[error("its algorithm is not the key's")]
    Algorithm,
    #[error("its signature is wrong")]
    Signature,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("it is valid for too long")]
    TooLong,
    #[error("its issuer is another")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("a claim is missing")]
    Missing,
}

impl Denial {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Address | Self::Origin | Self::Group => StatusCode::FORBIDDEN,
            Self::CredentialTwice => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoKey | Self::BadKey | Self::NoToken | Self::BadToken(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::CountersUnknown | Self::IssuerUnknown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Its value of the metrics' label `reason`.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Origin => "origin",
            Self::BodyTooLarge => "body-too-large",
            Self::NoKey => "no-key",
            Self::BadKey => "bad-key",
            Self::NoToken => "no-token",
            Self::BadToken(_) => "bad-token",
            Self::CredentialTwice => "credential-twice",
            Self::Group => "group",
            Self::TooMany => "too-many",
            Self::CountersUnknown => "counters-unknown",
            Self::IssuerUnknown => "issuer-unknown",
        }
    }
}
