//! Why a message is refused.

use http::StatusCode;

/// Why a message is refused. Each is one way in which two readers of the same
/// bytes could take them for different messages, or a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a line ends without a carriage return")]
    BareLf,
    #[error("a control character stands in a line")]
    Control,
    #[error("there is more than one empty line before the request")]
    EmptyLines,
    #[error("the request line is not method, target and version with single spaces between")]
    RequestLine,
    #[error("the target is neither a path, nor an http address, nor *")]
    Target,
    #[error("the version is neither HTTP/1.0 nor HTTP/1.1")]
    Version,
    #[error("a header is folded over lines")]
    Fold,
    #[error("a header's name is empty, or followed by something else than a colon")]
    Name,
    #[error("a header's name could be taken for another one")]
    Lookalike,
    #[error("Content-Length is not one plain number")]
    Length,
    #[error("there is more than one Content-Length")]
    Lengths,
    #[error("Transfer-Encoding is not one plain chunked")]
    Encoding,
    #[error("there are both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    #[error("HTTP/1.0 has no Transfer-Encoding")]
    OldEncoding,
    #[error("the head is too large")]
    HeadTooLarge,
    #[error("the head has too many headers")]
    TooManyHeaders,
    #[error("a chunk's size is no plain hexadecimal number")]
    ChunkSize,
    #[error("a chunk's extension is none, or too long")]
    ChunkExtension,
    #[error("a chunk is longer than its size")]
    ChunkEnd,
    #[error("a trailer says what only a header may")]
    Trailer,
    #[error("the trailers are too large or too many")]
    Trailers,
}

impl Malformed {
    /// What the client is answered where it is in a head.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::HeadTooLarge | Self::TooManyHeaders => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Its value of the metrics' label `reason`.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::BareLf => "bare-lf",
            Self::Control => "control",
            Self::EmptyLines => "empty-lines",
            Self::RequestLine => "request-line",
            Self::Target => "target",
            Self::Version => "version",
            Self::Fold => "fold",
            Self::Name => "name",
            Self::Lookalike => "lookalike",
            Self::Length => "length",
            Self::Lengths => "lengths",
            Self::Encoding => "encoding",
            Self::LengthAndEncoding => "length-and-encoding",
            Self::OldEncoding => "old-encoding",
            Self::HeadTooLarge => "head-too-large",
            Self::TooManyHeaders => "too-many-headers",
            Self::ChunkSize => "chunk-size",
            Self::ChunkExtension => "chunk-extension",
            Self::ChunkEnd => "chunk-end",
            Self::Trailer => "trailer",
            Self::Trailers => "trailers",
        }
    }
}
