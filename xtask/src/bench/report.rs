//! What was measured, for people and for programs.

use super::{
    cost::Cost,
    open_loop::Latency,
    peers::{OURS, OURS_WITH, PROXIES},
};
use std::{collections::BTreeMap, fmt::Write as _};

/// Figures of several rounds, by proxy.
type Figures = BTreeMap<&'static str, Vec<f64>>;

/// What is measured once for each proxy and round, beside what depends on the number
/// of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Measure {
    Http2,
    FullHandshake,
    ResumedHandshake,
    Download,
    IdleClients,
    SlowClients,
    Reload,
}

/// In the order of the report, with the key, the member below it where there are
/// several, and the row's name.
const MEASURES: [(Measure, &str, Option<&str>, &str); 7] = [
    (
        Measure::Http2,
        "us_per_http2_request",
        None,
        "us per request of HTTP/2",
    ),
    (
        Measure::FullHandshake,
        "us_per_tls_handshake",
        Some("full"),
        "us per TLS handshake",
    ),
    (
        Measure::ResumedHandshake,
        "us_per_tls_handshake",
        Some("resumed"),
        "us per resumed handshake",
    ),
    (
        Measure::Download,
        "ms_per_gib",
        None,
        "ms per GiB downloaded",
    ),
    (
        Measure::IdleClients,
        "kib_per_client",
        Some("idle"),
        "KiB per client of 9,900 idle",
    ),
    (
        Measure::SlowClients,
        "kib_per_client",
        Some("slow"),
        "KiB per client of 9,900 slow",
    ),
    (
        Measure::Reload,
        "failed_in_reload",
        None,
        "requests failed by reloads",
    ),
];

/// All that was measured.
pub(super) struct Report {
    /// By number of connections, as they were asked for.
    cost: Vec<(u32, Figures)>,
    /// The features that ours was measured with as well.
    with: Option<String>,
    idle: Figures,
    measures: BTreeMap<Measure, Figures>,
    overhead_p50: Figures,
    overhead_p99: Figures,
}

impl Report {
    pub(super) fn new(connections: &[u32]) -> Self {
        Self {
            cost: connections
                .iter()
                .map(|count| (*count, Figures::new()))
                .collect(),
            with: None,
            idle: Figures::new(),
            measures: BTreeMap::new(),
            overhead_p50: Figures::new(),
            overhead_p99: Figures::new(),
        }
    }

    /// Ours will be measured with these features as well.
    pub(super) fn with(&mut self, features: String) {
        self.with = Some(features);
    }

    pub(super) fn cost(&mut self, name: &'static str, connections: u32, cost: Cost) {
        for (count, figures) in &mut self.cost {
            if *count == connections {
                figures.entry(name).or_default().push(cost.micros);
            }
        }
    }

    pub(super) fn idle(&mut self, name: &'static str, kib: f64) {
        self.idle.entry(name).or_default().push(kib);
    }

    pub(super) fn measured(&mut self, measure: Measure, name: &'static str, value: f64) {
        let figures = self.measures.entry(measure).or_default();
        figures.entry(name).or_default().push(value);
    }

    /// What a proxy adds to the latency without one, in the same round.
    pub(super) fn overhead(&mut self, name: &'static str, direct: &Latency, through: &Latency) {
        let p50 = self.overhead_p50.entry(name).or_default();
        p50.push(through.p50 - direct.p50);
        let p99 = self.overhead_p99.entry(name).or_default();
        p99.push(through.p99 - direct.p99);
    }

    /// Medians, with the ratio to the better peer.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{:<34}", "");
        for name in PROXIES {
            let _ = write!(text, "{name:>10}");
        }
        let _ = writeln!(text, "{:>18}", "to the better one");
        let mut row = |what: &str, figures: &Figures| {
            let _ = write!(text, "{what:<34}");
            for name in PROXIES {
                let _ = write!(text, "{:>10.3}", median(figures, name));
            }
            let peers = PROXIES.iter().filter(|name| **name != OURS);
            let better = peers.map(|name| median(figures, name)).reduce(f64::min);
            let ratio = median(figures, OURS) / better.unwrap_or(f64::NAN);
            let _ = if ratio.is_finite() {
                writeln!(text, "{ratio:>18.2}")
            } else {
                writeln!(text, "{:>18}", "-")
            };
        };
        for (connections, figures) in &self.cost {
            row(
                &format!("us per request, {connections} connections"),
                figures,
            );
        }
        row("KiB per idle connection", &self.idle);
        for (measure, _, _, name) in MEASURES {
            if let Some(figures) = self.measures.get(&measure) {
                row(name, figures);
            }
        }
        row("ms added to p50", &self.overhead_p50);
        row("ms added to p99", &self.overhead_p99);
        if let Some(features) = &self.with {
            for (connections, figures) in &self.cost {
                let with = median(figures, OURS_WITH);
                let ratio = with / median(figures, OURS);
                let _ = writeln!(
                    text,
                    "with {features}, {connections} connections: {with:.3} us, {ratio:.2} of that without"
                );
            }
        }
        text
    }

    /// One line.
    pub(super) fn json(&self) -> String {
        let by_name = |figures: &Figures| {
            object(PROXIES.map(|name| (name.to_owned(), number(median(figures, name)))))
        };
        let of_connections =
            |(connections, figures): &(u32, _)| (connections.to_string(), by_name(figures));
        let overhead = object([
            ("p50".to_owned(), by_name(&self.overhead_p50)),
            ("p99".to_owned(), by_name(&self.overhead_p99)),
        ]);
        let mut members = vec![
            (
                "us_per_request".to_owned(),
                object(self.cost.iter().map(of_connections)),
            ),
            (
                "kib_per_idle_connection".to_owned(),
                number(median(&self.idle, OURS)),
            ),
            ("overhead_ms".to_owned(), overhead),
        ];
        for (measure, key, member, _) in MEASURES {
            let Some(figures) = self.measures.get(&measure) else {
                continue;
            };
            let value = by_name(figures);
            match (member, members.last_mut()) {
                (None, _) => members.push((key.to_owned(), value)),
                // The second of two stands beside the first.
                (Some(member), Some((last, object))) if last == key => {
                    object.pop();
                    let _ = write!(object, ",\"{member}\":{value}}}");
                }
                (Some(member), _) => {
                    members.push((key.to_owned(), object([(member.to_owned(), value)])));
                }
            }
        }
        if self.with.is_some() {
            let ratios = self.cost.iter().map(|(connections, figures)| {
                let ratio = median(figures, OURS_WITH) / median(figures, OURS);
                (connections.to_string(), number(ratio))
            });
            members.push(("with_to_without".to_owned(), object(ratios)));
        }
        object(members)
    }
}

/// A JSON object in the given order; the names need no escapes.
fn object(members: impl IntoIterator<Item = (String, String)>) -> String {
    let members = members
        .into_iter()
        .map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// To what the measurement is worth; `null` where there is none.
fn number(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.3}")
    } else {
        "null".to_owned()
    }
}

/// The middle one, or the mean of the middle two; not a number of none.
fn median(figures: &Figures, name: &str) -> f64 {
    let mut values = figures.get(name).cloned().unwrap_or_default();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (Some(upper), 0) => f64::midpoint(values[middle - 1], *upper),
        (Some(value), _) => *value,
        (None, _) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_told_by_proxy() {
        let mut report = Report::new(&[32]);
        for (name, all) in [("banyan", [9.0, 2.0, 3.0]), ("nginx", [4.0, 2.0, 1.0])] {
            for micros in all {
                report.cost(name, 32, Cost { micros });
            }
        }
        report.cost("haproxy", 32, Cost { micros: 4.0 });
        report.cost("haproxy", 32, Cost { micros: 5.0 });
        let direct = Latency { p50: 1.0, p99: 2.0 };
        for name in PROXIES {
            report.idle(name, 12.0);
            report.overhead(name, &direct, &Latency { p50: 1.5, p99: 3.0 });
        }
        report.measured(Measure::Reload, "banyan", 0.0);
        report.measured(Measure::IdleClients, "banyan", 1.0);
        report.measured(Measure::SlowClients, "nginx", 2.0);
        assert_eq!(
            report.json(),
            concat!(
                r#"{"us_per_request":{"32":{"banyan":3.000,"nginx":2.000,"haproxy":4.500}},"#,
                r#""kib_per_idle_connection":12.000,"#,
                r#""overhead_ms":{"p50":{"banyan":0.500,"nginx":0.500,"haproxy":0.500},"#,
                r#""p99":{"banyan":1.000,"nginx":1.000,"haproxy":1.000}},"#,
                r#""kib_per_client":{"idle":{"banyan":1.000,"nginx":null,"haproxy":null},"#,
                r#""slow":{"banyan":null,"nginx":2.000,"haproxy":null}},"#,
                r#""failed_in_reload":{"banyan":0.000,"nginx":null,"haproxy":null}}"#,
            )
        );
        let table = report.table();
        let ratio = table
            .lines()
            .nth(1)
            .and_then(|row| row.split(' ').next_back());
        assert_eq!(ratio, Some("1.50"), "{table}");
    }
}
