//! Why a request's operations cannot be told, or not be carried out together.

use http::StatusCode;

/// Why operations cannot be told, or not be carried out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadOperation {
    #[error("the body must be sent as JSON, not encoded, to tell which operation it asks for")]
    NotSentAsJson,
    #[error("the body is no JSON object, and no array of them")]
    NotJson,
    #[error("the body must be sent as XML, not encoded, to tell which method it calls")]
    NotSentAsXml,
    #[error(
        "the body is no plain call of XML-RPC: one methodName in a methodCall, no comments, \
         instructions or DTD"
    )]
    NotXmlRpc,
    #[error("system.multicall is not routed: send its calls one by one")]
    Multicall,
    #[error("the request names its operation twice, or so that readers differ in what it is")]
    TwoReadings,
    #[error("the body is too large to tell which operation it asks for")]
    TooLarge,
    #[error("the request asks for too many operations at once")]
    TooMany,
    #[error("the GraphQL document cannot be read")]
    NotGraphQl,
    #[error("the GraphQL document does not say which of its operations is meant")]
    WhichOne,
    #[error("the request's operations now belong to different sides: send them one by one")]
    Apart,
    #[error("different things are demanded of the request's operations: send them one by one")]
    DemandsDiffer,
}

impl BadOperation {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NotSentAsJson | Self::NotSentAsXml => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Apart | Self::DemandsDiffer => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotJson
            | Self::NotXmlRpc
            | Self::Multicall
            | Self::TwoReadings
            | Self::TooMany
            | Self::NotGraphQl
            | Self::WhichOne => StatusCode::BAD_REQUEST,
        }
    }

    /// Its value of the metrics' label `reason`.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NotSentAsJson => "operation-not-json-type",
            Self::NotJson => "operation-not-json",
            Self::NotSentAsXml => "operation-not-xml-type",
            Self::NotXmlRpc => "operation-not-xml-rpc",
            Self::Multicall => "operation-multicall",
            Self::TwoReadings => "operation-two-readings",
            Self::TooLarge => "operation-too-large",
            Self::TooMany => "operation-too-many",
            Self::NotGraphQl => "operation-not-graphql",
            Self::WhichOne => "operation-which-one",
            Self::Apart => "operations-apart",
            Self::DemandsDiffer => "operations-demands-differ",
        }
    }
}
