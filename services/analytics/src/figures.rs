//! What is shown: figures from what was added up. Pure.

use serde::Serialize;
use utoipa::ToSchema;

use crate::histogram::Histogram;
use crate::settings::Rates;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Requests, added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestSums {
    pub requests: u64,
    pub client_errors: u64,
    pub server_errors: u64,
    pub unavailable: u64,
    pub time_sum: f64,
    pub time_max: f64,
    pub times: Histogram,
}

impl RequestSums {
    /// Adds another part.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.unavailable += other.unavailable;
        self.time_sum += other.time_sum;
        self.time_max = self.time_max.max(other.time_max);
        self.times.add(&other.times);
    }

    /// What they say about so many seconds.
    pub fn figures(&self, seconds: i64) -> RequestFigures {
        let share = |part: u64| (self.requests > 0).then(|| ratio(part, self.requests));
        let quantile = |thousandths| {
            let told = self.times.quantile(thousandths);
            // Of the largest we know more than the histogram does.
            told.map(|time| time.min(self.time_max))
        };
        RequestFigures {
            requests: self.requests,
            client_errors: self.client_errors,
            server_errors: self.server_errors,
            throughput: ratio(self.requests, seconds.unsigned_abs().max(1)),
            availability: share(self.requests - self.unavailable.min(self.requests)),
            error_rate: share(self.server_errors),
            p50_ms: quantile(500),
            p95_ms: quantile(950),
            p99_ms: quantile(990),
            mean_ms: (self.requests > 0).then(|| self.time_sum / float(self.requests)),
            max_ms: (self.requests > 0).then_some(self.time_max),
        }
    }
}

/// How requests were answered. Where there were none, nothing is said of how.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RequestFigures {
    /// How many.
    pub requests: u64,
    /// Answered with 4xx.
    pub client_errors: u64,
    /// Answered with 5xx.
    pub server_errors: u64,
    /// Requests per second.
    pub throughput: f64,
    /// The share that was not answered with 502, 503 or 504.
    pub availability: Option<f64>,
    /// The share that was answered with 5xx.
    pub error_rate: Option<f64>,
    /// Half were answered within this; off by at most 2 %.
    pub p50_ms: Option<f64>,
    /// 95 % were; off by at most 2 %.
    pub p95_ms: Option<f64>,
    /// 99 % were; off by at most 2 %.
    pub p99_ms: Option<f64>,
    /// On average.
    pub mean_ms: Option<f64>,
    /// The slowest.
    pub max_ms: Option<f64>,
}

/// Samples of resource use, added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceSums {
    pub instances: u64,
    pub minutes: u64,
    pub cpu_minutes: f64,
    pub cpu_max: f64,
    pub memory_minutes: f64,
    pub memory_max: u64,
}

impl ResourceSums {
    /// What they say, and what that costs. Nothing without reports.
    pub fn figures(&self, rates: &Rates) -> Option<ResourceFigures> {
        if self.minutes == 0 {
            return None;
        }
        let minutes = float(self.minutes);
        let core_hours = self.cpu_minutes / 60.0;
        let gib_hours = self.memory_minutes / GIB / 60.0;
        Some(ResourceFigures {
            instances: self.instances,
            cpu_mean_cores: self.cpu_minutes / minutes,
            cpu_max_cores: self.cpu_max,
            memory_mean_bytes: self.memory_minutes / minutes,
            memory_max_bytes: self.memory_max,
            core_hours,
            gib_hours,
            cost: core_hours * rates.core_hour.0 + gib_hours * rates.gib_hour.0,
        })
    }
}

/// What a service used. Means are of one instance; hours are of all together.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ResourceFigures {
    /// Instances that reported.
    pub instances: u64,
    /// Cores in use, on average.
    pub cpu_mean_cores: f64,
    /// The most that one instance used.
    pub cpu_max_cores: f64,
    /// Memory, on average.
    pub memory_mean_bytes: f64,
    /// The most that one instance had.
    pub memory_max_bytes: u64,
    /// Cores times hours.
    pub core_hours: f64,
    /// GiB of memory times hours.
    pub gib_hours: f64,
    /// `core_hours` and `gib_hours` times their rates.
    pub cost: f64,
}

fn ratio(part: u64, whole: u64) -> f64 {
    float(part) / float(whole)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count beyond 2^53 may be shown rounded"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use kit::settings::Identity;

    use super::*;
    use crate::histogram::cell;

    fn rates() -> Rates {
        let identity = Identity::new("analytics", "1", 1);
        kit::settings::read::<Rates>(&identity, &|_| None).unwrap()
    }

    #[track_caller]
    fn is(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-12, "{value} for {expected}");
    }

    #[test]
    fn requests_say_how_a_service_is() {
        let mut sums = RequestSums {
            requests: 90,
            client_errors: 5,
            time_sum: 900.0,
            time_max: 10.0,
            times: Histogram::of(&[cell(10.0)], &[90]),
            ..RequestSums::default()
        };
        sums.add(&RequestSums {
            requests: 10,
            server_errors: 4,
            unavailable: 1,
            time_sum: 10_000.0,
            time_max: 1000.0,
            times: Histogram::of(&[cell(1000.0)], &[10]),
            ..RequestSums::default()
        });
        let figures = sums.figures(50);
        assert_eq!((figures.requests, figures.client_errors), (100, 5));
        is(figures.throughput, 2.0);
        is(figures.availability.unwrap(), 0.99);
        is(figures.error_rate.unwrap(), 0.04);
        is(figures.mean_ms.unwrap(), 109.0);
        let p50 = figures.p50_ms.unwrap();
        assert!((9.8..=10.2).contains(&p50), "{p50}");
        let p95 = figures.p95_ms.unwrap();
        assert!((980.0..=1000.0).contains(&p95), "{p95}");
    }

    #[test]
    fn of_no_requests_nothing_is_said() {
        let figures = RequestSums::default().figures(60);
        assert_eq!(figures.requests, 0);
        assert_eq!((figures.availability, figures.p99_ms), (None, None));
        assert_eq!(ResourceSums::default().figures(&rates()), None);
    }

    #[test]
    fn what_is_used_costs_what_the_rates_say() {
        // Two instances for an hour: a core and 2 GiB each.
        let sums = ResourceSums {
            instances: 2,
            minutes: 120,
            cpu_minutes: 120.0,
            cpu_max: 1.5,
            memory_minutes: 240.0 * GIB,
            memory_max: 3 << 30,
        };
        let figures = sums.figures(&rates()).unwrap();
        is(figures.core_hours, 2.0);
        is(figures.gib_hours, 4.0);
        is(figures.cpu_mean_cores, 1.0);
        is(figures.cost, 2.0 * 0.04 + 4.0 * 0.005);
    }
}
