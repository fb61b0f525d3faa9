//! How `/metrics` is written.

/// How `/metrics` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics' text.
    Text,
    /// Prometheus' own messages, which have native histograms.
    Protobuf,
}

impl Exposition {
    /// The one that a scraper asks for.
    pub(super) fn asked(accept: &str) -> Self {
        if accept.contains("application/vnd.google.protobuf")
            && accept.contains("proto=io.prometheus.client.MetricFamily")
        {
            Self::Protobuf
        } else {
            Self::Text
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; \
                 proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}
