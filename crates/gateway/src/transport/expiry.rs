//! When the certificates that clients are shown expire, as a metric.

use arc_swap::ArcSwap;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use rustls::pki_types::CertificateDer;
use std::{fmt, path::PathBuf, sync::Arc};
use x509_parser::parse_x509_certificate;

/// When the certificates of a file expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// The file of the plan.
    pub(crate) file: PathBuf,
    /// The first of them, in seconds of the Unix clock.
    pub(crate) at: i64,
}

impl Expiry {
    /// Of a chain. `None`: it has a date that cannot be read, which is no reason
    /// not to use it.
    pub(crate) fn of(file: PathBuf, chain: &[CertificateDer<'_>]) -> Option<Self> {
        let ends = chain.iter().map(|certificate| {
            let (_, parsed) = parse_x509_certificate(certificate).ok()?;
            Some(parsed.validity().not_after.timestamp())
        });
        let at = ends.collect::<Option<Vec<_>>>()?.into_iter().min()?;
        Some(Self { file, at })
    }
}

/// Those of all listeners, without repetition: by file.
pub(crate) type Expiries = Arc<ArcSwap<Vec<Expiry>>>;

/// One of each file.
pub(crate) fn gathered(mut all: Vec<Expiry>) -> Vec<Expiry> {
    all.sort_by(|one, other| one.file.cmp(&other.file));
    all.dedup_by(|one, other| one.file == other.file);
    all
}

struct Metric(Expiries);

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metric")
    }
}

/// Registers it.
pub(crate) fn register(current: &Expiries, registry: &mut Registry) {
    registry.register_collector(Box::new(Metric(Arc::clone(current))));
}

impl Collector for Metric {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (name, help) = (
            "banyan_certificate_expiry_timestamp_seconds",
            "When the first certificate of a file that clients are shown expires",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for expiry in &**self.0.load() {
            let file = expiry.file.display().to_string();
            let labels = [("certificate", file.as_str())];
            ConstGauge::new(expiry.at).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
